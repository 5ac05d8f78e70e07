"""When silence means that data are missing: in an instrument's regular hours, and longer than it may last.

Pure. Outside its hours an instrument may be as quiet as it likes. Where the log knows no hours of an
exchange, or none any more, every moment counts: doubt closes the gate. It never decides what follows from a
stale line.
"""

from collections.abc import Mapping
from typing import Protocol

from core.clock import DAY_NS, SECOND_NS
from core.events import InstrumentDefined, SessionScheduled

UNKNOWN_AFTER_NS = 4 * DAY_NS
"""So long after the last session that is known the hours of an exchange count as unknown: no weekend lasts
longer, and in a longer holiday a gate that is closed does no harm."""


class Hours(Protocol):
    """What knows when exchanges are open."""

    def session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the session that a time falls into."""

    def sessions(self, exchange: str | None = None) -> list[SessionScheduled]:
        """Return the sessions of an exchange."""


class Staleness:
    """How long each instrument may be silent, in seconds: `after_s`, or its own entry in `own_s`."""

    def __init__(self, hours: Hours, after_s: float, own_s: Mapping[str, float]) -> None:
        self._hours = hours
        self._after_s = after_s
        self._own_s = own_s

    def silent_s(self, instrument: InstrumentDefined, since: int, ts: int) -> float | None:
        """Return for how long nothing was heard at `ts`, if that is too long; `None` if it is not."""
        limit_s = self._own_s.get(instrument.instrument, self._after_s)
        if ts - since <= limit_s * SECOND_NS:
            return None
        session = self._hours.session(instrument.exchange, ts)
        if session is None:
            known = self._hours.sessions(instrument.exchange)
            if known and ts < known[-1].end + UNKNOWN_AFTER_NS:
                return None
        elif session.open <= ts < session.close:
            since = max(since, session.open)  # the night before does not count
        else:
            return None
        silent_s = (ts - since) / SECOND_NS
        return silent_s if silent_s > limit_s else None
