"""What follows from a halt: cancels for our orders, then orders that close the broker's positions.

A function of recorded inputs, so that a proof decides the same. It cancels at once, closes only after the
broker showed an account without working orders, goes by the broker's positions and not by ours, and tries
each instrument once a halt: a halt that failed is repeated by the operator, never by itself.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.errors import UnknownInstrument
from core.events import CancelIntended, HaltRequested, HaltVerified, OrderIntended, PositionReported
from core.money import money
from core.order_rules import CLOSING
from core.views import GateView, InstrumentsView, OrdersView, Position

PROFILE = "flatten"
"""The profile of their verdicts: a halt closes the gate for everything else."""
OPERATOR = "operator"
"""The strategy of an order that closes what several strategies hold."""


class HaltView(GateView, Protocol):
    """The gate, with the level that trading is halted at."""

    halt: str


class ReportedView(Protocol):
    """Positions as the broker last showed them."""

    def reported(self, account: str) -> Sequence[PositionReported]:
        """Return the positions of an account that are not flat, sorted by instrument."""


class Ledgers(Protocol):
    """Who holds what."""

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Position:
        """Return the position (of one strategy's sub-ledger)."""

    def strategies(self, account: str, instrument: str) -> list[str]:
        """Return the strategies that ever moved this position."""


class Closing(msgspec.Struct, frozen=True, gc=False):
    """An order that closes a position, on its way through a gate that is closed for all others."""

    intent: OrderIntended


class KillSwitch:
    """Decides for one account and session what a halt does."""

    def __init__(
        self,
        gate: HaltView,
        reported: ReportedView,
        orders: OrdersView,
        ledgers: Ledgers,
        instruments: InstrumentsView,
        account: str,
        session: int,
    ) -> None:
        self._gate = gate
        self._reported = reported
        self._orders = orders
        self._ledgers = ledgers
        self._instruments = instruments
        self._account = account
        self._prefix = f"{CLOSING}-{session}-"
        self._count = 0
        self._tried: set[str] = set()

    def cancels(self, halt: HaltRequested) -> list[CancelIntended]:
        """Return a cancel for each of our working orders, unless the halt only stops new ones."""
        if halt.level == "flatten":
            self._tried.clear()
        if halt.level == "halt":
            return []
        return [
            CancelIntended(
                halt.ts, order.id, order.account, order.strategy, order.instrument, f"halt: {halt.reason}"
            )
            for order in self._orders.working()
            if order.account == self._account and order.strategy
        ]

    def closings(self, verified: HaltVerified) -> list[Closing]:
        """Return an order for each position that is left, once the broker shows no working order."""
        ready = verified.level == "cancel_all" and verified.reached and verified.working_orders == 0
        if not ready or self._gate.halt != "flatten":
            return []
        return [
            self._closing(position, verified.ts)
            for position in self._reported.reported(self._account)
            if position.instrument not in self._tried and self._known(position.instrument)
        ]

    def _closing(self, held: PositionReported, ts: int) -> Closing:
        self._tried.add(held.instrument)
        self._count += 1
        return Closing(
            OrderIntended(
                ts,
                f"{self._prefix}{self._count}",
                self._account,
                self._holder(held.instrument, held.quantity),
                held.instrument,
                "SELL" if held.quantity > 0 else "BUY",
                money(abs(held.quantity)),
                "MKT",
                None,
                None,
                "DAY",
                "the account is being flattened",
                outside_rth=True,  # where the broker can: nobody wants to wait for the open
            )
        )

    def _holder(self, instrument: str, quantity: Decimal) -> str:
        for strategy in self._ledgers.strategies(self._account, instrument):
            held = self._ledgers.position(self._account, instrument, strategy).quantity
            if strategy and held == quantity:
                return strategy
        return OPERATOR

    def _known(self, instrument: str) -> bool:
        try:
            self._instruments.instrument(instrument)
        except UnknownInstrument:
            return False
        return True
