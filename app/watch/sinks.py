"""Where committed events go beside the log: the port, and a sink that works in a thread of this process.

Offering an event never waits: a sink that is too slow loses events, and the loss is counted and reported as
an event of its own. A sink never touches the loop's objects; it gets frozen events only.
"""

import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from core.events import Entry, Event, SinkReported
from core.listener import Delivery, Interest, Listener

REPORT_PERIOD_S = 1.0


class Sink(Protocol):
    """Something that is told of events after they are durable."""

    name: str

    @property
    def types(self) -> frozenset[type[Event]]:
        """The event types that it may want."""

    def offer(self, entries: Sequence[Entry]) -> None:
        """Take what it wants of committed entries; never waits."""

    def reports(self, ts: int) -> list[Event]:
        """Return what went wrong since the last call, as of `ts`; never waits."""

    def close(self, timeout_s: float) -> None:
        """Deliver what is queued, for at most so long, and end."""


class Losses:
    """Counts what a full queue dropped, to be reported once a period."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._count = 0
        self._next_s = 0.0
        self.total = 0

    def add(self) -> None:
        """Count one dropped event."""
        self._count += 1
        self.total += 1

    def reports(self, ts: int) -> list[Event]:
        """Return the losses since the last report, at most once a period."""
        if not self._count or time.monotonic() < self._next_s:
            return []
        self._next_s = time.monotonic() + REPORT_PERIOD_S
        count, self._count = self._count, 0
        return [SinkReported(ts, self._sink, "overflow", count, "its queue was full: these are lost to it")]


class SinkThread:
    """A `Sink` in a thread of this process, for code of our own: `handle` returns what went wrong.

    Code that computes for long belongs into a process: a thread shares the interpreter with the loop.
    """

    def __init__(
        self,
        name: str,
        interest: Interest,
        handle: Callable[[Entry], Sequence[str]],
        *,
        queue_max: int,
        idle: Callable[[], Sequence[str]] = tuple,
        idle_s: float = 1.0,
        is_off: Callable[[], bool] = lambda: False,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._interest = interest
        self._handle = handle
        self._queue_max = queue_max
        self._idle = idle
        self._idle_s = idle_s
        self._is_off = is_off
        self._finish = finish
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._said: SimpleQueue[str] = SimpleQueue()
        self._errors = 0
        self._told_off = False
        self.losses = Losses(name)
        self._thread = Thread(target=self._run, name=f"tape-{name}", daemon=True)
        self._thread.start()

    @classmethod
    def listening(cls, name: str, listener: Listener, *, queue_max: int, errors_max: int) -> "SinkThread":
        """Return a sink around a listener's instance."""
        delivery = Delivery(listener, errors_max)
        return cls(
            name,
            Interest(type(listener).told),
            delivery.deliver,
            queue_max=queue_max,
            is_off=lambda: delivery.off,
        )

    @property
    def types(self) -> frozenset[type[Event]]:
        """The event types that it may want."""
        return self._interest.types

    def offer(self, entries: Sequence[Entry]) -> None:
        """Queue what it wants; what does not fit is dropped and counted."""
        for entry in entries:
            if not self._interest.wants(entry.event):
                continue
            if self._queue.qsize() >= self._queue_max:
                self.losses.add()
            else:
                self._queue.put(entry)

    def reports(self, ts: int) -> list[Event]:
        """Return what went wrong since the last call."""
        reports = self.losses.reports(ts)
        while not self._said.empty():
            self._errors += 1
            reports.append(SinkReported(ts, self.name, "error", self._errors, self._said.get_nowait()))
        if self._is_off() and not self._told_off:
            self._told_off = True
            reports.append(SinkReported(ts, self.name, "switched_off", self._errors, "it raised too often"))
        return reports

    def close(self, timeout_s: float) -> None:
        """Let the thread finish its queue; one that does not in time is left behind (it is a daemon)."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            try:
                entry = self._queue.get(timeout=self._idle_s)
            except Empty:
                self._say(self._idle())
                continue
            if entry is None:
                break
            self._say(self._handle(entry))
        self._say(self._idle())
        self._finish()

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._said.put(line)
