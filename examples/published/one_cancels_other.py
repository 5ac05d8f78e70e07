"""LEAN's OneCancelsTheOtherOrderRegression: turn a holding around by one group, cover it by another."""

from truetape import Bar, Filled, Parameters, Strategy


class OneCancelsOtherParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "hour"


class OneCancelsOther(Strategy[OneCancelsOtherParameters]):
    """Of each pair the order near the market fills, which cancels the other one."""

    opened, groups, fills = False, 0, 0

    def on_fill(self, fill: Filled) -> None:  # noqa: ARG002
        self.fills += 1

    def on_bar(self, bar: Bar) -> None:
        if not self.opened:
            self.opened = True
            self.buy(bar.instrument, 100, tif="GTC", reason="open")
        elif self.groups < self.fills < 3:
            size, limit, stop = ((-200, 1.01, 0.70), (100, 0.70, 1.01))[self.groups]
            self.groups, name = self.groups + 1, f"group {self.groups + 1}"
            self.change(bar.instrument, size, limit=limit * bar.close, tif="GTC", oca=name, reason="limit")
            self.change(bar.instrument, size, stop=stop * bar.close, tif="GTC", oca=name, reason="stop")
