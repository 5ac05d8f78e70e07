"""Why an order exists and what became of it: the chain from the market event to the commission.

`projections.Lineage` joins what belongs together; this module adds the inputs that led there, which a book
looks up, and names each link's part. Reads only.
"""

from difflib import get_close_matches

import msgspec

from app.look.books import Book
from app.look.moments import tag_of
from app.look.seqs import parse_seq
from core.errors import UsageError
from core.events import (
    CancelIntended,
    CancelSendStarted,
    CancelSent,
    CommissionReported,
    CompositeSignal,
    Entry,
    Event,
    FillCorrected,
    Filled,
    HoldEnded,
    ModifyIntended,
    OrderAmended,
    OrderAttempted,
    OrderBound,
    OrderHeld,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderSendStarted,
    OrderSent,
    OrderSized,
    OrderStatusChanged,
    RiskApproved,
    RiskRefused,
    SendFailed,
)
from projections.lineage import Lineage


class Link(msgspec.Struct, frozen=True):
    """One event of a chain and its part in it; a market event's part is its type (`trade`, `quote`)."""

    role: str
    entry: Entry


_ROLES: dict[type[Event], str] = {
    CompositeSignal: "composite",
    OrderSized: "size",
    OrderIntended: "intent",
    ModifyIntended: "modify",
    CancelIntended: "cancel",
    RiskApproved: "verdict",
    RiskRefused: "verdict",
    OrderSendStarted: "send",
    CancelSendStarted: "send",
    OrderAttempted: "attempt",
    OrderSent: "sent",
    CancelSent: "sent",
    OrderBound: "bound",
    OrderAmended: "amended",
    OrderResolved: "resolved",
    OrderRetried: "retry",
    OrderHeld: "held",
    HoldEnded: "hold",
    SendFailed: "failed",
    OrderStatusChanged: "status",
    Filled: "fill",
    FillCorrected: "correction",
    CommissionReported: "commission",
}


def chain(book: Book, name: str) -> list[Link]:
    """Return the chain of an order id, execution id or seq, in log order; raises `UsageError` for others.

    Of an execution id, the chain holds that execution alone, with what led to its order. A fill of another
    order may have led to this one; then that fill, and what filled it, come before. A seq stands for the
    order or execution that its event speaks of, or for the first order that was asked for at it.
    """
    lineage = Lineage()
    asked: dict[int, str] = {}
    for entry in book.trading(lineage.folds):
        lineage.apply(entry)
        if isinstance(entry.event, OrderIntended):
            asked.setdefault(entry.at or entry.seq, entry.event.order)
    if (seq := parse_seq(name)) is not None:
        name = _name_at(book, seq, asked)
    links: dict[int, Link] = {}
    for entry in lineage.chain(name) or _unknown(book, lineage, name):
        for seq in reversed(lineage.trail(entry)):
            if seq not in links:
                links[seq] = _link(lineage.entry(seq) or book.entry(seq))
        links[entry.seq] = _link(entry)
    return list(links.values())


def _name_at(book: Book, seq: int, asked: dict[int, str]) -> str:
    """Return the id of what the event at `seq` speaks of; raises `DataMissing` or `UsageError`."""
    event = book.entry(seq).event
    name = getattr(event, "exec_id", "") or getattr(event, "order", "") or asked.get(seq, "")
    if not name:
        raise UsageError(
            f"{book.label}: event {seq} ({tag_of(event)}) speaks of no order, and none was asked "
            f"for at it; next: tape events --run {book.holder(seq)} --from {seq} --limit 1"
        )
    return str(name)


def _unknown(book: Book, lineage: Lineage, name: str) -> list[Entry]:
    orders = sorted(filter(None, lineage.orders()))  # a refused number or series has none
    executions = lineage.executions()
    if not orders:
        raise UsageError(f"{book.label} has no orders; next: tape replay DATE --strategy NAME")
    near = get_close_matches(name, [*orders, *executions], n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"such as {', '.join(orders[:3])}"
    raise UsageError(
        f"{book.label} has no order or execution {name!r}; {hint}; next: tape orders --run {book.holder()}"
    )


def _link(entry: Entry) -> Link:
    return Link(_ROLES.get(type(entry.event)) or tag_of(entry.event), entry)
