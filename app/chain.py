"""Why an order exists and what became of it: the chain from the market event to the commission.

The links are those that the log itself records: `at` names the input that was being processed, `cause` the
decision that an output follows from, and broker facts join by order and execution id. Reads only.
"""

from difflib import get_close_matches

import msgspec

from app.books import Book
from core.errors import UsageError
from core.events import (
    BY_TYPE,
    CancelIntended,
    CancelSendStarted,
    CommissionReported,
    Entry,
    Event,
    FillCorrected,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSendStarted,
    OrderSent,
    OrderStatusChanged,
    RiskApproved,
    RiskRefused,
    SendFailed,
)
from projections.lineage import ORDER_SIDE


class Link(msgspec.Struct, frozen=True):
    """One event of a chain and its part in it; a market event's part is its type (`trade`, `quote`)."""

    role: str
    entry: Entry


_ROLES: dict[type[Event], str] = {
    OrderIntended: "intent",
    ModifyIntended: "modify",
    CancelIntended: "cancel",
    RiskApproved: "verdict",
    RiskRefused: "verdict",
    OrderSendStarted: "send",
    CancelSendStarted: "send",
    OrderSent: "sent",
    SendFailed: "failed",
    OrderStatusChanged: "status",
    Filled: "fill",
    FillCorrected: "correction",
    CommissionReported: "commission",
}


def chain(book: Book, name: str) -> list[Link]:
    """Return the chain of an order id or execution id, in log order; raises `UsageError` for another name.

    Of an execution id, the chain holds that execution alone, with what led to its order.
    """
    entries = list(book.trading(ORDER_SIDE))
    order, execution = _find(book, entries, name)
    links: list[Link] = []
    seen: set[int] = set()
    for entry in entries:
        if getattr(entry.event, "order", None) != order or not _belongs(entry.event, execution):
            continue
        for source in _sources(book, entry, order):
            if source.seq not in seen:
                seen.add(source.seq)
                links.append(Link(_role(source), source))
        links.append(Link(_role(entry), entry))
    return links


def _belongs(event: Event, execution: str | None) -> bool:
    return execution is None or getattr(event, "exec_id", execution) == execution


def _find(book: Book, entries: list[Entry], name: str) -> tuple[str, str | None]:
    order_ids, executions = set[str](), dict[str, str]()
    for entry in entries:
        event = entry.event
        order_ids.add(getattr(event, "order", ""))
        if isinstance(event, Filled | FillCorrected):
            executions[event.exec_id] = event.order
    if name in executions:
        return executions[name], name
    if name in order_ids:
        return name, None
    if not order_ids:
        raise UsageError(f"{book.label} has no orders; next: tape replay DATE --strategy NAME")
    near = get_close_matches(name, [*sorted(order_ids), *executions], n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"such as {', '.join(sorted(order_ids)[:3])}"
    raise UsageError(f"{book.label} has no order or execution {name!r}; {hint} (tape orders, tape fills)")


def _sources(book: Book, entry: Entry, order: str) -> list[Entry]:
    """Return the inputs that an entry came from, earliest first: usually one market event.

    A fill of another order may have led to this one; then that fill, and what filled it, come before.
    """
    found: list[Entry] = []
    while entry.at != entry.seq and entry.at > 0:
        entry = book.entry(entry.at)
        if getattr(entry.event, "order", None) == order:
            break  # the order's own news: it is a link of the chain already
        found.append(entry)
    return found[::-1]


def _role(entry: Entry) -> str:
    kind = type(entry.event)
    if kind in _ROLES:
        return _ROLES[kind]
    return BY_TYPE[kind].tag if kind in BY_TYPE else "input"
