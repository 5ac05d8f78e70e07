"""How orders are told: their state as messages to the client that sent them. Reads the book, changes nothing.

Owns the words in which the book's states are IB's statuses, and what an execution and its commission look
like on the wire, live and in answers alike.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from adapters.ibkr.gateway import answers
from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.book import Book, Held
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.order_fields import Shown, completed_order, open_order
from adapters.ibkr.gateway.times import stamp
from adapters.ibkr.gateway.wire import UNSET_DOUBLE, number
from core.events import CommissionReported
from core.money import CONTEXT, price
from core.views import Execution

_PENDING = {"CancelPending": "PendingCancel", "Sending": "PendingSubmit", "Sent": "PendingSubmit"}
_TRIGGERED = frozenset({"STP", "STP LMT", "TRAIL", "LIT"})
"""Types that are held back until the market triggers them, and then are of another type for the engine."""
FINAL = {"Filled": "Filled", "Cancelled": "Cancelled", "Rejected": "Inactive", "Refused": "Inactive"}
"""The statuses of orders that are over."""


class AtWork(Protocol):
    """What is shown of an order at the matching engine."""

    @property
    def type(self) -> str:
        """Its type: another one once it has triggered."""

    @property
    def stop(self) -> float | None:
        """Its trigger: of a trailing stop, where it stands."""


class Outbox:
    """Where messages go: to one client if it is there, and who else must know of changes."""

    def __init__(self) -> None:
        self.client: Callable[[int], Client | None] = lambda _id: None
        self.position_changed: Callable[[str], None] = lambda _instrument: None


class Telling:
    """Orders and executions as messages."""

    def __init__(
        self,
        book: Book,
        outbox: Outbox,
        now: Callable[[], int],
        resting: Callable[[str], Iterable[Any]],
    ) -> None:
        self._resting = resting
        self._book = book
        self._outbox = outbox
        self._now = now

    def position_changed(self, instrument: str) -> None:
        """Tell whom it concerns that a position and the cash changed."""
        self._outbox.position_changed(instrument)

    def shown(self, held: Held) -> Shown:
        """Return an order as clients see it."""
        view = self._book.view(held)
        shown = self.described(held, self.status(held), view.filled)
        if view.state not in FINAL:
            return shown
        return msgspec.structs.replace(
            shown,
            completed_time=stamp(view.updated_ts, held.contract.timezone),
            completed_status=_completed(view.state, held.message),
        )

    def described(self, held: Held, status: str, filled: Decimal) -> Shown:
        """Return an order with a given status, as clients see it; it need not be in the book."""
        ticket, intent, zone = held.ticket, held.intent, held.contract.timezone
        parent, trails = self._book.parent(held), intent.type == "TRAIL"
        share = intent.trail_pct
        return Shown(
            order_id=ticket.order_id,
            client_id=ticket.client_id,
            perm_id=ticket.perm_id,
            parent_id=ticket.parent_id,
            parent_perm_id=parent.ticket.perm_id if parent is not None else 0,
            account=intent.account,
            action=intent.side,
            quantity=intent.quantity,
            type=intent.type,
            limit=intent.limit,
            aux=intent.trail if trails else intent.stop,
            tif=intent.tif,
            oca_group=ticket.oca_group,
            oca_type=ticket.oca_type,
            order_ref=ticket.order_ref,
            outside_rth=intent.outside_rth,
            status=status,
            filled=filled,
            good_till="" if intent.good_till is None else stamp(intent.good_till, zone),
            trail_stop=self._trail_stop(held) if trails else None,
            trail_percent=None if share is None else CONTEXT.multiply(share, Decimal(100)).normalize(CONTEXT),
        )

    def _trail_stop(self, held: Held) -> Decimal | None:
        """Return where a trailing stop stands: it moves with the market, once it is at work."""
        resting = self._at_work(held)
        stop = None if resting is None else resting.stop
        return held.intent.stop if stop is None else price(stop)

    def status(self, held: Held) -> str:
        """Return the order's status in IB's words."""
        state = self._book.view(held).state
        if state in FINAL:
            return FINAL[state]
        if state in _PENDING:
            return _PENDING[state]
        if not held.live or held.waits or held.intent.tif == "OPG" or held.intent.type == "MOC":
            return "PreSubmitted"
        if held.intent.type not in _TRIGGERED:
            return "Submitted"
        resting = self._at_work(held)
        return "PreSubmitted" if resting is None or resting.type == held.intent.type else "Submitted"

    def _at_work(self, held: Held) -> AtWork | None:
        """Return an order as the matching engine has it, or `None`."""
        return next((r for r in self._resting(held.intent.instrument) if r.intent.order == held.key), None)

    def order_frames(self, held: Held, version: int) -> list[Fields]:
        """Return what says how an order stands: the order itself and its status."""
        shown, fills = self.shown(held), self._book.fills(held)
        status = answers.order_status(
            shown.order_id,
            shown.status,
            shown.filled,
            shown.quantity - shown.filled,
            fills.average,
            shown.perm_id,
            shown.parent_id,
            fills.last_price,
            shown.client_id,
            version,
        )
        return [open_order(held.contract, shown, version), status]

    def completed_frame(self, held: Held, version: int) -> Fields:
        """Return a finished order."""
        return completed_order(held.contract, self.shown(held), version)

    def execution_frame(self, exec_id: str, version: int, req_id: int = -1) -> Fields:
        """Return one execution in its latest revision."""
        found = self._book.orders.execution(exec_id)
        assert found is not None
        held = self._book.get(found.order)
        before = self._up_to(found)
        total = sum((e.quantity for e in before), Decimal(0))
        value = sum((e.quantity * e.price for e in before), Decimal(0))
        told = answers.Execution(
            order_id=held.ticket.order_id,
            exec_id=f"{exec_id}.{self._book.revision(exec_id):02d}",
            time=stamp(found.ts, held.contract.timezone),
            account=found.account,
            exchange=held.contract.primary or held.contract.exchange,
            side="BOT" if found.side == "BUY" else "SLD",
            shares=found.quantity,
            price=found.price,
            perm_id=held.ticket.perm_id,
            client_id=held.ticket.client_id,
            cumulative=total,
            average=round(float(value / total), 8),
            order_ref=held.ticket.order_ref,
        )
        return answers.execution(req_id, held.contract, told, version)

    def _up_to(self, execution: Execution) -> list[Execution]:
        """Return the order's executions up to this one; a correction stands where the first report stood."""
        all_ = sorted(self._book.orders.executions(execution.order), key=lambda e: e.exec_id)
        return [e for e in all_ if e.exec_id <= execution.exec_id]

    def commission_frame(self, charge: CommissionReported) -> Fields:
        """Return what an execution cost; realised P&L only where the fill closed something."""
        realised = self._book.realised(charge.exec_id)
        shown = UNSET_DOUBLE if realised is None else number(realised - charge.amount)
        exec_id = f"{charge.exec_id}.{self._book.revision(charge.exec_id):02d}"
        return answers.commission(exec_id, charge.amount, charge.currency, shown, UNSET_DOUBLE)

    def _owner(self, key: str) -> Client | None:
        return self._outbox.client(self._book.get(key).ticket.client_id)

    def tell_order(self, held: Held) -> None:
        """Tell the order's client how it stands."""
        client = self._owner(held.key)
        if client is not None:
            for fields in self.order_frames(held, client.version):
                client.post(fields)

    def tell_execution(self, exec_id: str) -> None:
        """Tell the order's client of an execution."""
        found = self._book.orders.execution(exec_id)
        assert found is not None
        client = self._owner(found.order)
        if client is not None:
            client.post(self.execution_frame(exec_id, client.version))

    def tell_commission(self, charge: CommissionReported) -> None:
        """Tell the order's client what an execution cost."""
        client = self._owner(charge.order)
        if client is not None:
            client.post(self.commission_frame(charge))

    def error(self, held: Held, code: int, message: str) -> None:
        """Tell the order's client of an error or notice about it."""
        client = self._owner(held.key)
        if client is not None:
            ms = self._now() // 1_000_000
            client.post(answers.error(client.version, held.ticket.order_id, code, message, ms))


def _completed(state: str, message: str) -> str:
    if state == "Filled":
        return "Filled Size"
    return f"Cancelled: {message}" if message else "Cancelled by Trader"
