"""Between the loop and those who watch: committed events go out, what they have to say comes in as inputs.

The recorder is tapped, the link is wrapped. An event is passed on when the loop takes its next look, which is
after the commit of its batch and after what that batch sent to the broker: watching comes last.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

from app.live.source import Link
from app.watch.sinks import Sink
from core.events import MARKET_DATA, Entry, Event, HealthState
from core.ports import SessionRecorder

_MARKET = frozenset(MARKET_DATA)
POLL_PERIOD_S = 1.0
CLOSE_S = 5.0


class Heard:
    """When market data came last: `data_ts`, in session time; 0 before any."""

    def __init__(self) -> None:
        self.data_ts = 0


class Hub:
    """All watchers of a session; `health` is the state of each check, empty if nobody looks."""

    def __init__(
        self,
        watchers: Sequence[Sink] = (),
        heard: Heard | None = None,
        *,
        health: Mapping[str, HealthState] = MappingProxyType({}),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.health = health
        self._watchers = tuple(watchers)
        self._heard = heard or Heard()
        self._monotonic = monotonic
        self._types = frozenset[type[Event]]().union(*(one.types for one in self._watchers))
        self._written: list[Entry] = []
        self._committed: list[Entry] = []
        self._polled_s = 0.0

    def recorder(self, recorder: SessionRecorder) -> SessionRecorder:
        """Return the recorder, tapped if anybody wants events."""
        return _Tap(recorder, self._types, self._written, self._commit) if self._types else recorder

    def link(self, link: Link) -> Link:
        """Return the link, with what the watchers have to say among its inputs."""
        return _WatchedLink(link, self, self._heard) if self._watchers else link

    def publish(self) -> None:
        """Pass on what was committed since the last call."""
        if self._committed:
            entries = tuple(self._committed)
            self._committed.clear()
            for one in self._watchers:
                one.offer(entries)

    def reports(self, ts: int, *, last: bool = False) -> list[Event]:
        """Return what the watchers have to say; asks them once a second, and at the `last` look anyway."""
        now = self._monotonic()
        if not last and now - self._polled_s < POLL_PERIOD_S:
            return []
        self._polled_s = now
        return [event for one in self._watchers for event in one.reports(ts)]

    def close(self) -> None:
        """Pass on the last events and end all watchers, at the same time, within a few seconds."""
        self.publish()
        if self._watchers:
            with ThreadPoolExecutor(len(self._watchers)) as pool:
                list(pool.map(lambda one: one.close(CLOSE_S), self._watchers))

    def _commit(self) -> None:
        self._committed += self._written
        self._written.clear()


class _Tap(SessionRecorder):
    """A recorder that notes the events somebody wants until their batch is committed."""

    def __init__(
        self,
        recorder: SessionRecorder,
        types: frozenset[type[Event]],
        written: list[Entry],
        committed: Callable[[], None],
    ) -> None:
        self._append = recorder.append
        self._commit = recorder.commit
        self._types = types
        self._written = written
        self._committed = committed

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Buffer an event and return its seq."""
        seq = self._append(event, at, cause)
        if type(event) in self._types:
            self._written.append(Entry(seq, None, seq if at is None else at, cause, event))
        return seq

    def commit(self, *, sync: bool) -> None:
        """Write the batch; only then are its events free to be passed on."""
        self._commit(sync=sync)
        self._committed()


class _WatchedLink:
    """The link of a watched session."""

    def __init__(self, link: Link, hub: Hub, heard: Heard) -> None:
        self._link = link
        self._hub = hub
        self._heard = heard

    @property
    def now(self) -> int:
        """The time of what happens now."""
        return self._link.now

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened, at the broker and to the watchers."""
        self._hub.publish()
        said = self._hub.reports(self._link.now)
        events = self._link.inputs(0.0 if said else timeout_s)
        if events and type(events[-1]) in _MARKET:  # the last one is enough: data come in bursts
            self._heard.data_ts = events[-1].ts
        return said + events if said else events

    def leave(self) -> list[Event]:
        """Send nothing any more; return what becomes of what waited, and what the watchers say by now."""
        return [*self._hub.reports(self._link.now, last=True), *self._link.leave()]
