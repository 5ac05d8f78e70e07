"""One live session, from taking the log's lock to giving it back.

Composes the log, the folds of its past, the connection, the strategies and the loop; decides nothing of
trading. The session is recorded as it happens, and a proof of it is a replay of that record.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec

from adapters.ibkr.client import IbClient, LinkSettings
from adapters.ibkr.data.marketdata import DataLimits, MarketData
from adapters.ibkr.data.resolving import name_of
from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import OrderChannel
from app.composition.assembling import assemble
from app.composition.past import past_of
from app.composition.ranging import warmed
from app.composition.seating import StrategySpec, seat
from app.composition.trading_rules import TradingRules
from app.data.definitions import definition
from app.live.asking import PluginToAsk, SignalPlugins
from app.live.collecting import set_aside
from app.live.commands import OperatorDesk
from app.live.guarding import GuardedBroker
from app.live.kill_file import KillFile
from app.live.pacing import PacedLink
from app.live.recording import LiveRecorder
from app.live.scheduling import Schedule
from app.live.source import Commands, LiveSource
from app.live.supervising import Supervisor
from app.live.warming import KEY as WARM_UP
from app.live.warming import Range, bar_feeds, bars_wanted, plan_live, source_of
from app.live.watched_files import FilesToWatch, SignalFiles
from app.operation.operator import Desk
from app.operation.writing import Writer, writing
from app.signals.troubles import Troubles
from app.version import VERSION
from app.watch.hub import Hub
from app.watch.watching import Watched, Watching
from app.watch.watching import watch as watch_over
from core.agenda import Agenda
from core.errors import UsageError
from core.events import (
    Event,
    HealthState,
    InstrumentDefined,
    SessionStarted,
)
from core.exits.ranges import TrueRanges
from core.loop import Loop
from core.ports import Recorder
from eventstore.journal import Journal
from eventstore.reader import LogReader
from projections.sessions import Sessions

_FILLS = "Interactive Brokers"


class LiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to run live. `until_ts` ends the session; `mode` is `demo`, `live` or `observe`.

    `speed` paces a demo: session time passes so many times faster than real time; `None` waits for nothing.
    `day` bounds a demo's day, for its progress.
    """

    mode: str
    link: LinkSettings
    strategies: tuple[StrategySpec, ...]
    account: str
    rules: TradingRules = TradingRules()
    watchlist: tuple[str, ...] = ()
    files: FilesToWatch = FilesToWatch()
    plugins: tuple[PluginToAsk, ...] = ()
    config: str = "{}"
    config_hash: str = ""
    until_ts: int | None = None
    watching: Watching = Watching()
    speed: float | None = None
    day: tuple[int, int] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What a session left in the log: its number and the seqs from its start to its end, and what is open.

    `halt` is the level that trading is halted at, `breaks` names the instruments that differ from the
    broker's.
    """

    session: int
    first_seq: int
    last_seq: int
    halt: str
    breaks: tuple[str, ...]


class InstrumentNames:
    """Names of instruments by what the broker calls them; one that was never defined is named by its id."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def instrument(self, con_id: int | None, symbol: str) -> str:
        """Return our name of a contract."""
        for known in self._sessions.instruments():
            if con_id and known.con_id == con_id:
                return known.instrument
        return f"{symbol}-{con_id}" if con_id else symbol


class LiveSession:
    """A session with everything checked and nothing done yet; `run` does it."""

    def __init__(
        self,
        journal: Journal,
        request: LiveRequest,
        commands: Commands,
        *,
        watch: Callable[["LiveSession"], None] = lambda _: None,
        troubles: Troubles | None = None,
    ) -> None:
        self.troubles = Troubles() if troubles is None else troubles
        self.health: Mapping[str, HealthState] = {}
        self._journal = journal
        self.request = request
        self._watch = watch
        self._commands = commands
        self.source: LiveSource | None = None
        self.stopping = ""
        self.warm_up: tuple[Range, ...] = ()
        reader, currency = LogReader(journal.root), request.rules.currency
        past = past_of(reader, currency, delayed_data=request.link.delayed_data)
        self.world = past.world
        assert past.world.gate is not None
        self.gate = past.world.gate
        self.session = past.sessions + 1
        self.seated = seat(request.strategies)
        self.agenda = Agenda()
        self.client = self._client()
        self.client.due = lambda: self.agenda.due
        self.recorder = LiveRecorder(journal)
        kill_file = KillFile(journal.root)
        self.broker = GuardedBroker(self.client, self.gate, kill_file)
        supervisor = Supervisor(self.client, self.broker, self.world, self.gate, request.account, kill_file)
        self.link = supervisor if request.speed is None else PacedLink(supervisor, request.speed)

    def _client(self) -> IbClient:
        request, world = self.request, self.world
        names = InstrumentNames(world.sessions)
        link = request.link
        channel = OrderChannel(
            link.client_id, _prefix(), world.routes, world.orders, world.sessions, names, gate=world.gate
        )
        # A demo has what a replay of its day has, and a replay makes no bars.
        bars = {} if link.lock_step else bars_wanted(self.seated)
        data = MarketData(DataLimits.of(link), world.sessions, self._held, bars)
        folds = Folds(
            world.orders, world.positions, world.account, world.routes, names, world.gate, world.sessions
        )
        return IbClient(link, channel, data, folds)

    @property
    def wanted(self) -> list[InstrumentDefined]:
        """What to subscribe to: what is held, then the watchlist, then what strategies ask for.

        A name of the watchlist that the log does not know was looked up before, in vain, which is told.
        """
        sessions = self.world.sessions
        asked = [s.instrument for one in self.seated for s in one.strategy.subscriptions()]
        watched = [name for name in map(name_of, self.request.watchlist) if definition(sessions, name)]
        names = dict.fromkeys([*self._held(), *watched, *asked])
        return [sessions.instrument(name) for name in names]

    def _held(self) -> list[str]:
        found = self.world.positions.open_positions()
        return [p.instrument for p in found if p.account == self.request.account]

    def run(self) -> Outcome:
        """Trade until told to stop; raises `BrokerUnreachable` when the connection is given up."""
        with closing(self.client):
            self.client.wanted = self.wanted
            hub = watch_over(self.request.watching, self._watched())
            self.health = hub.health
            try:
                with set_aside():
                    outcome = self._trade(hub)
            finally:
                self.client.close()
                hub.close()
        if self.client.failure is not None:
            raise self.client.failure
        return outcome

    def _trade(self, hub: Hub) -> Outcome:
        client, journal = self.client, self._journal
        recorder = hub.recorder(self.recorder)
        first = journal.last_seq + 1
        ts = client.now
        loop = self._loop(recorder, self._ranges(first, ts))
        self.warm_up = plan_live(LogReader(journal.root), self.world.sessions, self.seated, ts)
        loop.record(self._started(ts), first, None)
        loop.record(client.feed(ts), first, None)
        warm_up = source_of(LogReader(journal.root), self.warm_up)
        self.source = LiveSource(
            recorder, hub.link(self.link), self.agenda, self._commands, self._stop, lambda: self._watch(self)
        )
        loop.run(_Ending(self.source, loop, self), self.session, ts, warm_up, start_seq=first)
        return Outcome(self.session, first, journal.last_seq, self.gate.halt, tuple(sorted(self.gate.breaks)))

    def _ranges(self, first: int, ts: int) -> TrueRanges | None:
        names = [instrument.instrument for instrument in self.client.wanted]
        reader = LogReader(self._journal.root)
        return warmed(self.request.rules.exits, reader, self.world.sessions, names, first, ts)

    def _loop(self, recorder: Recorder, ranges: TrueRanges | None) -> Loop:
        return assemble(
            recorder,
            self.world,
            self.broker,
            self.agenda,
            self.seated,
            self.request.rules,
            session=self.session,
            account=self.request.account,
            priced=frozenset(instrument.instrument for instrument in self.client.wanted),
            ranges=ranges,
            made=bar_feeds(self.seated),
        )

    @property
    def inputs(self) -> int:
        """How many inputs were taken."""
        return 0 if self.source is None else self.source.inputs

    @property
    def last_seq(self) -> int:
        """The seq of the last event recorded."""
        return self._journal.last_seq

    @property
    def ending(self) -> str:
        """The reason that the session's end is recorded with, if it ended now."""
        if self.stopping or self.client.failure is not None:
            return "stopped"
        return "halted" if self.gate.halt else "finished"

    def _watched(self) -> Watched:
        request = self.request
        return Watched(
            root=self._journal.root,
            session=self.session,
            world=self.world,
            account=request.account,
            currency=request.rules.currency,
            limits=request.rules.limits,
            instruments=lambda: self.client.wanted,
            inputs=lambda: self.inputs,
            troubles=self.troubles,
            lock_step=request.link.lock_step,
        )

    def _stop(self) -> bool:
        until = self.request.until_ts
        stop = bool(
            self.stopping
            or self.client.failure
            or self.client.over
            or (until is not None and self.link.now >= until)
        )
        # What the broker has said already is taken in, however slowly the demo was to go.
        return stop and not (isinstance(self.link, PacedLink) and self.link.hurry())

    def _started(self, ts: int) -> SessionStarted:
        request = self.request
        # What a proof needs beside the strategies.
        config = {
            **request.rules.told(),
            "settings": msgspec.json.decode(request.config),
            "instruments": [instrument.instrument for instrument in self.client.wanted],
            WARM_UP: msgspec.to_builtins(self.warm_up),
        }
        strategies: list[dict[str, Any]] = [
            {**one.described(), "spec": one.found.name} for one in self.seated
        ]
        return SessionStarted(
            ts,
            self.session,
            request.mode,
            request.account,
            VERSION,
            msgspec.json.encode(config, order="deterministic").decode(),
            request.config_hash,
            msgspec.json.encode(strategies, order="deterministic").decode(),
            _FILLS,
            request.rules.limits.profile,
        )


class _Ending:
    """A source that tells the loop, at its end, why it ended."""

    def __init__(self, source: LiveSource, loop: Loop, session: LiveSession) -> None:
        self.source = source
        self._loop = loop
        self._session = session

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield the batches of the source."""
        yield from self.source.batches()
        self._loop.ending = self._session.ending


def _prefix() -> str:
    """Return what the references of a session's orders begin with: no other session, of this log or of
    another one at the same account, ever has the same."""
    return f"T{time.time_ns() // 1_000_000:x}."


def run_live(
    root: Path,
    request: LiveRequest,
    *,
    watch: Callable[[LiveSession], None] = lambda _: None,
    prepare: Callable[[Writer, LiveRequest], None] = lambda _writer, _request: None,
) -> Outcome:
    """Hold the log, run one session that hears the operator, and give the log back, sealed.

    `prepare` puts into the log what the session needs first.
    """
    if not request.strategies and not request.watchlist:
        raise UsageError("nothing to do: give a --strategy, or a watchlist to record")
    with writing(root) as writer:
        prepare(writer, request)
        operator, troubles = OperatorDesk(writer), Troubles()
        files = SignalFiles(root, request.files, LogReader(root), troubles=troubles)
        plugins = SignalPlugins(root, request.plugins, LogReader(root), troubles=troubles)

        schedule: Schedule | None = None

        def asked(now: int) -> Sequence[Event]:
            return [*operator(now), *files(now), *plugins(now), *(schedule(now) if schedule else ())]

        def serve(session: LiveSession) -> None:
            operator.answer()
            writer.serve()
            watch(session)

        with ExitStack() as stack, closing(files), closing(plugins):
            if request.link.lock_step:
                plugins.wait(request.link.start_ns or time.time_ns())
            session = LiveSession(writer.journal, request, asked, watch=serve, troubles=troubles)
            operator.sit(Desk(writer.journal.root, session.world, request.account))
            if not request.link.lock_step:  # the day of a demo is in the log
                schedule = Schedule(session.world.sessions, lambda: session.client.wanted)
                stack.callback(schedule.close)
            return session.run()
