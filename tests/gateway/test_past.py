"""Requests for the past as a client makes them: whole weeks, updates, refusals in TWS's words, past ticks."""

from decimal import Decimal

import pytest

from tests.gateway.inside import inside
from tests.gateway.raw import ZVXA, step

D = Decimal


@pytest.fixture(scope="module")
def still(ib_gateway_log, tmp_path_factory):
    """A client of a gateway whose clock stands: nothing is kept up to date here."""
    with inside(ib_gateway_log, tmp_path_factory.mktemp("past") / "book") as client:
        yield client


@pytest.fixture
def raw(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book") as client:
        yield client


def ask(raw, duration, size, what="TRADES", *, end="", rth=0, keep=0, form=1, contract=ZVXA, req_id=5):
    raw.send(20, req_id, *contract, 0, end, size, duration, rth, what, form, keep, "")


def bars(raw):
    found = raw.seek(17)
    rows = found[3:]
    return [rows[8 * n : 8 * n + 8] for n in range(int(found[2]))]


def test_a_week_and_a_month_hold_their_sessions(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book", date="2025-07-03") as raw:
        ask(raw, "1 M", "1 day")
        days = bars(raw)
        assert [bar[0] for bar in days] == ["20250702", "20250703"]
        for size in ("1W", "1 week", "1M", "1 month"):
            ask(raw, "1 M", size)
            (whole,) = bars(raw)
            assert whole[0] == "20250703"
            assert D(whole[5]) == sum(D(bar[5]) for bar in days)
            assert (whole[1], whole[4]) == (days[0][1], days[1][4])
            assert (D(whole[2]), D(whole[3])) == (max(D(b[2]) for b in days), min(D(b[3]) for b in days))


def test_a_day_before_the_open_is_the_one_before(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book", date="2025-07-03", start="09:00") as raw:
        for rth, dates in ((1, ["20250702"]), (0, ["20250703"])):
            ask(raw, "1 D", "1 day", rth=rth)
            assert [bar[0] for bar in bars(raw)] == dates


def test_bars_of_a_day_reach_back_as_far_as_they_were_recorded(tape, tmp_path):
    daily = ["time,open,high,low,close,volume"]
    daily += [f"2025-06-{day},10,12,9,{10 + day % 3},1000" for day in (23, 24, 25, 26, 27, 30)]
    minutes = [
        "time,open,high,low,close,volume",
        *(f"2025-07-01 13:3{n}:00,11,11,11,11,10" for n in range(5)),
    ]
    for name, lines in (("daily", daily), ("minute", minutes)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
        options = (
            "--symbol",
            "LONG",
            "--exchange",
            "XNYS",
            "--resolution",
            name,
            "--feed",
            f"csv/{name}",
        )
        done = tape("--log", "log", "import", f"{name}.csv", *options, "--timezone", "UTC")
        assert done.code == 0, done.err
    contract = [*ZVXA]
    contract[1] = "LONG"
    with inside(tmp_path / "log", tmp_path / "book", date="2025-07-01", start="09:33") as raw:
        ask(raw, "1 Y", "1 day", contract=contract, rth=1)
        assert [bar[0] for bar in bars(raw)] == [
            *("20250623", "20250624", "20250625", "20250626", "20250627", "20250630", "20250701")
        ]
        ask(raw, "1 Y", "1W", contract=contract, rth=1)
        assert [(bar[0], bar[5]) for bar in bars(raw)] == [("20250627", "5000"), ("20250701", "1020")]
        raw.send(1, 11, 7, *contract, 0, "", 0, 0, "")
        assert [m[4] for m in raw.drain() if m[:1] == ["1"] and m[3] == "9"] == ["10"]
        ask(raw, "1 D", "30 secs", contract=contract)
        assert raw.error(162)[0] == "5"
        raw.send(97, 8, *contract, "Last", 0, 0)
        (told,) = [m for m in step(raw) if m[0] == "99"]
        assert told == ["99", "8", "1", str(1_751_376_780 - 1), "11", "10", "0", "", ""]


def test_a_bar_that_is_kept_up_to_date_goes_on_where_the_answer_ended(raw):
    ask(raw, "1800 S", "5 mins", keep=1)
    last = bars(raw)[-1]
    raw.seek(108)
    heard = [m for m in step(raw, 40) if m[0] == "90"]
    assert heard[0][3] == last[0]
    assert D(heard[0][9]) >= D(last[5])
    assert (heard[0][4], D(heard[0][6]) >= D(last[2])) == (last[1], True)


def test_a_day_or_a_week_is_kept_up_to_date(raw):
    for req_id, size in enumerate(("1 day", "1W"), 11):
        ask(raw, "1 W", size, keep=1, req_id=req_id)
    told = {m[1]: m[3] for m in step(raw, 60) if m[0] == "90"}
    assert told == {"11": "20250702", "12": "20250702"}


def test_regular_hours_only_are_kept_up_to_date(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book", start="begin") as raw:
        raw.subscribe(7)
        ask(raw, "1800 S", "1 min", keep=1, rth=1)
        assert bars(raw) == []
        assert [m for m in step(raw, 30) if m[0] == "90"] == []


@pytest.mark.parametrize(
    "end",
    [
        *("20250702-13:20:00", "20250702 09:20:00 US/Eastern", "20250702 08:20:00 US/Central"),
        *("20250702 09:20:00", "20250702  09:20:00", "09:20:00 US/Eastern", "20250702 09:20 US/Eastern"),
    ],
)
def test_ends_are_understood_in_each_of_the_forms_that_there_are(still, end):
    ask(still, "600 S", "1 min", end=end)
    first, last = still.seek(108)[2:]
    assert (first, last) == ("20250702 09:10:00 America/New_York", "20250702 09:20:00 America/New_York")


@pytest.mark.parametrize(
    "end", ["20250702", "yesterday", "20250702 09:30 Mars/Base", "20251302 09:30:00 UTC"]
)
def test_an_end_that_is_none_is_refused_as_tws_does(still, end):
    ask(still, "600 S", "1 min", end=end)
    req_id, _, text = still.error(10314)
    assert req_id == "5"
    assert text.startswith("End Date/Time: The date, time, or time-zone entered is invalid.")


def test_an_end_without_a_zone_is_warned_of_and_answered(still):
    ask(still, "600 S", "1 min", end="20250702 09:30:00")
    assert still.error(2174)[0] == "5"
    assert bars(still)
    ask(still, "600 S", "1 min", end="20250702-13:30:00")
    assert [m for m in still.drain() if m[0] == "4"] == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"size": "1 sec"}, "Legal ones are: 1 secs,"),
        ({"duration": "86401 S"}, "must be made in days"),
        ({"duration": "366 D"}, "must be made in years"),
        ({"form": 0}, "Date formatting selection of 0 rejected"),
        ({"what": "ADJUSTED_LAST", "end": "20250702-13:30:00"}, "End Date not supported with adjusted last"),
        ({"keep": 1, "end": "20250702-13:30:00"}, "End Date not supported with keepUpToDate"),
        ({"keep": 1, "size": "1 secs"}, "5 secs and longer"),
    ],
)
def test_what_tws_refuses_is_refused(still, given, told):
    ask(still, **{"duration": "1800 S", "size": "1 min", **given})
    req_id, _, text = still.error(321)
    assert (req_id, told in text) == ("5", True)


@pytest.mark.parametrize(
    ("kind", "message", "width"),
    [("Last", "98", 6), ("AllLast", "98", 6), ("BidAsk", "97", 6), ("MidPoint", "96", 4)],
)
def test_past_ticks_come_first_where_a_stream_asks_for_them(raw, kind, message, width):
    raw.send(97, 3, *ZVXA, kind, 10, 0)
    found = raw.read()
    assert found[:2] == [message, "3"]
    assert int(found[2]) >= 10
    assert len(found) == 4 + width * int(found[2])
    assert found[-1] == "1"
    while not any(m[0] == "99" for m in step(raw)):
        pass
    raw.send(97, 4, *ZVXA, kind, 0, 0)
    assert [m for m in raw.drain() if m[0] == message] == []


def test_past_prints_name_their_venues(still):
    still.send(96, 5, *ZVXA, 0, "", "", 5, "TRADES", 0, 0, "")
    found = still.seek(98)
    assert "" not in found[7 : 3 + 6 * int(found[2]) : 6]


def test_a_stream_of_quotes_may_leave_out_changes_of_size(raw):
    raw.send(97, 3, *ZVXA, "BidAsk", 0, 1)
    raw.send(97, 4, *ZVXA, "BidAsk", 0, 0)
    told = {"3": [], "4": []}
    for message in step(raw, 200):
        if message[0] == "99":
            told[message[1]].append(message[4:6])
    assert all(a != b for a, b in zip(told["3"], told["3"][1:], strict=False))
    assert len(told["3"]) < len(told["4"])
