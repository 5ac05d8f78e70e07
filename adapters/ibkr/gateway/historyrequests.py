"""Requests for the past: bars (once, or kept up to date), schedules, past ticks, the time of the first data.

Refuses what TWS refuses, in its words. Nothing after the gateway's clock is told.
"""

from collections.abc import Callable, Sequence

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.archive import Archive
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contract, Wanted, read_contract
from adapters.ibkr.gateway.frames import Frame, first_date
from adapters.ibkr.gateway.growing import TRADED, BarStream
from adapters.ibkr.gateway.history import Candle, Window, quote_bars, spread_bars, trade_bars
from adapters.ibkr.gateway.pastticks import MESSAGES, MOST, Kind, TicksWanted, past_ticks
from adapters.ibkr.gateway.requests import HistoryRequest
from adapters.ibkr.gateway.terms import Refusal
from adapters.ibkr.gateway.times import (
    BarLength,
    Duration,
    bar_length,
    day,
    duration,
    local_time,
    moment,
    stamp,
    zoned,
)
from adapters.ibkr.gateway.wire import BadFrame, Cursor
from core.clock import SECOND_NS
from core.events import SessionScheduled
from projections.sessions import Sessions

Handler = Callable[[Client, Cursor], None]
GROWING = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
_WHAT = GROWING | {"ADJUSTED_LAST", "BID_ASK"}
_YIELDS = {"YIELD_BID", "YIELD_ASK", "YIELD_BID_ASK", "YIELD_LAST"}
_VOLATILITIES = {"HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"}
_NOT_RECORDED = frozenset({*_YIELDS, *_VOLATILITIES, "REBATE_RATE", "FEE_RATE", "AGGTRADES"})
_TICKS: dict[str, Kind] = {"TRADES": "TRADES", "BID_ASK": "BID_ASK", "MIDPOINT": "MIDPOINT"}
_KINDS: dict[str, Kind] = {
    "Last": "TRADES",
    "AllLast": "TRADES",
    "BidAsk": "BID_ASK",
    "MidPoint": "MIDPOINT",
}
_SCHEDULES = 165  # older clients cannot read them
_KEPT_FROM_NS = 5 * SECOND_NS  # shorter bars are not kept up to date
INVALID = "Error validating request.-'bX' : cause - "
_NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: "
_FORM = (
    "The date, time, or time-zone entered is invalid. The correct format is yyyymmdd hh:mm:ss xx/xxxx where "
    "yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 US/Eastern  Note that there is a space "
    "between the date and time, and between the time and time-zone.  If no date is specified, current date "
    "is assumed. If no time-zone is specified, local time-zone is assumed(deprecated).  You can also provide "
    "yyyymmddd-hh:mm:ss time is in UTC. Note that there is a dash between the date and time in UTC notation."
)
_NO_ZONE = (
    "Warning: You submitted request with date-time attributes without explicit time zone. Please switch to "
    "use yyyymmdd-hh:mm:ss in UTC or use instrument time zone, like US/Eastern. Implied time zone "
    "functionality will be removed in the next API release"
)


class HistoryRequests:
    """Answers from the archives; `resolve` finds a contract, `start` lets the clock run."""

    def __init__(
        self,
        archive: Callable[[str], Archive],
        resolve: Callable[[Wanted], Contract],
        sessions: Sessions,
        now: Callable[[], int],
        start: Callable[[], None],
    ) -> None:
        self._archive = archive
        self._resolve = resolve
        self._sessions = sessions
        self._now = now
        self._start = start

    def routes(self) -> dict[int, Handler]:
        """Return the handlers by request id."""
        return {
            20: self._bars,
            87: self._head,
            88: self._histogram,
            89: lambda _client, _cursor: None,
            90: lambda _client, _cursor: None,
            96: self._past_ticks,
        }

    # -- bars ----------------------------------------------------------------------------------

    def _bars(self, client: Client, cursor: Cursor) -> None:
        asked = requests.history(cursor, client.version)
        contract = self._resolve(asked.contract)
        if asked.what == "SCHEDULE" and client.version >= _SCHEDULES:
            self._schedule(client, asked, contract)
            return
        if asked.what in _NOT_RECORDED:
            raise self._nothing(contract, asked.what)
        check_what(asked.what, GROWING | TRADED if asked.keep_up else _WHAT)
        length = bar_length(asked.bar_size)
        _check_bars(asked, length)
        frame = self.frame(contract, length, rth=asked.rth, date_format=asked.date_format)
        end = self._end(client, asked.req_id, asked.end, contract)
        begin = frame.whole(self._begin(contract, asked, length, end), end)
        candles = self._candles(contract, asked.what, Window(frame, begin, end))
        if not candles and not asked.keep_up:
            raise self._nothing(contract, asked.what)
        rows = [_row(candle, asked.what) for candle in candles]
        first, last = stamp(begin, contract.timezone), stamp(end, contract.timezone)
        for fields in answers.bars(asked.req_id, first, last, rows, client.version):
            client.post(fields)
        if asked.keep_up:
            client.bars[asked.req_id] = BarStream(
                asked.req_id, contract, frame, asked.what, candle=candles[-1] if candles else None
            )
            self._start()

    def frame(self, contract: Contract, length: BarLength, *, rth: bool, date_format: int) -> Frame:
        """Return how a contract's bars are cut."""
        return Frame(length, rth, self._session(contract), contract.timezone, date_format)

    def _session(self, contract: Contract) -> Callable[[int], SessionScheduled | None]:
        return lambda ts: self._sessions.session(contract.calendar, ts)

    def _end(self, client: Client, req_id: int, shown: str, contract: Contract, name: str = "End") -> int:
        """Return what a request's end (or start) means, not later than now."""
        now = self._now() + 1
        if not shown.strip():
            return now
        text = shown.strip()
        dated = text if text[:8].isdecimal() else f"{day(now, contract.timezone)} {text}"
        try:
            if ":" not in dated:
                raise BadFrame("no time of day")
            found = moment(dated, contract.timezone)
        except BadFrame as error:
            raise Refusal(10314, f"{name} Date/Time: {_FORM}") from error
        if not zoned(dated):
            client.post(answers.error(client.version, req_id, 2174, _NO_ZONE, now // 1_000_000))
        return min(found, now)

    def _begin(self, contract: Contract, asked: HistoryRequest, length: BarLength, end: int) -> int:
        """Return where a window begins: days count as sessions, weeks and more by the calendar.

        The first bar of a week or month is whole.
        """
        back = duration(asked.duration)
        if back.unit == "S":
            return end - back.count * SECOND_NS
        first = self._first(contract, back, rth=asked.rth, end=end)
        if first is None:
            return end
        session = self._sessions.session(contract.calendar, first)
        since = "" if session is None else first_date(length.unit, session.date)
        return next((s.begin for s in self._sessions.sessions(contract.calendar) if s.date >= since), first)

    def _first(self, contract: Contract, back: Duration, *, rth: bool, end: int) -> int | None:
        """Return where the first session of a duration of days or more begins; `None` without any."""
        found = self._sessions.sessions(contract.calendar)
        known = [s for s in found if (s.open if rth else s.begin) < end]  # those that have begun
        if back.unit == "D" or not known:
            mine = known[-back.count :]
        else:
            mine = [s for s in known if s.date > back.since(known[-1].date)]
        return mine[0].begin if mine else None

    def _candles(self, contract: Contract, what: str, window: Window) -> list[Candle]:
        archive, length = self._archive(contract.instrument), window.frame.length
        if length.unit == "time" and length.ns < archive.finest_ns:
            return []  # recorded bars cannot be cut
        if what in TRADED:
            return trade_bars(archive, window)
        if what == "BID_ASK":
            return spread_bars(archive, window)
        return quote_bars(archive, window, what)

    def _nothing(self, contract: Contract, what: str) -> Refusal:
        return Refusal(162, f"{_NO_DATA}{contract.symbol}@{contract.exchange} {what.title()}")

    # -- schedules -----------------------------------------------------------------------------

    def _schedule(self, client: Client, asked: HistoryRequest, contract: Contract) -> None:
        """Answer with the sessions that begin in the window, in the time of the exchange."""
        length = bar_length(asked.bar_size)
        if length.unit != "day":
            raise Refusal(321, f"{INVALID}SCHEDULE is told for bars of 1 day only")
        zone = contract.timezone
        end = moment(asked.end, zone) if asked.end else self._now() + 1
        begin = self._begin(contract, asked, length, end)
        found = [s for s in self._sessions.sessions(contract.calendar) if begin <= s.begin < end]
        spans = [(s.open, s.close) if asked.rth else (s.begin, s.end) for s in found]

        def shown(ts: int) -> str:
            return f"{local_time(ts, zone):%Y%m%d-%H:%M:%S}"

        first, last = (spans[0][0], spans[-1][1]) if spans else (begin, end)
        rows = [(shown(a), shown(b), s.date.replace("-", "")) for (a, b), s in zip(spans, found, strict=True)]
        head: Fields = [106, asked.req_id, shown(first), shown(last), zone, len(rows)]
        client.post([*head, *(value for row in rows for value in row)])

    def _head(self, client: Client, cursor: Cursor) -> None:
        req_id, wanted = cursor.integer("reqId"), read_contract(cursor, expirable=True)
        contract = self._resolve(wanted)
        cursor.skip(2)
        first = self._archive(contract.instrument).first_ts()
        if first is None:
            raise Refusal(162, f"{_NO_DATA}{contract.symbol}@{contract.exchange}")
        epoch = cursor.integer("formatDate") == 2
        client.post([88, req_id, str(first // SECOND_NS) if epoch else stamp(first, "UTC")[:17]])

    def _histogram(self, client: Client, cursor: Cursor) -> None:
        """Answer with what was traded at each price over the last days, weeks or months."""
        req_id, wanted = cursor.integer("reqId"), read_contract(cursor, expirable=True)
        contract, rth, period = self._resolve(wanted), cursor.boolean("useRTH"), cursor.text("timePeriod")
        count, _, unit = period.partition(" ")
        back = duration(f"{count} {unit[:1]}")
        end = self._now() + 1
        begin = self._first(contract, back, rth=rth, end=end)
        if begin is None:
            raise self._nothing(contract, "TRADES")
        frame = self.frame(contract, BarLength("day"), rth=rth, date_format=1)
        rows = self._archive(contract.instrument).rows(begin, end, days=False)
        sizes: dict[float, float] = {}
        for _, _, row in Window(frame, begin, end).placed(rows):
            sizes[row[4]] = sizes.get(row[4], 0.0) + row[5]
        client.post([89, req_id, len(sizes), *(value for pair in sorted(sizes.items()) for value in pair)])

    # -- ticks ---------------------------------------------------------------------------------

    def _past_ticks(self, client: Client, cursor: Cursor) -> None:
        asked = requests.history_ticks(cursor)
        contract = self._resolve(asked.contract)
        check_what(asked.what, frozenset(_TICKS))
        begin = 0
        if asked.start.strip():
            begin = self._end(client, asked.req_id, asked.start, contract, "Start")
        wanted = TicksWanted(
            _TICKS[asked.what],
            begin,
            self._end(client, asked.req_id, asked.end, contract),
            min(max(asked.count, 0) or MOST, MOST),
            bool(asked.start.strip()),
            asked.rth,
            asked.ignore_size,
        )
        self._tell_ticks(client, asked.req_id, contract, wanted)

    def before_stream(self, client: Client, asked: requests.TickByTickRequest, contract: Contract) -> None:
        """Tell the past ticks with which a tick-by-tick stream begins."""
        now, count = self._now() + 1, min(asked.past, MOST)
        wanted = TicksWanted(_KINDS[asked.kind], 0, now, count, first=False, ignore_size=asked.ignore_size)
        self._tell_ticks(client, asked.req_id, contract, wanted)

    def _tell_ticks(self, client: Client, req_id: int, contract: Contract, wanted: TicksWanted) -> None:
        rows: Sequence[Fields] = past_ticks(
            self._archive(contract.instrument), wanted, self._session(contract)
        )
        flat = [value for row in rows for value in row]
        client.post([MESSAGES[wanted.kind], req_id, len(rows), *flat, True])


def check_what(what: str, known: frozenset[str]) -> None:
    """Raise `Refusal` for data that there are not."""
    if what not in known:
        expected = ", ".join(sorted(known))
        raise Refusal(321, f"{INVALID}whatToShow {what!r} is not simulated: expected one of {expected}")


def _check_bars(asked: HistoryRequest, length: BarLength) -> None:
    if asked.date_format not in (1, 2):
        raise Refusal(321, f"{INVALID}Date formatting selection of {asked.date_format} rejected.")
    if asked.end.strip() and asked.what == "ADJUSTED_LAST":
        raise Refusal(321, f"{INVALID}End Date not supported with adjusted last")
    if asked.keep_up and asked.end.strip():
        raise Refusal(321, f"{INVALID}End Date not supported with keepUpToDate")
    if asked.keep_up and length.unit == "time" and length.ns < _KEPT_FROM_NS:
        raise Refusal(321, f"{INVALID}keepUpToDate is supported for bars of 5 secs and longer")


def _row(candle: Candle, what: str) -> Fields:
    tail: Fields = [-1, -1, -1]
    if what in TRADED:
        tail = [candle.volume, round(candle.wap, 6), candle.count]
    return [candle.label, candle.open, candle.high, candle.low, candle.close, *tail]
