"""What the look verbs show, as plain rows: positions, orders, fills, events and the state at a moment.

Computes from `app.look.snapshots` and the projections; knows nothing of tables, terminals or JSON.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

import msgspec

from app.look.books import Book, Facts
from app.look.moments import parse_time, tag_of
from app.look.seqs import parse_seq
from app.look.snapshots import Snapshot
from app.values import jsonable
from core.clock import DAY_NS
from core.errors import UnknownStrategy, UsageError
from core.events import BY_TAG, BY_TYPE, MARKET_DATA, Entry, Event, SessionStarted, SignalReceived
from core.money import ZERO, money
from core.ports import RUN_BASE, Selection
from core.risk import NO_LIMITS, Limits
from core.risk.standing import Standing, standings, to_stops
from core.views import Execution, Order, Position
from projections.sessions import Sessions

_UNLIMITED = 1 << 62
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class PositionRow(msgspec.Struct, frozen=True):
    """A position valued at its mark. Amounts are in the instrument's currency; `None` is unknown."""

    account: str
    instrument: str
    quantity: Decimal
    average_cost: Decimal
    mark: float | None
    unrealised: Decimal | None
    realised: Decimal
    strategies: list[str]


class AccountRow(msgspec.Struct, frozen=True):
    """An account and its risk; amounts in `currency`, shares as fractions, `None` where unknown.

    `gross` sums the sizes of all positions' values, `net` their signed values. The day's result and the
    drawdown go by the equity samples that the session recorded.
    """

    account: str
    currency: str
    cash: dict[str, Decimal]
    commissions: dict[str, Decimal]
    equity: Decimal | None
    gross: Decimal | None
    net: Decimal | None
    gross_share: Decimal | None
    day_pnl: Decimal | None
    drawdown: Decimal | None
    drawdown_max: Decimal | None
    orders_last_minute: int
    peak: Decimal | None
    risk_to_stops: Decimal | None
    limits: list[Standing]


class StateView(msgspec.Struct, frozen=True):
    """Everything that a fold knows at one moment. `seq` is the last order-side event that is part of it."""

    book: str
    at: str
    seq: int
    ts: int
    positions: list[PositionRow]
    orders: list[Order]
    accounts: list[AccountRow]
    signals: list[SignalReceived] = []


class Bounds(TypedDict, total=False):
    """Where a slice begins and ends, inclusive, as arguments of `EventFilter`."""

    first_seq: int
    last_seq: int
    begin_ts: int
    end_ts: int


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to show. Bounds are inclusive, each a seq or a time; a first seq of 0 is no bound."""

    types: frozenset[type[Event]] | None = None
    instrument: str | None = None
    strategy: str | None = None
    first_seq: int = 0
    last_seq: int = _UNLIMITED
    begin_ts: int | None = None
    end_ts: int | None = None

    @property
    def by_seq(self) -> bool:
        """Whether a bound is a seq."""
        return self.first_seq > 0 or self.last_seq != _UNLIMITED

    def selection(self) -> Selection:
        """Return what a reader can narrow for us."""
        return Selection(
            first_seq=max(1, self.first_seq),
            last_seq=None if self.last_seq == _UNLIMITED else self.last_seq,
            types=self.types,
            instruments=None if self.instrument is None else frozenset({self.instrument}),
            begin_ts=self.begin_ts,
            end_ts=None if self.end_ts is None else self.end_ts + 1,
        )

    def accepts(self, entry: Entry) -> bool:
        """Return whether an entry is to be shown, whatever the reader narrowed."""
        event = entry.event
        return (
            self.first_seq <= entry.seq <= self.last_seq
            and (self.types is None or type(event) in self.types)
            and (self.instrument is None or getattr(event, "instrument", None) == self.instrument)
            and (self.strategy is None or getattr(event, "strategy", None) == self.strategy)
            and (self.begin_ts is None or event.ts >= self.begin_ts)
            and (self.end_ts is None or event.ts <= self.end_ts)
        )


def positions(state: Snapshot, *, flat: bool = False) -> list[PositionRow]:
    """Return the positions, valued; with `flat` also those that were closed."""
    shown = state.positions.positions() if flat else state.positions.open_positions()
    return [_position(state, position) for position in shown]


def _position(state: Snapshot, position: Position) -> PositionRow:
    mark = state.quotes.mark(position.instrument) if position.quantity else None
    open_profit = ZERO if not position.quantity else None
    if mark is not None:
        open_profit = state.positions.unrealised(position.account, position.instrument, mark)
    return PositionRow(
        position.account,
        position.instrument,
        position.quantity,
        position.average_cost,
        mark,
        open_profit,
        position.realised,
        state.positions.strategies(position.account, position.instrument),
    )


def orders(
    state: Snapshot,
    *,
    strategy: str | None = None,
    instrument: str | None = None,
    working: bool = False,
) -> list[Order]:
    """Return orders as they stand, oldest first."""
    return [
        order
        for order in state.orders.orders()
        if (strategy is None or order.strategy == strategy)
        and (instrument is None or order.instrument == instrument)
        and (order.working or not working)
    ]


def fills(
    state: Snapshot, *, strategy: str | None = None, instrument: str | None = None, order: str | None = None
) -> list[Execution]:
    """Return executions in their highest revision, by execution time."""
    return [
        execution
        for execution in state.orders.executions(order)
        if (strategy is None or execution.strategy == strategy)
        and (instrument is None or execution.instrument == instrument)
    ]


def traded_by(state: Snapshot) -> set[str]:
    """Return the accounts that ever had an order or an execution, those of others at the same login too."""
    ordered = {order.account for order in state.orders.orders()}
    return ordered | {execution.account for execution in state.orders.executions()}


def accounts(state: Snapshot, currency: str, limits: Limits = NO_LIMITS) -> list[AccountRow]:
    """Return every account that ever had cash or trades, and how it stands against `limits`."""
    return [_account(state, name, currency, limits) for name in state.account.accounts()]


def _account(state: Snapshot, name: str, currency: str, limits: Limits) -> AccountRow:
    account, risk = state.account, state.risk
    exposure = risk.exposure(name, currency)
    equity = account.equity(name, currency)
    share = money(exposure.gross / equity) if exposure is not None and equity else None
    held = account.currencies(name)
    return AccountRow(
        account=name,
        currency=currency,
        cash={item: account.cash(name, item) for item in held},
        commissions={item: account.commissions(name, item) for item in held},
        equity=equity,
        gross=None if exposure is None else exposure.gross,
        net=None if exposure is None else exposure.net,
        gross_share=share,
        day_pnl=risk.day_pnl(name, currency),
        drawdown=risk.drawdown(name, currency),
        drawdown_max=risk.drawdown_max(name, currency),
        orders_last_minute=risk.orders_last_minute(state.ts, account=name),
        peak=risk.peak_equity(name, currency),
        risk_to_stops=to_stops(name, state.risk_state(currency)),
        limits=standings(name, state.risk_state(currency), limits, state.ts),
    )


def state_view(book: Book, state: Snapshot, at: str) -> StateView:
    """Return positions, working orders and accounts of a snapshot."""
    return StateView(
        book.label,
        at,
        state.seq,
        state.ts,
        positions(state),
        orders(state, working=True),
        accounts(state, book.currency, book.limits()),
        state.signals.held(),
    )


def event_types(names: tuple[str, ...]) -> frozenset[type[Event]] | None:
    """Return event types by tag (`filled`) or class name (`Filled`), in any case; `None` for all.

    Raises `UsageError` for a name that is none.
    """
    if not names:
        return None
    known = {t.__name__.lower(): t for t in BY_TYPE} | {tag: entry.type for tag, entry in BY_TAG.items()}
    unknown = [name for name in names if name.lower() not in known]
    if unknown:
        near = [m for name in unknown for m in get_close_matches(name.lower(), BY_TAG, n=1, cutoff=0.5)]
        hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(BY_TAG)}"
        raise UsageError(f"no event type {', '.join(map(repr, unknown))}; {hint}")
    return frozenset(known[name.lower()] for name in names)


def bounds(first: str | None, last: str | None) -> Bounds:
    """Read `--from` and `--to`, each a seq or a time, as arguments of `EventFilter`; raises `UsageError`.

    A date alone is the whole of that day (UTC), at either end.
    """
    found: Bounds = {}
    _bound(found, first, "first_seq", "begin_ts")
    _bound(found, last, "last_seq", "end_ts")
    upside_down = found.get("first_seq", 0) > found.get("last_seq", _UNLIMITED) or (
        "begin_ts" in found and "end_ts" in found and found["begin_ts"] > found["end_ts"]
    )
    if upside_down:
        raise UsageError(f"--from {first} is after --to {last}; both are inclusive")
    if last is not None and _DATE.fullmatch(last.strip()):
        found["end_ts"] += DAY_NS - 1  # inclusive: the whole of that day
    return found


def _bound(
    found: Bounds,
    text: str | None,
    seq_key: Literal["first_seq", "last_seq"],
    ts_key: Literal["begin_ts", "end_ts"],
) -> None:
    seq = None if text is None else parse_seq(text)
    if seq is not None:
        found[seq_key] = seq
    elif text is not None:
        found[ts_key] = parse_time(text)


def source(book: Book, chosen: EventFilter) -> Facts:
    """Return what holds the chosen events: of a run its own, and the log's where they are asked for by seq.

    Raises `UsageError` if one bound is a seq of the log and the other one of the run.
    """
    first, last = chosen.first_seq, chosen.last_seq
    if book.run is None or book.facts.last_seq() <= RUN_BASE:  # the proof of a session has no seqs of its own
        return book.log if book.run is not None and last <= RUN_BASE else book.facts
    if not 0 < first <= RUN_BASE and last > RUN_BASE:
        return book.facts
    if RUN_BASE < last < _UNLIMITED or first > RUN_BASE:
        raise UsageError(
            f"--from {first} --to {last}: expected two seqs of {book.label}, or two of its log: {book.seqs()}"
        )
    return book.log


def source_note(book: Book, chosen: EventFilter) -> str:
    """Return what to say where the chosen events are the log's, though a run is looked at; else nothing."""
    if book.run is None or source(book, chosen) is not book.log:
        return ""
    own = book.facts.last_seq() > RUN_BASE
    return f"the seqs are the log's; {book.label} " + (
        f"has its own events from {RUN_BASE + 1} on" if own else "is a session in it"
    )


def events(book: Book, chosen: EventFilter) -> Iterator[Entry]:
    """Yield the chosen entries of a book in order, from their `source`."""
    for batch in source(book, chosen).entries(chosen.selection()):
        for entry in batch:
            if chosen.accepts(entry):
                yield entry


def event_row(entry: Entry, when: str) -> dict[str, Any]:
    """Return an entry as one object: its envelope, `type` and the body under `data`."""
    event = entry.event
    body = {name: getattr(event, name) for name in event.__struct_fields__ if name != "ts"}
    return {
        "seq": entry.seq,
        "type": tag_of(event),
        "ts": event.ts,
        "time": when,
        "recv": entry.recv,
        "at": entry.at,
        "cause": entry.cause,
        "data": body,
    }


_json = json.JSONEncoder(ensure_ascii=False)


def json_line(entry: Entry, when: str) -> str:
    """Return an entry as one line of JSON, the same as `event_row` made JSON."""
    row = event_row(entry, when)
    # Market data are text and finite numbers, and they are most of a log.
    return _json.encode(row if type(entry.event) in MARKET_DATA else jsonable(row))


def summary(event: Event, *, value_max: int | None = None) -> str:
    """Return an event's body in one line, without what is empty; longer values are cut at `value_max`."""
    parts: list[str] = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name != "ts" and value not in (None, "", False):
            text = format(value, "f") if isinstance(value, Decimal) else str(value)
            cut = value_max is not None and len(text) > value_max
            parts.append(f"{name}={text[:value_max]}…" if cut else f"{name}={text}")
    return " ".join(parts)


def check_names(book: Book, *, instrument: str | None = None, strategy: str | None = None) -> None:
    """Refuse names that a book does not know, for who found nothing by them.

    Raises `UnknownInstrument` or `UnknownStrategy`.
    """
    if instrument is not None:
        sessions = Sessions()
        for entry in book.definitions():
            sessions.apply(entry)
        sessions.instrument(instrument)
    if strategy is not None:
        known = strategies_of(book)
        if strategy not in known:
            raise UnknownStrategy(
                f"{book.label} has no strategy {strategy!r}; it has {', '.join(known) or 'none'}"
            )


def strategies_of(book: Book) -> list[str]:
    """Return the ids of the strategies that a book's sessions ran, in their order."""
    entries = book.trading({SessionStarted})
    told = [json.loads(e.event.strategies) for e in entries if isinstance(e.event, SessionStarted)]
    return list(dict.fromkeys(str(item["id"]) for strategies in told for item in strategies))
