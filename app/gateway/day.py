"""The day that a simulated gateway serves, and what came before it: what the log holds of a date.

Reads the log only. What came before becomes history, first prices, and the closes that the day's profit and
its `close` ticks count from.
"""

from collections.abc import Iterator, Sequence

from adapters.ibkr.gateway.archive import Archive
from adapters.ibkr.gateway.feeds import Feeds
from adapters.ibkr.gateway.frames import Frame
from adapters.ibkr.gateway.history import Window, trade_bars
from adapters.ibkr.gateway.times import BarLength
from adapters.replay.source import LogSource
from app.replay.period import Period
from app.replay.planning import Plan, Planner
from core.clock import local
from core.errors import DataMissing
from core.events import DEFINITIONS, Bar, Event, SessionScheduled
from core.ports import EntryReader, Selection, entries_of
from core.strategy import Subscription
from projections.quotes import Quotes
from projections.sessions import Sessions


class GatewayDay:
    """What the log holds of a date: the plan, the definitions, the day before."""

    def __init__(self, reader: EntryReader, date: str) -> None:
        self.reader = reader
        self.definitions = list(entries_of(reader, DEFINITIONS))
        self.sessions = Sessions()
        for entry in self.definitions:
            self.sessions.apply(entry)
        self._planner = Planner(reader, self.sessions)
        self._days = self._planner.feeds.dates
        self.instruments = tuple(
            i.instrument for i in self.sessions.instruments() if date in self._days([i.instrument])
        )
        if not self.instruments:
            everything = [i.instrument for i in self.sessions.instruments()]
            days = self._days(everything)
            held = f"it has {', '.join(days[:6])}" if days else "it has none; next: tape import --help"
            raise DataMissing(f"the log has no market data of {date}; {held}")
        self.date = date
        self.plan = self._plan(date, self.instruments)

    @property
    def timezone(self) -> str:
        """The time zone of most of the day's instruments: the gateway's own."""
        zones = [self.sessions.instrument(i).timezone for i in self.instruments]
        return max(sorted(set(zones)), key=zones.count)

    def _plan(self, date: str, instruments: Sequence[str]) -> Plan:
        return self._planner.plan(Period(date, date), [Subscription(i) for i in instruments])

    def before(self, count: int) -> Iterator[LogSource]:
        """Yield the data of the last sessions before, for history and the day's first `close`.

        Sessions of which there are bars of a day only are left to `daily`.
        """
        before = [date for date in self._days(self.instruments) if date < self.date]
        for date in before[max(len(before) - count, 0) :]:
            there = [i for i in self.instruments if date in self._days([i])]
            plan = self._plan(date, there)
            finer = [s for p, s in zip(plan.parts, plan.slices, strict=True) if p.resolution != "daily"]
            if finer:
                yield LogSource(self.reader, finer)

    def daily(self) -> list[Bar]:
        """Return the recorded bars of a day of earlier sessions, by time."""
        wanted = Selection(
            types=frozenset({Bar}),
            feeds=frozenset(f.feed for f in self.sessions.feeds() if f.resolution == "daily"),
            instruments=frozenset(self.instruments),
            end_ts=self.begin_ts() + 1,
        )
        found = [e.event for b in self.reader.entries(wanted) for e in b if isinstance(e.event, Bar)]
        return sorted(found, key=lambda bar: bar.ts)

    def scheduled(self) -> list[SessionScheduled]:
        """Return the date's sessions of the exchanges that have data."""
        exchanges = {self.sessions.instrument(i).exchange for i in self.instruments}
        found = (self.sessions.session_on(exchange, self.date) for exchange in sorted(exchanges))
        return [session for session in found if session is not None]

    def start_ts(self, start: str) -> int:
        """Return where the day begins."""
        sessions = self.scheduled()
        if start == "begin":
            return self.begin_ts()
        if start == "open":
            return min(session.open for session in sessions)
        return local(self.date, start, self.timezone)

    def begin_ts(self) -> int:
        """Return where the date's sessions begin."""
        return min(session.begin for session in self.scheduled())

    def end_ts(self) -> int:
        """Return where the day ends."""
        return max(session.end for session in self.scheduled())


def look_back(day: GatewayDay, count: int, feeds: Feeds, quotes: Quotes) -> None:
    """Make what came before the day history, prices and closes; `count` sessions of it in full."""

    def fold(event: Event) -> None:
        handler = quotes.handlers.get(type(event))
        if handler is not None:
            handler(event, 0)

    for source in day.before(count):
        for batch in source.batches():
            for _, event in batch:
                fold(event)
                feeds.on_event(event)
    firsts = {name: feeds.archive(name).first_ts() for name in day.instruments}
    for bar in day.daily():
        first = firsts[bar.instrument]
        if first is None or bar.ts <= first:
            feeds.archive(bar.instrument).days.append(bar)
        if first is None:
            fold(bar)
    for instrument in day.instruments:
        close = _last_close(day.sessions, instrument, feeds.archive(instrument), day.begin_ts())
        close = quotes.mark(instrument) if close is None else close
        feeds.closes |= {} if close is None else {instrument: close}
        feeds.archive(instrument).new_day()


def _last_close(sessions: Sessions, instrument: str, archive: Archive, until: int) -> float | None:
    """Return the last price of regular hours before a time: that of the last bar of a day."""
    known = sessions.instrument(instrument)
    last = max([*archive.times[-1:], *(bar.start for bar in archive.days[-1:])], default=None)
    session = None if last is None else sessions.session(known.exchange, last)
    if session is None:
        return None
    frame = Frame(BarLength("day"), True, lambda ts: sessions.session(known.exchange, ts), known.timezone)  # noqa: FBT003
    bars = trade_bars(archive, Window(frame, session.begin, until))
    return bars[-1].close if bars else None
