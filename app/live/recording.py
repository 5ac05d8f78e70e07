"""The log as the loop of a live session writes it: what is not market data is synced with its batch."""

import time
from collections import deque

from core.events import MARKET_DATA, Event, LateBarReported
from core.ports import SessionRecorder
from eventstore.journal.journal import Journal

_MAY_WAIT = frozenset[type[Event]]({*MARKET_DATA, LateBarReported})
_RECENT = 256


class LiveRecorder(SessionRecorder):
    """A recorder over the journal. Market data alone are synced within a second.

    `recent` holds the last events that are not market data, newest last; `sync_ms` is what the last batch
    took that was synced, `sync_ms_max` the longest.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._urgent = False
        self.recent: deque[tuple[int, Event]] = deque(maxlen=_RECENT)
        self.sync_ms = 0.0
        self.sync_ms_max = 0.0

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Buffer an event and return its seq."""
        seq = self._journal.append(event, at, cause)
        if type(event) not in _MAY_WAIT:
            self._urgent = True
            self.recent.append((seq, event))
        return seq

    def commit(self, *, sync: bool) -> None:
        """Write the batch; durable on return if anything in it is more than market data."""
        urgent, self._urgent = self._urgent or sync, False
        if not urgent:
            self._journal.commit(sync=False)
            return
        begun = time.perf_counter_ns()
        self._journal.commit(sync=True)
        self.sync_ms = (time.perf_counter_ns() - begun) / 1e6
        self.sync_ms_max = max(self.sync_ms_max, self.sync_ms)
