"""A live session, here or in a process of its own, and its log against the gateway's own book."""

import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from adapters.ibkr.gateway.book import Ticket
from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.composition.trading_rules import TradingRules
from app.live.proving import prove
from app.live.request import LiveRequest
from app.live.session import LiveSession
from app.look.books import open_book, open_log
from app.look.snapshots import snapshot
from app.replay.recorded import Recorded
from core.events import OrderAttempted, OrderIntended, SessionEnded, SessionStarted
from core.ports import entries_of
from core.retry import RetryRule
from eventstore.journal.journal import Journal
from tests import forked
from tests.live import crash_child
from tests.live.quick import QUICK
from tests.logs import events_of

HERE = Path(__file__).parent
ACCOUNT = "DU1000001"
OPEN_S = 1_751_463_000
CRASH_UNTIL, END = OPEN_S + 100, OPEN_S + 150
SECOND = 10**9


def trade(
    log: Path,
    port: int,
    point: str = "-",
    number: int = 1,
    until_s: int = END,
    broken: str = "",
    retries: int = 0,
    strategy: str = "tides",
) -> int:
    """Run a session in a process of its own; return its exit code."""
    errors = log.with_name("errors.txt")
    chosen = {"broken": broken, "retries": retries, "strategy": strategy}
    session = partial(crash_child.main, **chosen)
    code = forked.run(
        session, log, port, ACCOUNT, (point, number), until_s * SECOND, errors=errors, timeout_s=90
    )
    assert code in (0, -signal.SIGKILL), errors.read_text()[-3000:]
    return code


def play(
    log: Path,
    port: int,
    client: Callable[[LiveSession], None] = lambda _: None,
    *,
    until_s: int = END,
    retries: int = 0,
    strategy: str = "tides",
    parameters: dict[str, Any] | None = None,
    **rules: Any,
) -> None:
    """Run a session in this process, in lock step; `client` may take a protection from it.

    `rules` are further rules that it trades under.
    """
    until = until_s * SECOND
    request = LiveRequest(
        mode="demo",
        link=LinkSettings(
            port=port, account=ACCOUNT, lock_step=True, start_ns=until - 3600 * SECOND, **QUICK
        ),
        strategies=(
            StrategySpec(f"{HERE / strategy}.py:{strategy.capitalize()}", parameters or {}, strategy),
        ),
        account=ACCOUNT,
        until_ts=until,
        rules=TradingRules(retry=RetryRule(attempts=retries), **rules),
    )
    journal = Journal.open(log)
    try:
        session = LiveSession(journal, request, lambda _: ())
        client(session)
        session.run()
    finally:
        journal.commit(sync=True)
        journal.close()


def at_the_broker(book: Path) -> list[str]:
    """Return the reference of every order that the gateway ever took."""
    return [msgspec.json.decode(e.reason, type=Ticket).order_ref for e in events_of(book, OrderIntended)]


def broken_invariants(log: Path, book: Path) -> list[str]:
    """Return what is wrong of I3 and I4."""
    intents = {e.order for e in events_of(log, OrderIntended)}
    names = {e.ref: e.order for e in events_of(log, OrderAttempted)}
    sent = at_the_broker(book)
    unknown = [ref for ref in sent if names.get(ref) not in intents]
    orders = Counter(names.get(ref, ref) for ref in sent)
    return [
        *(f"I3: {ref} is at the broker, its intent is not in the log" for ref in unknown),
        *(f"I4: {order} is at the broker {n} times" for order, n in orders.items() if n > 1),
    ]


def book_differences(log: Path, book: Path, *, charges: bool = True) -> list[str]:
    """Return in words what of executions, positions, money and working orders differs.

    Without `charges`, commissions and what they do to the balance are left out.
    """
    ours, theirs = snapshot(open_book(log, "log")), snapshot(open_book(book, "log"))
    names = {e.order: e.ref for e in events_of(log, OrderAttempted)}
    tickets = {
        e.order: msgspec.json.decode(e.reason, type=Ticket).order_ref for e in events_of(book, OrderIntended)
    }

    def told(state, refs: dict[str, str]) -> dict[str, object]:
        account = state.account
        return {
            "executions": sorted(
                (e.exec_id, e.side, e.quantity, e.price, e.commission if charges else "", e.instrument)
                for e in state.orders.executions()
                if e.account == ACCOUNT
            ),
            "positions": [(p.instrument, p.quantity) for p in state.positions.open_positions()],
            "money": (account.cash(ACCOUNT, "USD"), account.commissions(ACCOUNT, "USD")) if charges else (),
            "working": sorted((refs.get(o.id, o.id), o.quantity, o.limit) for o in state.orders.working()),
        }

    here, there = told(ours, names), told(theirs, tickets)
    return [
        f"{what}: {here[what]}, at the gateway {there[what]}" for what in here if here[what] != there[what]
    ]


def assert_same_books(log: Path, book: Path) -> None:
    assert book_differences(log, book) == []


def assert_survives(kill: Callable[[], int], go_on: Callable[[], int], gateway: Any, log: Path) -> None:
    """Kill a session, go on in another: nothing is lost or sent twice, it trades, the books agree."""
    assert kill() == -signal.SIGKILL
    before = at_the_broker(gateway.book)
    assert broken_invariants(log, gateway.book) == []
    assert go_on() == 0
    gateway.stop()
    assert len(at_the_broker(gateway.book)) > len(before)
    assert broken_invariants(log, gateway.book) == []
    assert_same_books(log, gateway.book)


def prove_all(log: Path) -> None:
    """Replay each recorded session; raises `Differs` where one does not come out as it was recorded."""
    frames = list(entries_of(open_log(log), frozenset({SessionStarted, SessionEnded})))
    starts = [e for e in frames if isinstance(e.event, SessionStarted)]
    for entry in starts:
        last = next(e.seq for e in frames if e.seq > entry.seq)
        prove(log, Recorded(entry.event, entry.seq, last))
