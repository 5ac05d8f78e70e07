"""What a strategy may be told of: a handler for each kind of event, which does nothing unless overridden.

Whom the loop tells of what is decided in core.strategy and core.loop; nothing here asks for anything.
"""

from core.events import (
    Bar,
    DataGapChanged,
    Filled,
    Quote,
    QuoteBar,
    SignalReceived,
    TimerFired,
    Trade,
)
from core.views import Order


class Handlers:
    """The handlers of a strategy. Those that are not overridden cost nothing."""

    def on_start(self) -> None:
        """Handle the start of the session (warm-up data follow)."""

    def on_trade(self, trade: Trade) -> None:
        """Handle a trade print."""

    def on_quote(self, quote: Quote) -> None:
        """Handle a quote update of one venue; `self.quotes` has the best over all venues."""

    def on_bar(self, bar: Bar) -> None:
        """Handle a bar that has just closed."""

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Handle a bar of bids and asks that has just closed."""

    def on_gap(self, gap: DataGapChanged) -> None:
        """Handle what a live session could not hear of an instrument: found, filled with late bars, failed.

        Bars that were missed are told to `on_bar` before `filled`, with `bar.late` set.
        """

    def on_signal(self, signal: SignalReceived) -> None:
        """Handle a signal for a subscribed instrument; `self.signals` has the latest of each source."""

    def on_timer(self, timer: TimerFired) -> None:
        """Handle a timer that came due."""

    def on_order(self, order: Order) -> None:
        """Handle news of one of the strategy's orders: acknowledged, held, refused, expired, ended."""

    def on_fill(self, fill: Filled) -> None:
        """Handle an execution of one of the strategy's orders."""

    def on_stop(self) -> None:
        """Handle the end of the session; orders are no longer taken."""
