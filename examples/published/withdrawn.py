"""LEAN's CompleteOrderTagUpdate: a limit that is withdrawn as it is given, then a hundred at market."""

from truetape import Bar, Parameters, Strategy


class WithdrawnParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class Withdrawn(Strategy[WithdrawnParameters]):
    """The same handler gives an order and cancels it: it never meets the market."""

    asked = ""

    def on_bar(self, bar: Bar) -> None:
        if self.position(bar.instrument):
            return
        if self.asked:
            self.buy(bar.instrument, 100, reason="at market")
        else:
            self.asked = self.buy(bar.instrument, 100, limit=bar.close / 10, tif="GTC", reason="far away")
            self.cancel(self.asked, reason="at once")
