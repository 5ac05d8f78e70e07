"""What `live` runs: strategies, limits, account and broker, from the command line and the configuration."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from adapters.ibkr.client import LinkSettings
from app.composition.seating import StrategySpec
from app.composition.trading_rules import TradingRules
from app.configuration.reading import Config, canonical
from app.configuration.rules import exits, limits, signal_rules, sizing_rules
from app.configuration.settings import RiskSection
from app.live.accounts import account_for
from app.live.asking import configured_models, configured_plugins
from app.live.demo import DemoBook, check_free, demo_gateway
from app.live.ending import check_ahead
from app.live.linking import link_of
from app.live.preparing import prepare_session
from app.live.proving import prove
from app.live.request import LiveRequest
from app.live.session import LiveSession, Outcome, run_live
from app.live.signals import stopping
from app.live.telling import Teller
from app.live.watched_files import configured_files
from app.look.books import open_log
from app.operation.writing import Writer
from app.replay.period import parse_period
from app.replay.recorded import Recorded
from app.replay.request import ReplayRequest, options, strategies
from app.replay.summary import result
from app.watch.watching import configured
from core.errors import DataMissing, ExitCode, UsageError
from core.events import SessionEnded, SessionScheduled, SessionStarted
from core.holds import HoldRule
from core.money import plain
from core.ports import Selection, entries_of
from core.retry import RetryRule
from core.risk import Limits
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader

DEMO_DATE = "2025-07-02"
DEMO_CLIENT = 1

Look = Callable[[Teller], None]
Prepare = Callable[[Writer, LiveRequest], None]


class LiveAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for; `None` leaves it to the configuration."""

    strategies: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    account: str | None = None
    observe: bool = False
    until_ts: int | None = None
    speed: float | None = None


class LiveResult(msgspec.Struct, frozen=True):
    """How a session ended: the run that proves it, what is left open, and the signal that stopped it."""

    session: int
    run: RunReader
    outcome: Outcome
    signal_code: int

    def figures(self) -> dict[str, object]:
        """Return what `live --json` shows: what a replay shows, and the session."""
        return {**result(self.run), "session": self.session}

    @property
    def exit_code(self) -> int:
        """The exit code: a signal's, else that of what is left open."""
        if self.signal_code:
            return self.signal_code
        if self.outcome.breaks:
            return ExitCode.RECONCILIATION
        return ExitCode.HALTED if self.outcome.halt else ExitCode.OK


# -- a demo ------------------------------------------------------------------------------------


def run_demo(
    root: Path,
    config: Config,
    date: str,
    asked: LiveAsked,
    *,
    look: Look = lambda _: None,
    say: Callable[[str], None],
) -> LiveResult:
    """Trade a recorded date against a simulated gateway in lock step, then prove the session.

    A demo of that date that was killed is gone on with: its account, from where its gateway's book ends.
    """
    if asked.account is not None:
        raise UsageError("--account: a demo makes an account of its own; leave it out")
    reader = open_log(root)
    chosen = options(config, ReplayRequest(what=date))
    day = _scheduled(reader, date)
    book = DemoBook.of(root, date)
    check_free(root)
    book.wait()
    left = book.left_by() if _cut_short(reader, day) else None
    if left is None:
        book.remove()
    account, start_ts = left or (f"DU{1_000_000 + _sessions(reader) + 1}", day.begin)
    check_ahead(asked.until_ts, start_ts)
    if left is not None:
        say(f"going on with the demo of {date} that was cut short: account {account}")
    with demo_gateway(root, date, account, plain(chosen.cash), book) as gateway:
        link = LinkSettings(
            host=gateway.host,
            port=gateway.port,
            client_id=DEMO_CLIENT,
            account=account,
            lock_step=True,
            start_ns=start_ts,
            tick_by_tick_max=100,
        )
        request = msgspec.structs.replace(
            _request(config, asked, link, account, _demo_strategies(config, asked), chosen.limits, root),
            mode="observe" if asked.observe else "demo",
            speed=asked.speed,
            day=(day.open, day.close),
        )

        def watch(teller: Teller) -> None:
            if gateway.gone:
                teller.session.stopping = "its gateway ended"
            look(teller)

        ended = _run(root, request, watch)
        gateway.check()
    book.remove()
    return ended


def _demo_strategies(config: Config, asked: LiveAsked) -> list[StrategySpec]:
    if not asked.strategies and config.settings.live.strategy:
        return _configured(config, asked)
    request = ReplayRequest(what="", strategies=asked.strategies, settings=asked.settings)
    return strategies(config, request, sample=True)


def _cut_short(reader: LogReader, day: SessionScheduled) -> bool:
    """Return whether the last session was a demo of this day and has no end."""
    last: SessionStarted | None = None
    for entry in entries_of(reader, frozenset({SessionStarted, SessionEnded})):
        last = entry.event if isinstance(entry.event, SessionStarted) else None
    return last is not None and last.mode == "demo" and day.begin <= last.ts < day.end


# -- a broker ----------------------------------------------------------------------------------


def run_broker(root: Path, config: Config, asked: LiveAsked, *, look: Look = lambda _: None) -> LiveResult:
    """Trade at the configured TWS or Gateway until stopped, then prove the session."""
    if asked.speed is not None:
        raise UsageError("--speed: only a demo has one; time passes by itself at a broker")
    check_ahead(asked.until_ts, time.time_ns())
    account = account_for(config, asked.account)
    specs = _configured(config, asked)
    limited = limits(config.settings.risk_management or RiskSection())
    expects: Literal["paper", "real"] = "real" if config.settings.trading.mode == "live" else "paper"
    link = link_of(config.settings.ibkr, account=account, expects=expects)
    request = _request(config, asked, link, account, specs, limited, root)
    return _run(root, request, look, prepare_session)


def _configured(config: Config, asked: LiveAsked) -> list[StrategySpec]:
    entries = config.settings.live.strategy
    if not asked.strategies and not entries:
        return []
    replayed = msgspec.structs.replace(config.settings.replay, strategy=entries)
    settings = msgspec.structs.replace(config.settings, replay=replayed)
    request = ReplayRequest(what="", strategies=asked.strategies, settings=asked.settings)
    return strategies(Config(settings, {}), request, sample=False)


# -- both --------------------------------------------------------------------------------------


def _request(
    config: Config,
    asked: LiveAsked,
    link: LinkSettings,
    account: str,
    specs: list[StrategySpec],
    limited: Limits,
    root: Path,
) -> LiveRequest:
    text, digest = canonical(config)
    return LiveRequest(
        mode="observe" if asked.observe else "live",
        link=link,
        strategies=tuple(specs),
        account=account,
        rules=_rules(config, limited),
        files=configured_files(config),
        plugins=(*configured_models(config), *configured_plugins(config)),
        watchlist=tuple(config.settings.trading.watchlist),
        config=text,
        config_hash=digest,
        until_ts=asked.until_ts,
        watching=configured(config, root),
    )


def _rules(config: Config, limited: Limits) -> TradingRules:
    settings = config.settings
    return TradingRules(
        currency=settings.replay.currency,
        limits=limited,
        exits=exits(settings.risk_management),
        retry=RetryRule(
            attempts=settings.trading.order_retries, within_s=settings.trading.order_retry_within_s
        ),
        hold=HoldRule(within_s=settings.trading.order_hold_s),
        signals=signal_rules(config),
        sizing=sizing_rules(config),
    )


def _run(
    root: Path, request: LiveRequest, look: Look, prepare: Prepare = lambda _writer, _request: None
) -> LiveResult:
    with _watched(root, look) as watch:
        outcome = run_live(root, request, watch=watch, prepare=prepare)
    return LiveResult(outcome.session, prove(root, _recorded(root, outcome)), outcome, watch.signal_code)


class _Watch:
    """Called by the session in between: signals are heeded, the status file is kept, people look."""

    def __init__(self, root: Path, look: Look) -> None:
        self._root = root
        self._look = look
        self._asked = False
        self.teller: Teller | None = None
        self.signal_code = 0

    def __call__(self, session: LiveSession) -> None:
        if self.teller is None:
            self.teller = Teller(session, self._root)
        if self._asked:
            session.stopping = "signal"
        self.teller.keep_file()
        self._look(self.teller)

    def stop(self) -> None:
        self._asked = True
        if self.teller is not None:
            self.teller.session.stopping = "signal"


@contextmanager
def _watched(root: Path, look: Look) -> Iterator[_Watch]:
    watch = _Watch(root, look)
    try:
        with stopping(watch.stop) as asked:
            yield watch
            watch.signal_code = asked.exit_code
    finally:
        if watch.teller is not None:
            watch.teller.close()


def _recorded(root: Path, outcome: Outcome) -> Recorded:
    reader = LogReader(root)
    for batch in reader.entries(Selection(first_seq=outcome.first_seq, last_seq=outcome.first_seq)):
        for entry in batch:
            assert isinstance(entry.event, SessionStarted)
            return Recorded(entry.event, outcome.first_seq, outcome.last_seq)
    raise AssertionError("a session begins with SessionStarted")


def _sessions(reader: LogReader) -> int:
    return sum(len(batch) for batch in reader.entries(Selection(types=frozenset({SessionStarted}))))


def _scheduled(reader: LogReader, date: str) -> SessionScheduled:
    found = [
        entry.event
        for entry in entries_of(reader, frozenset({SessionScheduled}))
        if isinstance(entry.event, SessionScheduled) and entry.event.date == date
    ]
    if not found:
        parse_period(date)  # is it a date at all?
        raise DataMissing(f"no session of {date} in the log; next: tape status shows what it holds")
    return min(found, key=lambda session: session.begin)
