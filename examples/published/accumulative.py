"""LEAN's AccumulativeInsightPortfolioRegression: 3 % more every twenty minutes, for twenty-one minutes."""

from truetape import LEAN, Bar, Parameters, Strategy

PERIOD_NS = 20 * 60_000_000_000


class AccumulativeParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    share: float = 0.03
    minutes: int = 21


class Accumulative(Strategy[AccumulativeParameters]):
    """Each opinion holds for so many minutes of trading; at twenty, two of them hold for a minute."""

    minute, since = 0, 0
    ends: tuple[int, ...] = ()

    def on_bar(self, bar: Bar) -> None:
        self.minute += 1
        before, self.ends = self.ends, tuple(end for end in self.ends if end > self.minute)
        if bar.ts - self.since >= PERIOD_NS:
            self.since, self.ends = bar.ts, (*self.ends, self.minute + self.params.minutes)
        if self.ends != before:
            share = round(self.params.share * len(self.ends), 9)
            self.target_pct(bar.instrument, share, sizing=LEAN, reason=f"{len(self.ends)} opinions")
