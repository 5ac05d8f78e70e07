"""Holes in imported data: time without ticks, bars and whole sessions that are missing.

Watches the items of an import go by and says where regular hours have no data. It judges nothing:
a halt and a quiet afternoon look alike. Never changes or holds back an item.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import msgspec

from adapters.replay.calendar import UNLISTED
from core.clock import MINUTE_NS
from core.events import Bar, Event, InstrumentDefined, Quote, QuoteBar, SessionScheduled, Trade

TICK_GAP_NS = 15 * MINUTE_NS
_TICKS = (Trade, Quote)
_BARS = (Bar, QuoteBar)


class Gap(msgspec.Struct, frozen=True):
    """A hole in regular hours, `begin`..`end` in ns UTC.

    `kind` is `ticks`, `bars`, `quote bars` or `session`. `missing` counts bars or sessions; for ticks it is 0
    and `begin`..`end` is the time without any.
    """

    instrument: str
    kind: str
    date: str
    begin: int
    end: int
    missing: int


class _Bars(msgspec.Struct):
    first: int
    last: int
    length: int
    count: int


class GapFinder:
    """Folds definitions and items into gaps, instruments and session dates."""

    def __init__(self) -> None:
        self.instruments: set[str] = set()
        self.dates: set[str] = set()
        self._sessions: dict[str, list[SessionScheduled]] = {}
        self._begins: dict[str, list[int]] = {}
        self._exchange: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._ticks: dict[tuple[str, str], SessionScheduled] = {}
        self._bars: dict[tuple[str, str, type[Event]], _Bars] = {}
        self._traded: dict[str, set[str]] = {}
        self._span: dict[str, tuple[int, int, SessionScheduled | None]] = {}
        self._gaps: list[Gap] = []
        self._hours_unknown: set[str] = set()

    def next_set(self) -> None:
        """End the ticks of the set before: sets may go back in time."""
        self._close_ticks()
        self._last.clear()

    def listed(self, instrument: InstrumentDefined) -> None:
        """Take notice of where an instrument trades."""
        self._exchange[instrument.instrument] = instrument.exchange
        if instrument.exchange.partition(" ")[0] == UNLISTED:
            self._hours_unknown.add(instrument.instrument)

    def schedule(self, session: SessionScheduled) -> None:
        """Take notice of a session."""
        sessions = self._sessions.setdefault(session.exchange, [])
        begins = self._begins.setdefault(session.exchange, [])
        place = bisect_right(begins, session.begin)
        if place and begins[place - 1] == session.begin:
            sessions[place - 1] = session
        else:
            sessions.insert(place, session)
            begins.insert(place, session.begin)
        self._span.clear()

    def observe(self, items: Iterable[Event]) -> None:
        """Watch items go by, in the order of the log."""
        for item in items:
            kind = type(item)
            if kind in _TICKS:
                self._tick(item)
            elif kind in _BARS:
                self._bar(item)

    # The tick path runs once for each row of a tick file: one dict look-up and two comparisons.
    def _tick(self, item: Any) -> None:
        instrument, ts = item.instrument, item.ts
        begin, end, session = self._span.get(instrument, (0, 0, None))
        if not begin <= ts < end:
            session = self._enter(instrument, ts)
        last = self._last.get(instrument, 0)
        if ts - last > TICK_GAP_NS and session is not None:
            self._tick_gap(instrument, session, last, ts)
        self._last[instrument] = ts

    def _enter(self, instrument: str, ts: int) -> SessionScheduled | None:
        session = self._session(instrument, ts)
        self.instruments.add(instrument)
        if session is None:
            self._span[instrument] = (0, 0, None)
            return None
        self._span[instrument] = (session.begin, session.end, session)
        self._trades_on(instrument, session)
        key = (instrument, session.date)
        if key not in self._ticks:
            left = [known for known in self._ticks if known[0] == instrument]
            for known in left:
                self._close(known)
            self._ticks[key] = session
            self._last[instrument] = session.open
        return session

    def _tick_gap(self, instrument: str, session: SessionScheduled, last: int, ts: int) -> None:
        begin, end = max(last, session.open), min(ts, session.close)
        if end - begin > TICK_GAP_NS:
            self._gaps.append(Gap(instrument, "ticks", session.date, begin, end, 0))

    def _close(self, key: tuple[str, str]) -> None:
        session = self._ticks.pop(key)
        last = self._last.get(key[0])
        if last is not None and session.begin <= last < session.close:
            self._tick_gap(key[0], session, last, session.close)

    def _close_ticks(self) -> None:
        for key in list(self._ticks):
            self._close(key)
        self._span.clear()

    def _bar(self, item: Any) -> None:
        session = self._session(item.instrument, item.start)
        self.instruments.add(item.instrument)
        if session is None:
            return
        self._trades_on(item.instrument, session)
        length = item.ts - item.start
        if item.start + length <= session.open or item.start >= session.close:
            return
        key = (item.instrument, session.date, type(item))
        seen = self._bars.get(key)
        if seen is None:
            self._bars[key] = _Bars(item.start, item.ts, length, 1)
        else:
            seen.last, seen.count = item.ts, seen.count + 1

    def _trades_on(self, instrument: str, session: SessionScheduled) -> None:
        self.dates.add(session.date)
        self._traded.setdefault(instrument, set()).add(session.date)

    def _session(self, instrument: str, ts: int) -> SessionScheduled | None:
        exchange = self._exchange.get(instrument, "")
        place = bisect_right(self._begins.get(exchange, []), ts) - 1
        if place < 0:
            return None
        session = self._sessions[exchange][place]
        return session if ts < session.end else None

    def finish(self) -> list[Gap]:
        """Return all gaps, by instrument and time."""
        self._close_ticks()
        gaps = [*self._gaps, *self._missing_bars(), *self._missing_sessions()]
        known = [gap for gap in gaps if gap.instrument not in self._hours_unknown]
        return sorted(known, key=lambda gap: (gap.instrument, gap.begin, gap.kind))

    def _missing_bars(self) -> Iterable[Gap]:
        for (instrument, date, kind), seen in self._bars.items():
            session = self._session(instrument, seen.first)
            assert session is not None
            expected = -(-(session.close - session.open) // seen.length)
            if seen.count < expected:
                name = "bars" if kind is Bar else "quote bars"
                yield Gap(instrument, name, date, session.open, session.close, expected - seen.count)

    def _missing_sessions(self) -> Iterable[Gap]:
        for instrument, seen in sorted(self._traded.items()):
            for session in self._sessions[self._exchange[instrument]]:
                if min(seen) < session.date < max(seen) and session.date not in seen:
                    yield Gap(instrument, "session", session.date, session.open, session.close, 1)
