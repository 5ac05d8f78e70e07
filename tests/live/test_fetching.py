"""`fetch` against a simulated gateway that serves history: bars, once, with what is missing."""

import json
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import cli
from adapters.ibkr.data.bars import size_of
from adapters.ibkr.data.inquiry import Place, inquire
from adapters.replay.source import LogSource
from app.composition.definitions import definitions_of
from app.data.fetching import FetchRequest, fetch, run_fetch
from app.live.ending import Ending
from app.live.kill_file import KillFile
from app.live.signals import Stopping
from app.operation.writing import writing
from app.replay.period import Period
from app.replay.planning import Planner
from core.events import Bar, DataStateChanged, QuoteBar, Trade
from core.ports import Selection
from core.strategy import Subscription
from eventstore.reading.reader import LogReader
from tests.logs import events_of

DAY, NEXT = "2025-07-02", "2025-07-03"
SAMPLE_OPEN, SAMPLE_CLOSE = "2025-07-02T13:30:00Z", "2025-07-02T20:00:00Z"


@pytest.fixture
def place(ib_gateway: Callable[..., Any]) -> Place:
    gateway = ib_gateway(date=NEXT)
    return Place(host=gateway.host, port=gateway.port, client_id=9)


def request(first: str = DAY, last: str | None = None, **more: Any) -> FetchRequest:
    days = {"first": date.fromisoformat(first), "last": date.fromisoformat(last or first)}
    return FetchRequest(symbol=more.pop("symbol", "ZVXA"), **days, **more)


def bars_of(root: Path, feed: str) -> list[Any]:
    chosen = Selection(feeds=frozenset({feed}))
    return [event for chunk in LogReader(root).market(chosen) for event in chunk.events]


def test_bars_are_those_that_the_recorded_trades_make(place, ib_gateway_log, tmp_path):
    run_fetch(tmp_path / "log", place, request())
    bars = bars_of(tmp_path / "log", "ib/1min")
    session = definitions_of(LogReader(ib_gateway_log)).session_on("XNYS", DAY)
    minute = 60_000_000_000
    expected: dict[int, list[Trade]] = {}
    for trade in bars_of(ib_gateway_log, "sample/tick"):
        inside = isinstance(trade, Trade) and trade.instrument == "ZVXA" and not trade.suspicious
        if inside and session.open <= trade.ts < session.close:
            expected.setdefault(trade.ts // minute * minute, []).append(trade)
    assert [bar.start for bar in bars] == sorted(expected)
    for bar in bars:
        trades = expected[bar.start]
        prices = [trade.price for trade in trades]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == sum(trade.size for trade in trades)
        assert bar.ts == bar.start + minute


def test_what_the_log_holds_is_not_asked_for_again(place, tmp_path):
    first = run_fetch(tmp_path / "log", place, request())
    again = run_fetch(tmp_path / "log", place, request())
    assert (first.asked, first.held, first.result.accepted) == ([DAY], [], 390)
    assert (again.asked, again.held, again.result.accepted) == ([], [DAY], 0)
    assert len(bars_of(tmp_path / "log", "ib/1min")) == 390


def test_a_fetch_that_was_interrupted_goes_on_at_the_next_session(place, tmp_path):
    root = tmp_path / "log"

    def stop(done: int, total: int | None) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_fetch(root, place, request(DAY, "2025-07-02", bar="5min"), stop)
    assert run_fetch(root, place, request(DAY, bar="5min")).held == [DAY]
    assert len(bars_of(root, "ib/5min")) == 78


@pytest.mark.parametrize(("how", "ended", "code"), [("a signal", "stopped", 143), ("kill file", "halted", 5)])
def test_asked_to_stop_it_ends_between_two_sessions_and_the_next_one_goes_on(
    place, tmp_path, how, ended, code
):
    root = tmp_path / "log"
    signals = Stopping()
    ending = Ending(root, signals)

    def stop(done: int, total: int | None) -> None:
        if done == 1 and how == "a signal":
            signals.number = signal.SIGTERM
        elif done == 1:
            KillFile(root).make("enough")

    fetched = run_fetch(root, place, request("2025-07-01", DAY), stop, ending)
    assert (fetched.asked, fetched.left, fetched.ended) == (["2025-07-01"], [DAY], ended)
    assert ending.exit_code == code
    KillFile(root).remove()
    assert run_fetch(root, place, request(DAY)).asked == [DAY]
    assert len(bars_of(root, "ib/1min")) == 390


def test_nothing_is_fetched_while_the_kill_file_is_there(place, tmp_path, capsys):
    where = ("--log", tmp_path / "log", "fetch", "--port", place.port, "ZVXA", "--from", DAY)
    run(capsys, *where)
    KillFile(tmp_path / "log").make("enough")
    code, _, err = run(capsys, *where, "--bar", "5min")
    assert (code, f"the kill file is there (enough); next: tape --log {tmp_path / 'log'} resume" in err) == (
        5,
        True,
    )
    assert bars_of(tmp_path / "log", "ib/5min") == []


def test_sessions_without_data_and_sessions_that_go_on_are_told(place, tmp_path):
    fetched = run_fetch(tmp_path / "log", place, request("2025-07-01", NEXT))
    assert (fetched.empty, fetched.unfinished) == (["2025-07-01"], [NEXT])
    assert [(gap.kind, gap.date) for gap in fetched.result.gaps] == [("session", "2025-07-01")]


def test_bars_of_bids_and_asks_are_quote_bars(place, tmp_path):
    fetched = run_fetch(tmp_path / "log", place, request(kind="quotes", bar="5min"))
    bars = bars_of(tmp_path / "log", "ib/5min")
    assert fetched.result.accepted == len(bars) == 78
    assert all(isinstance(bar, QuoteBar) and bar.bid_close < bar.ask_close for bar in bars)


def test_small_bars_take_several_requests_and_join_without_a_seam(place, tmp_path):
    fetched = run_fetch(tmp_path / "log", place, request(bar="30sec", symbol="ZVXA"))
    bars = bars_of(tmp_path / "log", "ib/30sec")
    assert fetched.result.accepted == len(bars) == len({bar.start for bar in bars})
    assert bars == sorted(bars, key=lambda bar: bar.start)


def test_a_day_is_one_bar_from_open_to_close(place, tmp_path):
    run_fetch(tmp_path / "log", place, request(bar="1day"))
    (bar,) = bars_of(tmp_path / "log", "ib/1day")
    day = definitions_of(LogReader(tmp_path / "log")).session_on("XNYS", DAY)
    assert isinstance(bar, Bar)
    assert (bar.start, bar.ts) == (day.open, day.close)


def test_fetched_bars_can_be_replayed(place, tmp_path):
    run_fetch(tmp_path / "log", place, request())
    reader = LogReader(tmp_path / "log")
    plan = Planner(reader, definitions_of(reader)).plan(Period(DAY, DAY), [Subscription("ZVXA")])
    source = LogSource(reader, plan.slices)
    assert sum(len(list(batch)) for batch in source.batches()) == 390


def test_an_instrument_that_the_log_does_not_know_is_defined_with_its_sessions(place, tmp_path):
    run_fetch(tmp_path / "log", place, request(symbol="ZVF-202509", bar="5min"))
    sessions = definitions_of(LogReader(tmp_path / "log"))
    future = sessions.instrument("ZVF-202509")
    assert (future.kind, future.exchange, future.multiplier) == ("FUT", "XCME", 50)
    assert sessions.session_on("XCME", DAY) is not None


def test_pacing_keeps_requests_for_one_contract_apart(place, tmp_path):
    with writing(tmp_path / "log") as writer, inquire(place) as inquiry:
        now = [0]
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += round(seconds * 1e9)

        inquiry._monotonic, inquiry._sleep = lambda: now[0], sleep
        wanted = request(symbol="ZVXB", bar="5sec")
        fetch(writer.journal, LogReader(tmp_path / "log"), inquiry, wanted, size_of("5sec"))
    # 6.5 hours in pieces of an hour are 7 requests, of which 5 may leave in 2 s.
    assert sum(slept) == pytest.approx(2.0)


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main([str(arg) for arg in args])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_prints_what_it_did(place, tmp_path, capsys):
    where = ("--log", tmp_path / "log", "fetch", "--port", place.port)
    code, out, _ = run(capsys, *where, "ZVXA", "--from", "2025-07-01", "--to", DAY, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["instrument"], told["feed"], told["accepted"]) == ("ZVXA", "ib/1min", 390)
    assert [gap["date"] for gap in told["gaps"]] == ["2025-07-01"]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("NOPE", "--from", DAY), 2, "NOPE: the broker knows no such contract"),
        (("ZVXA", "--from", NEXT), 7, "no session of 2025-07-03..2025-07-03 has ended"),
        (("ZVXA", "--from", DAY, "--to", "2025-07-01"), 2, "is after"),
        (("ZVXA", "--from", "July"), 2, "expected a date"),
        (("ZVXA", "--from", DAY, "--bar", "7min"), 2, "expected one of"),
    ],
)
def test_what_cannot_be_fetched_is_named(place, tmp_path, capsys, args, code, says):
    found, _, err = run(capsys, "--log", tmp_path / "log", "fetch", "--port", place.port, *args)
    assert (found, says in err) == (code, True), err


def test_a_name_without_a_contract_is_an_event_too(place, tmp_path, capsys):
    run(capsys, "--log", tmp_path / "log", "fetch", "--port", place.port, "NOPE", "--from", DAY)
    (told,) = events_of(tmp_path / "log", DataStateChanged)
    assert (told.instrument, told.state) == ("NOPE", "refused")


def test_nobody_at_the_port_is_exit_code_3(tmp_path, capsys):
    code, _, err = run(capsys, "--log", tmp_path / "log", "fetch", "ZVXA", "--from", DAY, "--port", 1)
    assert (code, "cannot connect" in err) == (3, True)
