"""Recording market data alone: a session without strategies, orders, or a look at the account.

What arrives is appended as it comes and committed look by look. It subscribes to what was asked for, within
the login's lines, and goes on through lost connections until its end, a signal or the kill file.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.past import past_of
from app.configuration.reading import Config, canonical
from app.live.connecting import BROKER, client_of
from app.live.ending import Ending
from app.live.preparing import patiently, prepare
from app.live.recording import LiveRecorder
from app.live.scheduling import Schedule
from app.live.source import IDLE_S
from app.operation.writing import Writer, writing
from app.version import VERSION
from core.errors import UsageError
from core.events import (
    DataStateChanged,
    Entry,
    Event,
    InstrumentDefined,
    SessionEnded,
    SessionScheduled,
    SessionStarted,
)
from eventstore.reading.reader import LogReader

MODE = "record"

Watch = Callable[["Tape"], None]


class Taped(msgspec.Struct, frozen=True):
    """What a recording left: its session, seqs, events by instrument, and what got no data, with why."""

    session: int
    first_seq: int
    last_seq: int
    events: dict[str, int]
    without: dict[str, str]


class Tape:
    """A recording that is under way; set `stopping` to end it."""

    def __init__(
        self, writer: Writer, link: LinkSettings, config: Config, instruments: Sequence[InstrumentDefined]
    ) -> None:
        self.stopping = ""
        self.counts: dict[str, int] = {instrument.instrument: 0 for instrument in instruments}
        self.without: dict[str, str] = {}
        self._writer = writer
        self._recorder = LiveRecorder(writer.journal)
        self._link = msgspec.structs.replace(link, data_only=True, expects="any")
        self._config = config
        past = past_of(LogReader(writer.journal.root), config.settings.replay.currency)
        self._world, self.session = past.world, past.sessions + 1
        self.client = client_of(self._link, self._world)
        self.client.wanted = instruments

    def run(self, until_ts: int | None, watch: Watch, ending: Ending) -> Taped:
        """Record until `until_ts`, `stopping` or the end of the connection; returns what was recorded."""
        client, recorder = self.client, self._recorder
        schedule = Schedule(self._world.sessions, lambda: client.wanted)
        ahead = (lambda _now: ()) if self._link.lock_step else schedule
        first = recorder.append(self._started(client.now))
        recorder.append(client.feed(client.now), first)
        recorder.commit(sync=True)
        try:
            while not (self.stopping or client.failure or client.over):
                if until_ts is not None and client.now >= until_ts:
                    break
                happened = client.inputs(IDLE_S)
                self._take([*ahead(client.now), *happened])
                self._writer.serve()
                watch(self)
                if reason := ending.reason:
                    self.stopping = reason
        finally:
            schedule.close()
            client.close()
            last = recorder.append(SessionEnded(client.now, self.session, self.stopping or "finished"))
            recorder.commit(sync=True)
        if client.failure is not None:
            raise client.failure
        return Taped(self.session, first, last, self.counts, self.without)

    def _take(self, events: Sequence[Event]) -> None:
        append, counts = self._recorder.append, self.counts
        for event in events:
            seq = append(event)
            name = getattr(event, "instrument", "")
            if name in counts:
                counts[name] += 1
            if type(event) in _TOLD:
                self._note(Entry(seq, None, seq, None, event))
        self._recorder.commit(sync=False)

    def _note(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, DataStateChanged):
            self.without.pop(event.instrument, None)
            if event.state in ("refused", "left_out"):
                self.without[event.instrument] = event.reason
        self._world.sessions.apply(entry)

    def _started(self, ts: int) -> SessionStarted:
        text, digest = canonical(self._config)
        return SessionStarted(ts, self.session, MODE, "", VERSION, text, digest, "[]", BROKER, "none")


_TOLD = frozenset[type[Event]]({DataStateChanged, InstrumentDefined, SessionScheduled})


def run_tape(
    root: Path,
    link: LinkSettings,
    config: Config,
    names: Sequence[str],
    *,
    until_ts: int | None = None,
    watch: Watch = lambda _: None,
    ending: Ending | None = None,
) -> Taped:
    """Hold the log, find the contracts, record, and give the log back, sealed.

    Raises `UsageError` if none of the names leads to a contract, `BrokerUnreachable` when the connection is
    given up, and `StopAsked` if it is to end before it began.
    """
    stop = ending or Ending(root)
    if not names:
        raise UsageError("nothing to record: name SYMBOLS, or give the configuration a [trading] watchlist")
    with writing(root) as writer:

        def idle() -> None:
            writer.serve()
            stop.check()

        idle()
        with patiently(link, idle) as inquiry:
            found = prepare(writer, inquiry, names, frozenset())
        if not found.instruments:
            raise UsageError(
                f"{', '.join(names)}: none of them leads to a contract; next: events --type data_state"
            )
        tape = Tape(writer, link, config, found.instruments)
        tape.without.update(found.missing)
        return tape.run(until_ts, watch, stop)
