"""A strategy that uses most of the API: limits below the market, timers, modify, cancel, recorded series.

Its prices are rounded to those that the exchange takes.

Run it: `tape replay 2025-07-02 --strategy examples/limit_ladder.py:LimitLadder --set instrument=ZVXA`
"""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from truetape import Filled, Order, Parameters, Quote, Strategy, TimerFired


class LadderParameters(Parameters, frozen=True):
    """`offset` is in price units below the best bid; `take_profit` above the fill price."""

    instrument: str
    quantity: Annotated[int, Meta(ge=1)] = 100
    offset: Annotated[float, Meta(gt=0)] = 0.05
    take_profit: Annotated[float, Meta(gt=0)] = 0.10


class LimitLadder(Strategy[LadderParameters]):
    """Rest a buy limit below the bid, follow the bid once a minute, sell each fill at a profit."""

    def __init__(self, params: LadderParameters) -> None:
        super().__init__(params)
        self._entry = ""
        self._started = False

    def on_quote(self, quote: Quote) -> None:
        """Start with the first quote: place the order and set the timers."""
        bid = self.quotes.bid(quote.instrument)
        if self._started or bid is None:
            return
        self._started = True
        self._enter(bid)
        self.set_timer("follow", after_s=60)
        self.set_clock_timer("close", self.params.instrument, "15:55")

    def on_timer(self, timer: TimerFired) -> None:
        """Follow the bid each minute; go flat before the close."""
        instrument = self.params.instrument
        if timer.name == "close":
            for working in self.working_orders():
                self.cancel(working.id, reason="five minutes before the close")
            held = int(self.position(instrument))
            if held > 0:
                self.sell(instrument, held, reason="flat at the close")
            return
        bid = self.quotes.bid(instrument)
        order = self.order(self._entry)
        if bid is not None and order is not None and order.working:
            self.modify(order.id, limit=self._below(bid), reason="follow the bid")
            self.record("distance", bid - float(order.limit or 0))
        self.set_timer("follow", after_s=60)

    def on_fill(self, fill: Filled) -> None:
        """Sell what was bought, at a profit."""
        if fill.side == "BUY":
            wanted = float(fill.price) + self.params.take_profit
            target = self.round_to_tick(fill.instrument, wanted, to="up")
            self.sell(fill.instrument, fill.quantity, limit=target, reason=f"take profit of {fill.exec_id}")

    def on_order(self, order: Order) -> None:
        """Say when an entry was refused."""
        if order.state == "Refused":
            self.record("refused", 1.0)

    def _enter(self, bid: float) -> None:
        instrument, limit = self.params.instrument, self._below(bid)
        self._entry = self.buy(instrument, self.params.quantity, limit=limit, reason="below the bid")

    def _below(self, bid: float) -> Decimal:
        return self.round_to_tick(self.params.instrument, bid - self.params.offset, to="down")
