"""Instruments, feeds and the session calendar, as the log defined them; the latest definition wins."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from core.errors import UnknownInstrument
from core.events import FeedDefined, InstrumentDefined, SessionScheduled
from projections.base import Projection, State


class Calendar:
    """The sessions of each exchange, by date and by time; the latest schedule of a date wins."""

    def __init__(self, sessions: Iterable[SessionScheduled] = ()) -> None:
        self._days: dict[str, dict[str, SessionScheduled]] = {}
        self._begins: dict[str, list[tuple[int, str]]] = {}
        # The session that was found last on each exchange, from its begin to before what ends that answer.
        self._found: dict[str | None, tuple[int, int, SessionScheduled]] = {}
        for session in sessions:
            self.schedule(session)

    def schedule(self, event: SessionScheduled) -> None:
        """Add a session, or replace the one of the same exchange and date."""
        days = self._days.setdefault(event.exchange, {})
        begins = self._begins.setdefault(event.exchange, [])
        known = days.get(event.date)
        if known is not None:
            begins.remove((known.begin, known.date))
        self._found.clear()
        days[event.date] = event
        insort(begins, (event.begin, event.date))

    def session(self, exchange: str | None, ts: int) -> SessionScheduled | None:
        """Return the session with `begin` ≤ `ts` ≤ `end`; of the exchanges in name order without one.

        The end belongs to the session, because a last bar's `ts` is its end; where the next session
        begins at that very instant, the next one is returned.
        """
        last = self._found.get(exchange)
        if last is not None and last[0] <= ts < last[1]:
            return last[2]
        return self._any(ts) if exchange is None else self._search(exchange, ts)

    def _any(self, ts: int) -> SessionScheduled | None:
        names = sorted(self._days)
        for name in names:
            session = self.session(name, ts)
            if session is not None:
                if name == names[0]:  # no other can come before it
                    self._found[None] = self._found[name]
                return session
        return None

    def _search(self, exchange: str, ts: int) -> SessionScheduled | None:
        begins = self._begins.get(exchange, [])
        # A session's key is (begin, date), and any date sorts below this bound.
        index = bisect_right(begins, (ts, "\U0010ffff"))
        if index == 0:
            return None
        session = self._days[exchange][begins[index - 1][1]]
        if ts > session.end:
            return None
        until = begins[index][0] if index < len(begins) else session.end + 1
        self._found[exchange] = (session.begin, min(until, session.end + 1), session)
        return session

    def date(self, exchange: str | None, ts: int) -> str | None:
        """Return the session date at a time, of one exchange or of all together; `None` outside sessions.

        Where exchanges disagree, those that are open decide, and of them the earliest date: a day is not over
        while it is traded on, wherever else it is midnight.
        """
        names = self._days if exchange is None else (exchange,)
        found = [day for name in names if (day := self.session(name, ts)) is not None]
        if len(found) > 1:
            found = [day for day in found if day.open <= ts < day.close] or found
        return min((day.date for day in found), default=None)

    def after(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the first session that opens after `ts`."""
        begins = self._begins.get(exchange, [])
        # The session that holds `ts` may not have opened yet, so the search begins there.
        for _, date in begins[max(0, bisect_right(begins, (ts, "\U0010ffff")) - 1) :]:
            session = self._days[exchange][date]
            if session.open > ts:
                return session
        return None

    def on(self, exchange: str, date: str) -> SessionScheduled | None:
        """Return the session of an exchange date such as `2025-07-02`."""
        return self._days.get(exchange, {}).get(date)

    def sessions(self, exchange: str | None = None) -> list[SessionScheduled]:
        """Return the sessions (of one exchange), sorted by begin, then exchange."""
        exchanges = self._days if exchange is None else (exchange,)
        found = [day for name in exchanges for day in self._days.get(name, {}).values()]
        return sorted(found, key=lambda session: (session.begin, session.exchange, session.date))


class SessionsState(State, kw_only=True):
    """Snapshot of `Sessions`."""

    instruments: dict[str, InstrumentDefined]
    feeds: dict[str, FeedDefined]
    sessions: list[SessionScheduled]


class Sessions(Projection):
    """Implements `core.views.InstrumentsView`."""

    name = "sessions"
    state_type = SessionsState

    def __init__(self) -> None:
        self._instruments: dict[str, InstrumentDefined] = {}
        self.definitions: Mapping[str, InstrumentDefined] = MappingProxyType(self._instruments)
        self._feeds: dict[str, FeedDefined] = {}
        self._calendar = Calendar()
        super().__init__(
            {InstrumentDefined: self._instrument, FeedDefined: self._feed, SessionScheduled: self._session}
        )

    def instrument(self, instrument: str) -> InstrumentDefined:
        """Return the definition; raises `UnknownInstrument`, naming what comes near."""
        found = self._instruments.get(instrument)
        if found is None:
            raise UnknownInstrument(_unknown(instrument, sorted(self._instruments)))
        return found

    def instruments(self) -> list[InstrumentDefined]:
        """Return all definitions, sorted by id."""
        return [self._instruments[name] for name in sorted(self._instruments)]

    @property
    def count(self) -> int:
        """How many instruments are defined."""
        return len(self._instruments)

    def feed(self, feed: str) -> FeedDefined | None:
        """Return the definition of a feed, or `None`."""
        return self._feeds.get(feed)

    def feeds(self) -> list[FeedDefined]:
        """Return all feeds, sorted by name."""
        return [self._feeds[name] for name in sorted(self._feeds)]

    def session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the session with `begin` ≤ `ts` ≤ `end`; see `Calendar.session`."""
        return self._calendar.session(exchange, ts)

    def next_session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the first session that opens after `ts`; see `Calendar.after`."""
        return self._calendar.after(exchange, ts)

    def date(self, ts: int) -> str | None:
        """Return the session date at a time, of all exchanges together; see `Calendar.date`."""
        return self._calendar.date(None, ts)

    def session_on(self, exchange: str, date: str) -> SessionScheduled | None:
        """Return the session of an exchange date such as `2025-07-02`."""
        return self._calendar.on(exchange, date)

    def sessions(self, exchange: str | None = None) -> list[SessionScheduled]:
        """Return the sessions (of one exchange), sorted by begin."""
        return self._calendar.sessions(exchange)

    def _instrument(self, event: InstrumentDefined, _seq: int) -> None:
        self._instruments[event.instrument] = event

    def _feed(self, event: FeedDefined, _seq: int) -> None:
        self._feeds[event.feed] = event

    def _session(self, event: SessionScheduled, _seq: int) -> None:
        self._calendar.schedule(event)

    def describe(self) -> str:
        """Return for example `sessions: 3 instruments, 2 feeds, 2 sessions`."""
        days = len(self._calendar.sessions())
        return f"sessions: {len(self._instruments)} instruments, {len(self._feeds)} feeds, {days} sessions"

    def state(self) -> SessionsState:
        """Return a snapshot."""
        return SessionsState(
            applied_seq=self.applied_seq,
            instruments=dict(self._instruments),
            feeds=dict(self._feeds),
            sessions=self._calendar.sessions(),
        )

    def restore(self, state: SessionsState) -> None:
        """Replace the state by a snapshot."""
        self._instruments.clear()  # in place: `definitions` shows it
        self._instruments.update(state.instruments)
        self._feeds = dict(state.feeds)
        self._calendar = Calendar(state.sessions)
        self.applied_seq = state.applied_seq


def _unknown(instrument: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    if not known:
        return f"instrument {instrument!r} is not in this log, which defines none; import data first"
    near = get_close_matches(instrument, known, n=3, cutoff=0.5)
    near = near or get_close_matches(instrument.upper(), known, n=3, cutoff=0.5)
    if near:
        return f"instrument {instrument!r} is not in this log; did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return f"instrument {instrument!r} is not in this log, which defines {shown}"
