"""LEAN's OrderTicketAssignmentDemo: buy one share at each full hour; at the close that waits for the open."""

from truetape import Bar, Parameters, Strategy

HOUR_NS = 3_600_000_000_000


class OrderTicketAssignmentParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class OrderTicketAssignment(Strategy[OrderTicketAssignmentParameters]):
    """Buy one share whenever an hour is over."""

    def on_bar(self, bar: Bar) -> None:
        if bar.ts % HOUR_NS == 0:
            self.buy(bar.instrument, 1, tif="GTC", reason="the hour is over")
