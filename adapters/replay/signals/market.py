"""What a reader of signals must know of the market: instruments, sessions, closes, and how late it is.

Symbols become instruments here, and dates become times.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache

from adapters.replay.calendar import sessions as calendar_sessions
from adapters.replay.signals.values import BadCell
from core.clock import SECOND_NS, local
from core.errors import UsageError
from core.events import InstrumentDefined, SessionScheduled
from core.signals.forecast import daily_volatility

HINTS_MAX = 20
YEARS_MAX = 10
"""Dates further away than this are mistakes, unless the log has a session then."""
_EXCHANGES = {
    "SH": {"XSHG", "SSE", "SEHKNTL"},
    "SS": {"XSHG", "SSE", "SEHKNTL"},
    "SZ": {"XSHE", "SZSE", "SEHKSZSE"},
    "HK": {"XHKG", "SEHK"},
    "US": {"XNYS", "XNAS", "ARCX", "BATS", "NYSE", "NASDAQ", "ARCA", "SMART", "AMEX"},
}
"""Where a symbol with this ending trades, by the names that exchanges have in a log."""


class Market:
    """What a log knows: `closes` has `(ts, close)` of each session; `now` is the time of reading."""

    def __init__(
        self,
        instruments: Sequence[InstrumentDefined],
        sessions: Sequence[SessionScheduled],
        closes: dict[str, list[tuple[int, float]]],
        now: int,
    ) -> None:
        self.instruments = instruments
        self.sessions = sessions
        self.closes = closes
        self.now = now
        self._by_id = {one.instrument: one for one in instruments}
        self._by_symbol: dict[str, list[InstrumentDefined]] = {}
        for one in instruments:
            for name in sorted({one.symbol, one.instrument}):
                self._by_symbol.setdefault(name, []).append(one)
        self._held = {(one.exchange, one.date): one for one in sessions}
        self._hints = 0
        self._year = datetime.fromtimestamp(now // SECOND_NS, UTC).year

    def instrument(self, symbol: str, mapping: dict[str, str]) -> InstrumentDefined:
        """Return what a symbol means; raises `BadCell` if nothing, or not one thing.

        In this order: the mapping, an id, a symbol, a symbol with the ending of its exchange (`600519.SH`).
        """
        name = mapping.get(symbol, symbol)
        if name in self._by_id:
            return self._by_id[name]
        if name != symbol:
            raise BadCell(f"{symbol!r} is mapped to {name!r}, which is not in the log")
        found = self._by_symbol.get(symbol) or self._with_ending(symbol)
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(one.instrument for one in found[:5])
            raise BadCell(f"{symbol!r} may be {several}: map it in the configuration")
        raise BadCell(f"unknown symbol {symbol!r}; {self._hint(symbol)}")

    def _hint(self, symbol: str) -> str:
        # Looking for likeness is slow: enough for a mistake, and no more than that for ten thousand.
        self._hints += 1
        names = (symbol, symbol.upper()) if self._hints <= HINTS_MAX else ()
        near = [found for name in names for found in get_close_matches(name, self._by_id, n=1)]
        return f"did you mean {near[0]}?" if near else "import its data first, or map it"

    def _with_ending(self, symbol: str) -> list[InstrumentDefined]:
        base, dot, ending = symbol.rpartition(".")
        places = _EXCHANGES.get(ending.upper(), set())
        if not dot or not places:
            return []
        names = {base, base.lstrip("0")} if ending.upper() == "HK" else {base}
        found = {one.instrument: one for name in sorted(names) for one in self._by_symbol.get(name, ())}
        return [one for one in found.values() if one.exchange in places]

    def holds(self, day: date, instrument: InstrumentDefined) -> bool:
        """Return whether the log itself has a session of the instrument's exchange on that day."""
        return (instrument.exchange, day.isoformat()) in self._held

    def known_at(self, day: date, clock: time | None, which: str, instrument: InstrumentDefined) -> int:
        """Return when what is dated `day` may be acted on: a time of day, or that session's open or close.

        On a day without a session it is when the day begins or ends on the exchange's clock.
        """
        zone = instrument.timezone
        if clock is not None:
            return local(day.isoformat(), clock.isoformat("seconds"), zone)
        held = self._session(instrument.exchange, day)
        if held is not None:
            return held.open if which == "open" else held.close
        return _midnight(day if which == "open" else day + timedelta(days=1), zone)

    def closes_after(self, day: date, count: int, instrument: InstrumentDefined) -> list[int]:
        """Return the closes of the next `count` sessions; weekdays where no calendar is known."""
        exchange, zone = instrument.exchange, instrument.timezone
        last = day + timedelta(days=2 * count + 14)
        known, begin, end = _calendar(exchange, self._year), day.isoformat(), last.isoformat()
        held = {name: one.close for name, one in known.items() if begin < name <= end}
        if len(held) < count:
            own = [one for one in self.sessions if one.exchange == exchange and one.date > day.isoformat()]
            held |= {one.date: one.close for one in own}
            after = max([day, *map(date.fromisoformat, held)]) + timedelta(days=1)
            for step in range((last - after).days + 1):
                other = after + timedelta(days=step)
                if other.weekday() < 5:
                    held[other.isoformat()] = _midnight(other + timedelta(days=1), zone)
        return [held[name] for name in sorted(held)][:count]

    def volatility(self, instrument: str, as_of: int) -> float | None:
        """Return the daily volatility by the closes up to a time; `None` if there are too few."""
        return daily_volatility([close for _, close in self.closes_until(instrument, as_of)])

    def last_close(self, instrument: str, as_of: int) -> float | None:
        """Return the last close up to a time."""
        found = self.closes_until(instrument, as_of)
        return found[-1][1] if found else None

    def closes_until(self, instrument: str, as_of: int) -> list[tuple[int, float]]:
        """Return `(ts, close)` of the sessions up to a time, oldest first."""
        try:
            found = self.closes[instrument]  # may be looked up only now
        except KeyError:
            return []
        return [one for one in found if one[0] <= as_of]

    def _session(self, exchange: str, day: date) -> SessionScheduled | None:
        held = self._held.get((exchange, day.isoformat()))
        if held is not None:
            return held
        return _calendar(exchange, self._year).get(day.isoformat())


def _midnight(day: date, zone: str) -> int:
    """Return when a day begins on the clock of a zone: days on which clocks change have no 24 hours."""
    return local(day.isoformat(), "00:00", zone)


@lru_cache(maxsize=16)
def _calendar(exchange: str, year: int) -> dict[str, SessionScheduled]:
    """Return the sessions of ten years up to `year` and of the next one by date; none without a calendar.

    All at once: a calendar of many years takes little longer to make than one of a week.
    """
    try:
        found = calendar_sessions(exchange, date(year - YEARS_MAX, 1, 1), date(year + 1, 12, 31))
    except UsageError:
        return {}
    return {one.date: one for one in found}
