"""The gateway's own book: orders by client, orderId and permId; executions; what survives a restart.

Everything that happens is an event in a log that was given to it, and all it knows is folded from that
log: after a kill the same log makes the same book. The wire's part of an order (who sent it under which
ids) is its `Ticket`, kept as JSON in the intent's `reason`. Never talks to a client; decides nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from adapters.ibkr.gateway.contracts import Contract, Contracts
from core.clock import DAY_NS
from core.events import (
    CommissionReported,
    Entry,
    Event,
    FeedDefined,
    FillCorrected,
    Filled,
    InstrumentDefined,
    ModifyIntended,
    OrderAmended,
    OrderIntended,
    OrderSendStarted,
    OrderStatusChanged,
    Recovered,
    SegmentSealed,
    SessionScheduled,
)
from core.money import ZERO
from core.ports import Folds, Recorder
from core.views import Execution, Order
from projections.orders import Orders

PERM_ID_BASE = 1_400_000_000
EXEC_ID_BASE = 0x65000000
_FIRST_ACCOUNT = 1_000_001
_ACCOUNTS = 7_000
DONE = frozenset({"Filled", "Cancelled", "Rejected", "Refused"})
NO_TIME = (InstrumentDefined, FeedDefined, SessionScheduled, SegmentSealed, Recovered)
"""Events whose time is not one up to which a book has come."""


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order's identity on the wire, and what the engine need not know of it."""

    client_id: int
    order_id: int
    perm_id: int
    order_ref: str = ""
    parent_id: int = 0
    oca_group: str = ""
    oca_type: int = 0
    transmit: bool = True


class Held:
    """One order of the book. `intent` is its latest version; `live` means that the engine has it.

    `waits` says that it is at the engine and not at work: a child whose parent has not filled.
    """

    __slots__ = ("contract", "intent", "key", "live", "message", "since", "ticket", "version", "waits")

    def __init__(self, key: str, ticket: Ticket, contract: Contract, intent: OrderIntended) -> None:
        self.key = key
        self.ticket = ticket
        self.contract = contract
        self.intent = intent
        self.version = 1
        self.live = False
        self.waits = False
        self.since = intent.ts  # when it came to work
        self.message = ""


class Fills(msgspec.Struct, frozen=True):
    """What an order's executions add up to."""

    quantity: Decimal = ZERO
    average: float = 0.0
    last_price: float = 0.0


class Book:
    """Orders and executions, recorded and folded.

    `orders` must forget none: a broker reports each execution of a day, however many there were. What a
    request needs is found by day or among the orders that are not over, never by going through all.
    """

    def __init__(
        self,
        recorder: Recorder,
        folds: Folds,
        orders: Orders,
        contracts: Contracts,
        account: str,
        realises: Callable[[Filled], Decimal | None],
    ) -> None:
        self.account = account
        self.orders = orders
        self.dirty = False
        self._recorder = recorder
        self._folds = folds
        self._contracts = contracts
        self._held: dict[str, Held] = {}
        self._by_id: dict[tuple[int, int], Held] = {}
        self._children: dict[tuple[int, int], list[Held]] = {}
        self._groups: dict[str, list[Held]] = {}
        self._first_ids: dict[int, int] = {}
        self._exec_count = 0
        self._executed: dict[int, dict[str, None]] = {}  # executions by the UTC day that they speak of
        self._ended: dict[int, dict[str, Held]] = {}  # orders that are over by the UTC day of their end
        self._realises = realises
        self._realised: dict[str, Decimal | None] = {}
        self._commissions: dict[str, CommissionReported] = {}
        self._revisions: dict[str, int] = {}
        self._serial = _serial(account)
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            OrderIntended: self._intended,
            ModifyIntended: self._modified,
            OrderAmended: self._amended,
            OrderSendStarted: self._sent,
            OrderStatusChanged: self._status,
            Filled: self._filled,
            FillCorrected: self._corrected,
            CommissionReported: self._charged,
        }

    # -- recording -----------------------------------------------------------------------------

    def record(self, event: Event, at: int | None = None) -> int:
        """Append an event, fold it, and return its seq."""
        seq = self._recorder.append(event, at)
        self.take(Entry(seq, None, seq if at is None else at, None, event))
        self.dirty = True
        return seq

    def mark(self, event: Event) -> None:
        """Append something that need not survive a power cut."""
        self._recorder.append(event)
        self._recorder.commit(sync=False)

    def commit(self) -> None:
        """Make all that was recorded durable; nothing may be told to a client before."""
        if self.dirty:
            self._recorder.commit(sync=True)
            self.dirty = False

    def take(self, entry: Entry) -> None:
        """Fold an entry, new or read back."""
        event = entry.event
        if isinstance(event, Filled):  # what it closes can only be seen before it is folded
            self._realised[event.exec_id] = self._realises(event)
        for fold in self._folds.get(type(event), ()):
            fold(event, entry.seq)
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _status(self, event: OrderStatusChanged) -> None:
        held = self._held[event.order]
        if held.waits and event.status == "Submitted":
            held.since = event.ts
        held.waits = event.status == "PreSubmitted"
        held.message = event.message or held.message
        self._note_end(held, event.ts)

    def _note_end(self, held: Held, ts: int) -> None:
        if self.done(held):
            self._ended.setdefault(ts // DAY_NS, {})[held.key] = held

    def _sent(self, event: OrderSendStarted) -> None:
        held = self._held[event.order]
        held.live, held.since = True, event.ts

    def _filled(self, event: Filled) -> None:
        self._exec_count += 1
        self._executed.setdefault(event.ts // DAY_NS, {})[event.exec_id] = None
        self._note_end(self._held[event.order], event.ts)

    def _corrected(self, event: FillCorrected) -> None:
        self._revisions[event.exec_id] = max(self._revisions.get(event.exec_id, 0), event.revision)
        self._executed.setdefault(event.ts // DAY_NS, {})[event.exec_id] = None

    def _charged(self, event: CommissionReported) -> None:
        self._commissions[event.exec_id] = event

    def _modified(self, event: ModifyIntended) -> None:
        self._held[event.order].ticket = msgspec.json.decode(event.reason, type=Ticket)
        self._changed(event)

    def _intended(self, event: OrderIntended) -> None:
        ticket = msgspec.json.decode(event.reason, type=Ticket)
        held = Held(event.order, ticket, self._contracts.by_instrument[event.instrument], event)
        self._held[event.order] = held
        self._by_id.setdefault((ticket.client_id, ticket.order_id), held)
        if ticket.parent_id:
            self._children.setdefault((ticket.client_id, ticket.parent_id), []).append(held)
        if ticket.oca_group:
            self._groups.setdefault(ticket.oca_group, []).append(held)
        known = self._first_ids.get(ticket.client_id, 0)
        self._first_ids[ticket.client_id] = max(known, ticket.order_id)

    def _amended(self, event: OrderAmended) -> None:
        self._changed(event)
        self._note_end(self._held[event.order], event.ts)

    def _changed(self, event: ModifyIntended | OrderAmended) -> None:
        held = self._held[event.order]
        held.version = event.version
        held.intent = msgspec.structs.replace(
            held.intent,
            quantity=event.quantity,
            limit=event.limit,
            stop=event.stop,
            trail=event.trail,
            trail_pct=event.trail_pct,
            **_times(event, held.intent),
        )

    # -- asking --------------------------------------------------------------------------------

    def find(self, client_id: int, order_id: int) -> Held | None:
        """Return the order that a client knows under an id."""
        return self._by_id.get((client_id, order_id))

    def get(self, key: str) -> Held:
        """Return an order by the book's own id."""
        return self._held[key]

    def view(self, held: Held) -> Order:
        """Return an order as it stands."""
        found = self.orders.get(held.key)
        assert found is not None
        return found

    def done(self, held: Held) -> bool:
        """Return whether an order is over."""
        return self.view(held).state in DONE

    def unfinished(self) -> list[Held]:
        """Return the orders that are not over, transmitted or not, in the order in which they came."""
        held = [self._held[order.id] for order in self.orders.working()]
        return [h for h in held if not self.done(h)]

    def open(self) -> list[Held]:
        """Return the orders that clients see as open, in the order in which they came.

        What is not transmitted yet is nobody's open order.
        """
        return [held for held in self.unfinished() if held.live]

    def ended(self, since: int) -> list[Held]:
        """Return the orders that came to their end at `since` or later, in that order."""
        found = {key: held for day in _days(self._ended, since) for key, held in self._ended[day].items()}
        return [held for held in found.values() if self.view(held).updated_ts >= since]

    def children(self, held: Held) -> list[Held]:
        """Return the orders whose parent is `held`, in the order in which they came."""
        return self._children.get((held.ticket.client_id, held.ticket.order_id), [])

    def group(self, name: str) -> list[Held]:
        """Return the orders of an OCA group."""
        return self._groups.get(name, [])

    def parent(self, held: Held) -> Held | None:
        """Return the order's parent, if it has one."""
        return self.find(held.ticket.client_id, held.ticket.parent_id) if held.ticket.parent_id else None

    def fills(self, held: Held) -> Fills:
        """Return what the order's executions add up to."""
        executions = self.orders.executions(held.key)
        total = sum((e.quantity for e in executions), ZERO)
        if not total:
            return Fills()
        value = sum((e.quantity * e.price for e in executions), ZERO)
        return Fills(total, round(float(value / total), 8), float(executions[-1].price))

    def executions(self, since: int = 0) -> list[Execution]:
        """Return the executions at `since` or later, by time; a corrected one has that of its correction."""
        ids = dict.fromkeys(each for day in _days(self._executed, since) for each in self._executed[day])
        found = [execution for exec_id in ids if (execution := self.orders.execution(exec_id)) is not None]
        later = [execution for execution in found if execution.ts >= since]
        return sorted(later, key=lambda execution: (execution.ts, execution.exec_id))

    def commission(self, exec_id: str) -> CommissionReported | None:
        """Return what an execution cost, if it is known."""
        return self._commissions.get(exec_id)

    def realised(self, exec_id: str) -> Decimal | None:
        """Return what an execution realised before commissions; `None` if it only opened."""
        return self._realised.get(exec_id)

    def revision(self, exec_id: str) -> int:
        """Return how an execution's id ends: 1, and one more for each correction."""
        return self._revisions.get(exec_id, 1)

    # -- ids -----------------------------------------------------------------------------------

    def next_order_id(self, client_id: int, first: int) -> int:
        """Return an id that the client has not used and that is not below `first`."""
        return max(first, self._first_ids.get(client_id, 0) + 1)

    def next_perm_id(self) -> int:
        """Return a permId that was never given out."""
        return PERM_ID_BASE + 100_000 * self._serial + len(self._held) + 1

    def next_exec_id(self) -> str:
        """Return an execId without its revision."""
        return f"{0xE0D5 + self._serial:08x}.{EXEC_ID_BASE + self._exec_count + 1:08x}.01"


def _times(event: ModifyIntended | OrderAmended, before: OrderIntended) -> dict[str, Any]:
    """Return how long an order is good, and in which hours, after a change."""
    tif = event.tif or before.tif
    till = event.good_till if event.good_till is not None else before.good_till
    hours = event.outside_rth if event.outside_rth is not None else before.outside_rth
    return {"tif": tif, "good_till": till if tif == "GTD" else None, "outside_rth": hours}


def _serial(account: str) -> int:
    """Return what tells an account's ids from those of another: one log may trade with many books."""
    digits = "".join(character for character in account if character.isdecimal())
    return (int(digits or 0) - _FIRST_ACCOUNT) % _ACCOUNTS


def _days(kept: Mapping[int, object], since: int) -> list[int]:
    """Return the days that may have something at `since` or later; of those there are few."""
    return sorted(day for day in kept if day >= since // DAY_NS)


def rebuild(book: Book, batches: Iterable[Sequence[Entry]]) -> int | None:
    """Fold a book's log into it; return its last time, `None` if it has definitions only."""
    last: int | None = None
    for batch in batches:
        for entry in batch:
            book.take(entry)
            if not isinstance(entry.event, NO_TIME) and (last is None or entry.event.ts > last):
                last = entry.event.ts
    return last
