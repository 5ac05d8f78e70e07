"""When an order may meet the market: regular hours, as the sessions of the instrument's exchange say."""

from core.clock import NEVER
from core.events import SessionScheduled
from core.views import InstrumentsView


class Hours:
    """Regular hours by instrument, remembered until they change. Unknown hours hold nothing up."""

    def __init__(self, instruments: InstrumentsView) -> None:
        self._instruments = instruments
        self._spans: dict[str, tuple[int, int, bool]] = {}

    def regular(self, instrument: str, ts: int) -> bool:
        """Return whether `ts` is in regular hours: at or after the open and before the close."""
        begin, end, answer = self._spans.get(instrument, (0, 0, True))
        if not begin <= ts < end:
            begin, end, answer = self._spans[instrument] = self._span(instrument, ts)
        return answer

    def overlaps(self, instrument: str, start: int, end: int) -> bool:
        """Return whether a bar from `start` to `end` has a part in regular hours."""
        session = self.session(instrument, end)
        return session is None or (start < session.close and end > session.open)

    def session(self, instrument: str, ts: int) -> SessionScheduled | None:
        """Return the session that holds `ts`, or `None` if none is known."""
        exchange = self._instruments.instrument(instrument).exchange
        return self._instruments.session(exchange, ts)

    def next_open(self, instrument: str, ts: int) -> int:
        """Return the first open after `ts`; where none is known, when the present session ends."""
        session = self.session(instrument, ts)
        if session is not None and ts < session.open:
            return session.open
        later = self._later(instrument, ts)
        return later.open if later is not None else (session.end if session is not None else ts)

    def next_close(self, instrument: str, ts: int) -> int:
        """Return the first close after `ts`; `NEVER` where none is known."""
        session = self.session(instrument, ts)
        if session is not None and ts < session.close:
            return session.close
        later = self._later(instrument, ts)
        return NEVER if later is None else later.close

    def _later(self, instrument: str, ts: int) -> SessionScheduled | None:
        exchange = self._instruments.instrument(instrument).exchange
        return self._instruments.next_session(exchange, ts)

    def _span(self, instrument: str, ts: int) -> tuple[int, int, bool]:
        session = self.session(instrument, ts)
        if session is None:
            later = self._later(instrument, ts)
            return (ts, NEVER if later is None else later.begin, True)
        if session.open <= ts < session.close:
            return (session.open, session.close, True)
        if ts < session.open:
            return (session.begin, session.open, False)
        return (session.close, max(session.end, ts + 1), False)
