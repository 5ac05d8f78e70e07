"""What `live` runs: strategies, limits, account and broker, from the command line and the configuration."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from adapters.ibkr.client import LinkSettings
from app.books import open_log
from app.config import Config, canonical
from app.live.demo import demo_gateway
from app.live.proving import Recorded, prove
from app.live.session import LiveRequest, LiveSession, Outcome, run_live
from app.replaying import result
from app.running import ReplayRequest, options, strategies
from app.seating import StrategySpec
from app.watch.watching import configured
from core.errors import DataMissing
from core.events import SessionScheduled, SessionStarted
from core.money import plain
from core.ports import Selection
from core.retry import RetryRule
from core.risk import Limits
from eventstore.reader import LogReader
from eventstore.runs import RunReader

DEMO_DATE = "2025-07-02"
DEMO_CLIENT = 1

Watch = Callable[[LiveSession], None]


class DemoResult(msgspec.Struct, frozen=True):
    """How a demo ended: its session, and the run that proves it."""

    session: int
    run: RunReader

    def figures(self) -> dict[str, object]:
        """Return what `live --json` shows: what a replay shows, and the session."""
        return {**result(self.run), "session": self.session}


def run_demo(
    root: Path,
    config: Config,
    request: ReplayRequest,
    *,
    sample: bool,
    until_ts: int | None = None,
    watch: Watch = lambda _: None,
) -> DemoResult:
    """Trade a recorded date against a simulated gateway in lock step, then prove the session."""
    reader = open_log(root)
    date = request.what
    specs = strategies(config, request, sample=sample)
    chosen = options(config, request)
    number = _sessions(reader) + 1
    account = f"DU{1_000_000 + number}"
    day = _scheduled(reader, date)
    with demo_gateway(root, date, account, plain(chosen.cash)) as gateway:
        link = LinkSettings(
            host=gateway.host,
            port=gateway.port,
            client_id=DEMO_CLIENT,
            account=account,
            lock_step=True,
            start_ns=day.begin,
            tick_by_tick_max=100,
        )
        outcome = run_live(
            root, _request("demo", link, specs, account, config, chosen.limits, until_ts, root), watch=watch
        )
    return DemoResult(outcome.session, prove(root, _recorded(root, outcome)))


def _request(
    mode: str,
    link: LinkSettings,
    specs: list[StrategySpec],
    account: str,
    config: Config,
    limited: Limits,
    until_ts: int | None,
    root: Path,
) -> LiveRequest:
    text, digest = canonical(config)
    return LiveRequest(
        mode=mode,
        link=link,
        strategies=tuple(specs),
        account=account,
        currency=config.settings.replay.currency,
        limits=limited,
        retry=RetryRule(
            attempts=config.settings.trading.order_retries,
            within_s=config.settings.trading.order_retry_within_s,
        ),
        watchlist=tuple(config.settings.trading.watchlist),
        config=text,
        config_hash=digest,
        until_ts=until_ts,
        watching=configured(config, root),
    )


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
        for batch in reader.entries(Selection(types=frozenset({SessionScheduled})))
        for entry in batch
        if isinstance(entry.event, SessionScheduled) and entry.event.date == date
    ]
    if not found:
        raise DataMissing(f"no session of {date} in the log; next: tape status shows what it holds")
    return min(found, key=lambda session: session.begin)
