"""One live session, from taking the log's lock to giving it back.

Composes the log, the folds of its past, the connection, the strategies and the loop; decides nothing of
trading. The session is recorded as it happens, and a proof of it is a replay of that record.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from adapters.ibkr.data.resolving import name_of
from app.composition.assembling import assemble
from app.composition.past import past_of
from app.composition.ranging import warmed
from app.composition.seating import seat
from app.data.definitions import definition
from app.live.collecting import set_aside
from app.live.connecting import client_of
from app.live.guarding import GuardedBroker
from app.live.hearing import Hearing
from app.live.kill_file import KillFile
from app.live.pacing import PacedLink
from app.live.recording import LiveRecorder
from app.live.request import LiveRequest
from app.live.source import LATE_NS, Commands, LiveSource
from app.live.starting import start_of
from app.live.supervising import Supervisor
from app.live.warming import Range, bar_feeds, bars_wanted, plan_live, source_of
from app.operation.writing import Writer, writing
from app.signals.troubles import Troubles
from app.watch.hub import Hub
from app.watch.watching import Watched
from app.watch.watching import watch as watch_over
from core.agenda import Agenda
from core.errors import UsageError
from core.events import Event, HealthState, InstrumentDefined
from core.exits.ranges import TrueRanges
from core.loop import Loop
from core.ports import SessionRecorder
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader


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
        # A demo has what a replay of its day has, and a replay makes no bars.
        bars = {} if request.link.lock_step else bars_wanted(self.seated)
        self.client = client_of(request.link, self.world, self._held, bars)
        self.client.due = lambda: self.agenda.due
        self.recorder = LiveRecorder(journal)
        kill_file = KillFile(journal.root)
        self.broker = GuardedBroker(self.client, self.gate, kill_file)
        supervisor = Supervisor(self.client, self.broker, self.world, self.gate, request.account, kill_file)
        self.link = supervisor if request.speed is None else PacedLink(supervisor, request.speed)

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

    def _names(self) -> list[str]:
        return [instrument.instrument for instrument in self.client.wanted]

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
        client, journal, request = self.client, self._journal, self.request
        recorder = hub.recorder(self.recorder)
        first = journal.last_seq + 1
        ts = client.now
        loop = self._loop(recorder, self._ranges(first, ts))
        self.warm_up = plan_live(LogReader(journal.root), self.world.sessions, self.seated, ts)
        started = start_of(request, self.session, ts, self.seated, self._names(), self.warm_up)
        loop.record(started, first, None)
        loop.record(client.feed(ts), first, None)
        warm_up = source_of(LogReader(journal.root), self.warm_up)
        self.source = LiveSource(
            recorder, hub.link(self.link), self.agenda, self._commands, self._stop, lambda: self._watch(self)
        )
        loop.run(_Ending(self.source, loop, self), self.session, ts, warm_up, start_seq=first)
        return Outcome(self.session, first, journal.last_seq, self.gate.halt, tuple(sorted(self.gate.breaks)))

    def _ranges(self, first: int, ts: int) -> TrueRanges | None:
        reader = LogReader(self._journal.root)
        return warmed(self.request.rules.exits, reader, self.world.sessions, self._names(), first, ts)

    def _loop(self, recorder: SessionRecorder, ranges: TrueRanges | None) -> Loop:
        return assemble(
            recorder,
            self.world,
            self.broker,
            self.agenda,
            self.seated,
            self.request.rules,
            session=self.session,
            account=self.request.account,
            priced=frozenset(self._names()),
            ranges=ranges,
            made=bar_feeds(self.seated),
            late_ns=LATE_NS,
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
        with closing(Hearing(writer, request)) as others:

            def serve(session: LiveSession) -> None:
                others.answer()
                writer.serve()
                watch(session)

            others.wait()
            session = LiveSession(writer.journal, request, others, watch=serve, troubles=others.troubles)
            others.begin(session.world, lambda: session.client.wanted)
            return session.run()
