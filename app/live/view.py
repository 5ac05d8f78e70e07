"""A running session as people see it: a living view on a terminal, plain lines elsewhere; on stderr.

Made a few times a second at most, and less often where drawing is slow, so that it never takes more than a
twentieth of the loop's time. Shows what `app.live.telling` tells; decides nothing and asks nothing.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from app.live.missed import missed
from app.live.repeats import Repeats, collapsed
from app.live.telling import LiveStatus, Teller
from app.signals.troubles import trouble_of
from app.tables import on_terminal
from app.values import cell, counted, when
from core.clock import SECOND_NS
from core.events import (
    BreakAccepted,
    BreakFound,
    BrokerMessage,
    CancelIntended,
    ConnectionChanged,
    DataGapChanged,
    Event,
    Filled,
    HaltRequested,
    HaltVerified,
    ModifyIntended,
    OrderIntended,
    OrderStatusChanged,
    ReconciliationFinished,
    RiskRefused,
    SendFailed,
    SignalFileRead,
    TradingResumed,
)

REFRESH_S = 0.25
PLAIN_PERIOD_S = 5.0
SHARE_MAX = 0.05
"""The share of the loop's time that drawing may take."""
_EVENTS = 8

Look = Callable[[Teller], None]


@contextmanager
def watching(verbosity: int) -> Iterator[Look]:
    """Return what shows a session when it is called, as often as the loop likes."""
    if verbosity < 0:
        yield lambda _teller: None
    elif on_terminal(sys.stderr):
        with _screen() as look:
            yield look
    else:
        view = PlainView()
        try:
            yield view.look
        finally:
            view.tell_repeats(math.inf)


class Pace:
    """Says when to draw again, from what drawing takes."""

    def __init__(self, period_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._monotonic = monotonic
        self._next_s = 0.0

    def due(self) -> bool:
        """Return whether it is time to draw."""
        return self._monotonic() >= self._next_s

    def drew(self, begun_s: float) -> None:
        """Take note of a drawing that began then and has ended now."""
        now = self._monotonic()
        self._next_s = now + max(self._period_s, (now - begun_s) / SHARE_MAX)


class PlainView:
    """What matters as it happens, repeats counted, and a line about the whole every few seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._pace = Pace(PLAIN_PERIOD_S, monotonic)
        self._repeats = Repeats()
        self._shown = 0
        self._first = True

    def look(self, teller: Teller) -> None:
        """Print what is new."""
        for seq, event in teller.recent():
            new = seq > self._shown and type(event) in _IMPORTANT
            if new and self._repeats.tells(event, self._monotonic()):
                self._print(event, described(event))
            self._shown = max(self._shown, seq)
        if self._pace.due():
            begun = self._monotonic()
            self.tell_repeats(begun)
            if not self._first:
                print(summary(teller.tell()), file=sys.stderr, flush=True)
            self._first = False
            self._pace.drew(begun)

    def tell_repeats(self, now_s: float) -> None:
        """Print how many repeats were not told, for those that are due."""
        for count, event in self._repeats.due(now_s):
            more = f"  (and {count - 1:,} more like it)" if count > 1 else ""
            self._print(event, f"{described(event)}{more}")

    @staticmethod
    def _print(event: Event, text: str) -> None:
        print(f"{when(event.ts // SECOND_NS * SECOND_NS)} {text}", file=sys.stderr, flush=True)


def summary(told: LiveStatus) -> str:
    """Return a session in one line."""
    parts = [
        when(told.time // SECOND_NS * SECOND_NS),
        "connected" if told.connected else "not connected",
        f"gate {told.gate}",
        counted(told.active_positions, "position"),
        counted(told.pending_orders, "working order"),
        f"equity {_amount(told.equity)} {told.currency}",
        f"{told.events:,} events",
    ]
    return "  ".join(parts)


def described(event: Event) -> str:
    """Return an event in a few words."""
    teller = _WORDS.get(type(event))
    return teller(event) if teller is not None else type(event).__name__


def _counted(told: SignalFileRead) -> str:
    rejected = f", {told.rejected} rows rejected" if told.rejected else ""
    return f"{told.file}: {told.accepted} signals{rejected}"


_WORDS: dict[type[Event], Callable[[Any], str]] = {
    OrderIntended: lambda e: (
        f"{e.strategy} wants {e.side} {cell(e.quantity)} {e.instrument} {e.type} ({e.reason})"
    ),
    ModifyIntended: lambda e: f"{e.order}: to be changed ({e.reason})",
    CancelIntended: lambda e: f"{e.order}: to be cancelled ({e.reason})",
    RiskRefused: lambda e: f"{e.order or e.strategy} refused by {e.rule}: {e.message}",
    Filled: lambda e: f"{e.order} {e.side} {cell(e.quantity)} {e.instrument} filled at {cell(e.price)}",
    OrderStatusChanged: lambda e: f"{e.order} {e.status}" + (f": {e.message}" if e.message else ""),
    SendFailed: lambda e: f"{e.order} not sent: {e.message}",
    ConnectionChanged: lambda e: f"connection {e.state}" + (f": {e.reason}" if e.reason else ""),
    ReconciliationFinished: lambda e: (
        f"reconciled with the broker ({e.reason}): {counted(e.breaks, 'break')}"
    ),
    BreakFound: lambda e: f"BREAK {e.message}",
    BreakAccepted: lambda e: f"break in {e.instrument} accepted: {e.reason}",
    HaltRequested: lambda e: f"HALT {e.level} ({e.origin}): {e.reason}",
    HaltVerified: lambda e: (
        f"{e.level} {'reached' if e.reached else 'NOT REACHED'}: "
        f"{counted(e.working_orders, 'working order')}, {counted(e.open_positions, 'position')} at the broker"
    ),
    TradingResumed: lambda e: f"trading resumed: {e.reason}",
    SignalFileRead: lambda e: f"signals of {e.source}: {trouble_of(e) or _counted(e)}",
    BrokerMessage: lambda e: f"{e.severity} {e.code}: {e.text}",
    DataGapChanged: lambda e: missed(e.instrument, e.state, e.begin, e.end, e.rows, e.reason),
}
_IMPORTANT = frozenset(_WORDS) - {OrderIntended, ModifyIntended, CancelIntended, Filled, OrderStatusChanged}


# -- on a terminal -----------------------------------------------------------------------------


@contextmanager
def _screen() -> Iterator[Look]:
    from rich.console import Console  # noqa: PLC0415  # 80 ms that only a terminal is worth
    from rich.live import Live  # noqa: PLC0415

    pace = Pace(REFRESH_S)
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:

        def look(teller: Teller) -> None:
            if pace.due():
                begun = time.monotonic()
                live.update(drawn(teller.tell(), teller.recent()), refresh=True)
                pace.drew(begun)

        yield look


def drawn(told: LiveStatus, recent: list[tuple[int, Event]]) -> Any:
    """Return a session as a drawing of rich."""
    from rich.console import Group  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = collapsed((event for _, event in recent if type(event) in _WORDS), _EVENTS)
    lines = [(f"{count:,} x " if count > 1 else "", event) for count, event in shown]
    events = [
        Text(f"{when(event.ts)[11:19]}  {times}{described(event)}", no_wrap=True, overflow="ellipsis")
        for times, event in lines
    ]
    parts = [_head(told), _positions(told), _orders(told), _data(told), *events]
    title = f"{told.mode} session {told.session}: {', '.join(told.strategies) or 'no strategy'}"
    return Panel(Group(*[part for part in parts if part is not None]), title=title, title_align="left")


def _head(told: LiveStatus) -> Any:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    link = Text("connected", style="green") if told.connected else Text(told.link, style="bold red")
    gate = Text("open", style="green") if told.gate == "open" else Text(told.gate, style="bold yellow")
    grid.add_row("time", when(told.time // SECOND_NS * SECOND_NS) + _bar(told.progress))
    grid.add_row("account", f"{told.account} at {told.host}:{told.port}, client {told.client_id}")
    grid.add_row("connection", link)
    grid.add_row("gate", gate)
    grid.add_row("equity", f"{_amount(told.equity)} {told.currency}   day {_amount(told.day_pnl)}")
    grid.add_row("cash", f"{_amount(told.cash)}   commissions {_amount(told.commissions)}")
    journal = f"{told.journal_sync_ms:.1f} ms (longest {told.journal_sync_ms_max:.0f})"
    grid.add_row("events", f"{told.events:,}   queue {told.queue}   journal sync {journal}")
    return grid


def _bar(progress: float | None) -> str:
    if progress is None:
        return ""
    full = round(progress * 20)
    return f"   {'#' * full}{'.' * (20 - full)} {progress:4.0%}"


def _positions(told: LiveStatus) -> Any:
    rows = [
        (p.instrument, cell(p.quantity), cell(p.average_cost), cell(p.mark), _amount(p.unrealised))
        for p in told.positions
    ]
    return _table(("position", "quantity", "cost", "mark", "unrealised"), rows)


def _orders(told: LiveStatus) -> Any:
    rows = [
        (o.order, o.side, cell(o.quantity), o.instrument, o.type, cell(o.limit or o.stop), o.state)
        for o in told.orders[:10]
    ]
    return _table(("working order", "side", "quantity", "instrument", "type", "price", "state"), rows)


def _data(told: LiveStatus) -> Any:
    rows = [
        (d.instrument, d.state, cell(d.last), "" if d.age_s is None else f"{d.age_s:,.1f} s")
        for d in told.data[:10]
    ]
    return _table(("data", "state", "last", "age"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not rows:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    return table


def _amount(value: Decimal | None) -> str:
    return "unknown" if value is None else f"{value:,.2f}"
