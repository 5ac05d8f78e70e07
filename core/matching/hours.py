"""When an order may meet the market: regular hours, as the sessions of the instrument's exchange say."""

from core.clock import NEVER
from core.events import SessionScheduled
from core.views import InstrumentsView


class Hours:
    """One instrument's regular hours. Unknown hours hold nothing up.

    `is_open` says of the span from `begin` to before `end` whether it is in regular hours; what is asked of
    another time moves the span there.
    """

    def __init__(self, instruments: InstrumentsView, instrument: str) -> None:
        self._instruments = instruments
        self._instrument = instrument
        self.begin, self.end, self.is_open = 0, 0, True

    def regular(self, ts: int) -> bool:
        """Return whether `ts` is in regular hours: at or after the open and before the close."""
        if not self.begin <= ts < self.end:
            self.begin, self.end, self.is_open = self._span(ts)
        return self.is_open

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether a bar from `start` to `end` has a part in regular hours."""
        session = self.session(end)
        return session is None or (start < session.close and end > session.open)

    def session(self, ts: int) -> SessionScheduled | None:
        """Return the session that holds `ts`, or `None` if none is known."""
        exchange = self._instruments.instrument(self._instrument).exchange
        return self._instruments.session(exchange, ts)

    def next_open(self, ts: int) -> int:
        """Return the first open after `ts`; where none is known, when the present session ends."""
        session = self.session(ts)
        if session is not None and ts < session.open:
            return session.open
        later = self._later(ts)
        return later.open if later is not None else (session.end if session is not None else ts)

    def next_close(self, ts: int) -> int:
        """Return the first close after `ts`; `NEVER` where none is known."""
        session = self.session(ts)
        if session is not None and ts < session.close:
            return session.close
        later = self._later(ts)
        return NEVER if later is None else later.close

    def _later(self, ts: int) -> SessionScheduled | None:
        exchange = self._instruments.instrument(self._instrument).exchange
        return self._instruments.next_session(exchange, ts)

    def _span(self, ts: int) -> tuple[int, int, bool]:
        session = self.session(ts)
        if session is None:
            later = self._later(ts)
            return (ts, NEVER if later is None else later.begin, True)
        if session.open <= ts < session.close:
            return (session.open, session.close, True)
        if ts < session.open:
            return (session.begin, session.open, False)
        return (session.close, max(session.end, ts + 1), False)
