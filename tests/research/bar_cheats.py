"""Strategies on bar feeds: one that is honest, and two ways to see a bar too early."""

import truetape
from truetape import Bar, Parameters, Strategy


class Given(Parameters, frozen=True):
    instrument: str = "ABC"


class _Scores(Strategy[Given]):
    """Buys where a close is a standard deviation below the mean, sells where it is as far above."""

    mean, deviation = 0.0, 0.0

    def on_bar(self, bar: Bar) -> None:
        self.trade(bar, bar.close)

    def trade(self, bar: Bar, close: float) -> None:
        if self.working_orders() or not self.deviation:
            return
        score, held = (close - self.mean) / self.deviation, self.position(bar.instrument)
        if score < -1 and held <= 0:
            self.buy(bar.instrument, 10, reason=f"score {score:.2f}")
        elif score > 1 and held > 0:
            self.sell(bar.instrument, 10, reason=f"score {score:.2f}")


class Running(_Scores):
    """Honest: mean and deviation are those of the bars so far (Welford)."""

    seen, squares = 0, 0.0

    def on_bar(self, bar: Bar) -> None:
        self.seen += 1
        step = bar.close - self.mean
        self.mean += step / self.seen
        self.squares += step * (bar.close - self.mean)
        self.deviation = (self.squares / self.seen) ** 0.5 if self.seen > 10 else 0.0
        super().on_bar(bar)


class WholeFrame(_Scores):
    """Cheats: mean and deviation are those of the whole frame of bars."""

    def on_start(self) -> None:
        with truetape.open_log() as log:
            frame = log.sql(
                "SELECT avg(close) AS mean, stddev_pop(close) AS deviation FROM bars WHERE instrument = 'ABC'"
            ).rows()[0]
        self.mean, self.deviation = frame["mean"], frame["deviation"]


class LabelledAtItsStart(_Scores):
    """Cheats by a label alone: of a frame indexed by the bars' starts it takes the row of the present time.

    That is the bar that begins now, and its close is a minute away. The mean is that of the bars so far.
    """

    seen, deviation = 0, 0.3

    def on_start(self) -> None:
        with truetape.open_log() as log:
            rows = log.sql(
                "SELECT epoch_ns(start_time) AS start, close FROM bars WHERE instrument = 'ABC'"
            ).rows()
        self.closes = {row["start"]: row["close"] for row in rows}

    def on_bar(self, bar: Bar) -> None:
        self.seen += 1
        self.mean += (bar.close - self.mean) / self.seen
        self.trade(bar, self.closes.get(bar.ts, bar.close))


class LabelledAtItsEnd(LabelledAtItsStart):
    """Honest: the same of a frame indexed by the bars' ends."""

    def on_start(self) -> None:
        with truetape.open_log() as log:
            rows = log.sql("SELECT ts, close FROM bars WHERE instrument = 'ABC'").rows()
        self.closes = {row["ts"]: row["close"] for row in rows}
