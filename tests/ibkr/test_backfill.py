"""Gaps and what the broker's history says of them: which questions, when, and what comes of the answers."""

from typing import Any

import msgspec
import pytest

from adapters.ibkr.data.backfill import ANSWER_NS, ASKS_MAX, BEHIND_NS, OPEN_MAX, PAUSE_NS, TRIES, Backfill
from adapters.ibkr.data.barmaking import BarMaker
from adapters.ibkr.data.latebars import size_for
from adapters.ibkr.data.lines import Line
from adapters.ibkr.wire.messages import ErrorMessage, HistoricalBar, HistoricalBars, HistoricalEnd
from core.clock import MINUTE_NS as M
from core.clock import SECOND_NS as S
from core.clock import local
from core.events import DataGapChanged, FeedDefined, LateBarReported, SessionScheduled
from projections.sessions import Calendar
from tests.ibkr.test_marketdata import stock

OPEN = local("2025-07-02", "09:30", "America/New_York")
CLOSE = local("2025-07-02", "16:00", "America/New_York")
DAY = SessionScheduled(
    OPEN - 330 * M,
    "XNYS",
    "2025-07-02",
    "America/New_York",
    OPEN - 330 * M,
    OPEN,
    CLOSE,
    CLOSE + 240 * M,
)
NIGHT = 24 * 60 * M
NEXT_DAY = SessionScheduled(
    DAY.begin + NIGHT,
    "XNYS",
    "2025-07-03",
    DAY.timezone,
    DAY.begin + NIGHT,
    OPEN + NIGHT,
    CLOSE + NIGHT,
    DAY.end + NIGHT,
)


class Requests:
    """Keeps what would be sent."""

    def req_historical_data(self, req_id: int, contract: Any, **asked: Any) -> bytes:
        return (
            f"ask {req_id} {contract.symbol} {asked['end']} {asked['duration']} {asked['bar_size']}".encode()
        )

    def cancel_historical_data(self, req_id: int) -> bytes:
        return f"cancel {req_id}".encode()


class Desk:
    """A backfill, its clocks, and what it asked and told."""

    def __init__(self, *days: SessionScheduled, **options: Any) -> None:
        self.hours = Calendar(days)
        self.fill = Backfill(self.hours, **options)
        self.told: list[Any] = []
        self.ids = iter(range(1, 1000))

    def line(self, name: str = "ACME", resolution: str = "") -> Line:
        one = msgspec.structs.replace(stock(name), con_id=sum(name.encode()))
        line = Line(one, name, opened_ts=1)
        if resolution:
            line.bars = [BarMaker(resolution, line.instrument, self.hours, 0)]
        return line

    def lost(self, line: Line, begin: int, end: int) -> "Desk":
        self.told += self.fill.found(line, begin, end, "it broke", end)
        return self

    def asks(self, ts: int, now_ns: int = 0) -> list[str]:
        out, told = self.fill.due(Requests(), lambda: next(self.ids), ts, now_ns)  # type: ignore[arg-type]
        self.told += told
        return [data.decode() for data in out]

    def answer(self, req_id: int, ts: int, *starts: int, price: float = 10.0) -> list[Any]:
        bars = [HistoricalBar(str(start // S), price, price, price, price, 1.0, None, 1) for start in starts]
        told = self.fill.heard(HistoricalBars(req_id, tuple(bars)), ts, 0)
        told += self.fill.heard(HistoricalEnd(req_id, "", ""), ts, 0)
        self.told += told
        return told

    def error(self, req_id: int, code: int, text: str, now_ns: int = 0) -> list[Any]:
        told = self.fill.heard(ErrorMessage(req_id, code, text, None, ""), OPEN + 60 * M, now_ns)
        self.told += told
        return told


def states(told: list[Any]) -> list[str]:
    return [event.state for event in told if isinstance(event, DataGapChanged)]


def test_a_gap_is_told_and_its_minutes_are_asked_for_when_the_last_is_over() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN + 70 * S, OPEN + 200 * S)
    assert states(desk.told) == ["found"]
    over = OPEN + 4 * M
    assert desk.asks(over + BEHIND_NS - 1) == []
    assert desk.asks(over + BEHIND_NS) == ["ask 1 ACME 20250702-13:34:00 180 S 1 min"]
    feed, *bars, filled = desk.answer(1, over + BEHIND_NS, OPEN, OPEN + M, OPEN + 3 * M, OPEN + 4 * M)
    assert isinstance(feed, FeedDefined)
    assert [bar.start for bar in bars] == [OPEN + M, OPEN + 3 * M]  # what lies outside is left out
    assert (filled.state, filled.rows, filled.begin, filled.end) == ("filled", 2, OPEN + M, over)


def test_nobody_hears_of_late_minutes_that_no_strategy_asked_for() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M).asks(OPEN + 2 * M)
    told = desk.answer(1, OPEN + 2 * M, OPEN)
    assert [bar.told for bar in told if isinstance(bar, LateBarReported)] == [False]


@pytest.mark.parametrize(
    ("last_told", "begin", "told"),
    [(0, OPEN, [True, True]), (OPEN + M, OPEN + M, [True]), (OPEN + 2 * M, 0, [])],
)
def test_what_was_told_before_the_gap_is_not_told_again(last_told: int, begin: int, told: list[bool]) -> None:
    desk = Desk(DAY)
    line = desk.line(resolution="1m")
    line.bars[0].last_ts = last_told
    desk.lost(line, OPEN + 10 * S, OPEN + 2 * M)
    asked = desk.asks(OPEN + 3 * M)
    assert len(asked) == bool(told)
    if told:
        late = desk.answer(1, OPEN + 3 * M, OPEN, OPEN + M)
        assert [bar.told for bar in late if isinstance(bar, LateBarReported)] == told
        assert late[-1].begin == begin


def test_a_bar_that_comes_after_a_younger_one_is_recorded_and_not_told() -> None:
    desk = Desk(DAY)
    line = desk.line(resolution="1m")
    desk.lost(line, OPEN, OPEN + M).asks(OPEN + 2 * M)
    line.bars[0].last_ts = OPEN + 2 * M  # a live bar was over meanwhile
    late = [event for event in desk.answer(1, OPEN + 2 * M, OPEN) if isinstance(event, LateBarReported)]
    assert [(bar.start, bar.told) for bar in late] == [(OPEN, False)]


def test_minutes_outside_regular_hours_are_recorded_and_not_told() -> None:
    desk = Desk(DAY)
    line = desk.line(resolution="1m")
    desk.lost(line, OPEN - 2 * M, OPEN + M).asks(OPEN + 2 * M)
    told = desk.answer(1, OPEN + 2 * M, OPEN - 2 * M, OPEN - M, OPEN)
    assert [bar.told for bar in told if isinstance(bar, LateBarReported)] == [False, False, True]


def test_longer_bars_are_asked_for_from_their_start_and_made_of_minutes() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(resolution="5m"), OPEN + 6 * M, OPEN + 7 * M)
    assert desk.asks(OPEN + 8 * M) == ["ask 1 ACME 20250702-13:37:00 60 S 1 min"]
    assert desk.asks(OPEN + 11 * M) == ["ask 2 ACME 20250702-13:40:00 300 S 1 min"]
    told = desk.answer(2, OPEN + 11 * M, *(OPEN + n * M for n in range(5, 10)))
    (bar,) = [event for event in told if isinstance(event, LateBarReported)]
    assert (bar.feed, bar.start, bar.ts, bar.volume) == ("ib/live/5min", OPEN + 5 * M, OPEN + 10 * M, 5.0)


@pytest.mark.parametrize(
    ("resolution", "size"),
    [("1s", "1sec"), ("10s", "10sec"), ("45s", "15sec"), ("90s", "30sec"), ("1m", "1min"), ("1h", "1min")],
)
def test_the_smallest_size_that_makes_a_length_is_asked_for(resolution: str, size: str) -> None:
    assert size_for(resolution).name == size


def test_while_the_exchange_is_closed_nothing_is_missed() -> None:
    desk = Desk(DAY, NEXT_DAY)
    assert desk.lost(desk.line(), DAY.end + M, DAY.end + 90 * M).told == []
    assert desk.asks(DAY.end + 100 * M) == []


def test_beyond_the_hours_that_the_log_knows_every_minute_counts() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), DAY.end + M, DAY.end + 2 * M)
    assert len(desk.asks(DAY.end + 3 * M)) == 1


def test_a_night_is_left_out_of_what_is_asked_for() -> None:
    desk, after = Desk(DAY, NEXT_DAY), NEXT_DAY
    desk.lost(desk.line(), DAY.end - M, after.begin + M)
    assert desk.asks(after.begin + 2 * M) == ["ask 1 ACME 20250703-00:00:00 60 S 1 min"]
    desk.answer(1, after.begin + 2 * M, DAY.end - M)
    assert desk.asks(after.begin + 2 * M) == ["ask 2 ACME 20250703-08:01:00 60 S 1 min"]
    assert desk.answer(2, after.begin + 2 * M, after.begin)[-1].rows == 2


def test_without_known_hours_every_minute_counts() -> None:
    desk = Desk()
    desk.lost(desk.line(), OPEN, OPEN + 90 * M)
    assert len(desk.asks(OPEN + 91 * M)) == 1


def test_a_gap_that_is_lost_again_grows() -> None:
    desk = Desk(DAY)
    line = desk.line()
    desk.lost(line, OPEN, OPEN + M).asks(OPEN + 2 * M)
    desk.fill.lost()
    desk.lost(line, OPEN + 2 * M, OPEN + 3 * M)
    assert desk.asks(OPEN + 4 * M, 20 * S) == ["ask 2 ACME 20250702-13:33:00 180 S 1 min"]


def test_an_answer_without_data_fills_the_gap_with_nothing() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M).asks(OPEN + 2 * M)
    told = desk.error(
        1, 162, "Historical Market Data Service error message:HMDS query returned no data: ACME"
    )
    assert (told[-1].state, told[-1].rows) == ("filled", 0)


def test_a_refusal_is_told_with_what_to_do() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M).asks(OPEN + 2 * M)
    (told,) = desk.error(1, 354, "not subscribed")
    assert (told.state, told.reason.split("; ")) == (
        "failed",
        ["not subscribed (code 354)", "next: tape fetch ACME, once the session is over"],
    )
    assert desk.asks(OPEN + 90 * M, 3600 * S) == []


def test_a_question_that_came_too_fast_is_put_again_a_few_times() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M)
    text = "Historical Market Data Service error message:Historical data request pacing violation"
    for number in range(1, TRIES + 1):
        now_ns = number * (PAUSE_NS + 1)
        assert len(desk.asks(OPEN + 60 * M, now_ns)) == 1
        desk.error(number, 162, text, now_ns)
        assert desk.asks(OPEN + 60 * M, now_ns + PAUSE_NS - 1) == []
    assert states(desk.told) == ["found", "failed"]


def test_a_question_without_an_answer_is_withdrawn_and_put_again() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M).asks(OPEN + 60 * M)
    assert desk.asks(OPEN + 60 * M, ANSWER_NS) == []
    assert desk.asks(OPEN + 60 * M, ANSWER_NS + 1) == ["cancel 1"]
    assert len(desk.asks(OPEN + 60 * M, ANSWER_NS + PAUSE_NS + 1)) == 1


def test_a_notice_about_a_question_is_no_refusal() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M).asks(OPEN + 2 * M)
    assert desk.error(1, 2174, "time zone") == []
    assert desk.fill.asking


def test_only_so_many_questions_wait_at_a_time() -> None:
    desk = Desk(DAY)
    for number in range(OPEN_MAX + 5):
        desk.lost(desk.line(f"N{number}"), OPEN, OPEN + M)
    assert len(desk.asks(OPEN + 2 * M)) == OPEN_MAX
    desk.answer(1, OPEN + 2 * M, OPEN)
    assert len(desk.asks(OPEN + 2 * M)) == 1


def test_a_gap_that_takes_too_many_questions_is_left_to_a_fetch() -> None:
    desk = Desk()
    desk.lost(desk.line(), OPEN, OPEN + (ASKS_MAX + 1) * 24 * 60 * M)
    assert states(desk.told) == ["found", "failed"]
    assert "questions at once are too many" in desk.told[-1].reason


def test_a_bar_that_contradicts_itself_is_named_and_not_told() -> None:
    desk = Desk(DAY)
    desk.lost(desk.line(), OPEN, OPEN + M).asks(OPEN + 2 * M)
    wrong = HistoricalBar(str(OPEN // S), 10.0, 9.0, 8.0, 10.0, 1.0, None, 1)
    desk.fill.heard(HistoricalBars(1, (wrong,)), OPEN + 2 * M, 0)
    told = desk.fill.heard(HistoricalEnd(1, "", ""), OPEN + 2 * M, 0)
    assert (told[-1].rows, "contradict each other" in told[-1].reason) == (0, True)


def test_nothing_is_asked_for_if_it_is_off() -> None:
    desk = Desk(DAY, active=False)
    assert desk.lost(desk.line(), OPEN, OPEN + M).told == []
