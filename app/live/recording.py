"""The log as the loop of a live session writes it: what is not market data is synced with its batch."""

from core.events import MARKET_DATA, Event
from eventstore.journal import Journal

_MAY_WAIT = frozenset(MARKET_DATA)


class LiveRecorder:
    """A `core.ports.Recorder` over the journal. Market data alone are synced within a second."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._urgent = False

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Buffer an event and return its seq."""
        if type(event) not in _MAY_WAIT:
            self._urgent = True
        return self._journal.append(event, at, cause)

    def commit(self, *, sync: bool) -> None:
        """Write the batch; durable on return if anything in it is more than market data."""
        urgent, self._urgent = self._urgent or sync, False
        self._journal.commit(sync=urgent)
