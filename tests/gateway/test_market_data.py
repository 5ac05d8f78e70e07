"""What a client sees on the wire of market data: streams in lock step, and history."""

from decimal import Decimal

from tests.gateway.raw import ZVXA, Raw, connected, step, until

D = Decimal
ZVF = ["0", "ZVF", "FUT", "202509", "0", "", "", "CME", "", "USD", "", ""]


# -- market data -------------------------------------------------------------------------------


def test_a_subscription_begins_with_the_present_state(port):
    with connected(port) as raw:
        raw.subscribe(7)
        found = raw.drain()
        assert found[0][:3] == ["81", "7", "0.01"]
        assert found[1] == ["58", "1", "7", "1"]
        ticks = {m[3]: m[4] for m in found if m[0] == "1"}
        assert D(ticks["1"]) < D(ticks["2"])
        assert {"4", "6", "7", "14"} <= set(ticks)


def test_one_event_happens_for_each_request_of_the_time_in_lock_step(port):
    with connected(port) as raw:
        raw.subscribe(7)
        raw.drain()
        times = []
        for _ in range(5):
            heard = step(raw)
            assert len(heard) > 1, "the event's messages come before the time"
            assert heard[-1][0] == "109"
            times.append(int(heard[-1][1]))
        assert times == sorted(times)


def test_the_clock_stands_until_somebody_needs_it(ib_gateway):
    with connected(ib_gateway(speed=1000).port) as raw:
        raw.send(49, 1)
        first = raw.seek(49)
        raw.send(49, 1)
        assert raw.seek(49) == first


def test_a_quote_tells_only_the_side_that_changed(port):
    with connected(port) as raw:
        raw.subscribe(7)
        raw.drain()
        sides = [[m[3] for m in step(raw) if m[0] == "1" and m[3] in "12"] for _ in range(60)]
        assert ["1"] in sides
        assert ["2"] in sides


def test_tick_by_tick_trades_are_the_recorded_prints(port):
    with connected(port) as raw:
        raw.send(97, 3, *ZVXA, "AllLast", 0, 0)
        message = until(raw, 99)
        assert message[1:3] == ["3", "2"]
        assert len(message) == 9


def test_a_cancelled_subscription_is_silent(port):
    with connected(port) as raw:
        raw.subscribe(7)
        raw.send(2, 2, 7)
        raw.drain()
        raw.send(1, 11, 8, *ZVF, 0, "", 0, 0, "")
        assert {m[2] for m in step(raw, 20) if m[0] in ("1", "2")} <= {"8"}


def test_a_ticker_id_in_use_is_refused(port):
    with connected(port) as raw:
        raw.subscribe(7)
        raw.subscribe(7)
        assert raw.error(322)[0] == "7"


def test_delayed_data_use_their_own_tick_types(port):
    with connected(port) as raw:
        raw.send(59, 1, 3)
        raw.subscribe(7)
        found = raw.drain()
        assert ["58", "1", "7", "3"] in found
        assert {m[3] for m in found if m[0] == "1"} <= {"66", "67", "68", "72", "73", "75", "76"}


def test_a_snapshot_ends(port):
    with connected(port) as raw:
        raw.send(1, 11, 9, *ZVXA, 0, "", 1, 0, "")
        assert raw.seek(57)[2] == "9"


def test_market_depth_is_refused(port):
    with connected(port) as raw:
        raw.send(10, 5, 4, *ZVXA, 5, 0, "")
        assert raw.error(354)[0] == "4"


# -- history -----------------------------------------------------------------------------------


def history(raw: Raw, duration: str, size: str, what: str = "TRADES", rth: int = 0) -> list[list[str]]:
    raw.send(20, 5, *ZVXA, 0, "", size, duration, rth, what, 2, 0, "")
    found = raw.seek(17)
    assert raw.seek(108)[1] == "5"
    count = int(found[2])
    rows = found[3:]
    assert len(rows) == 8 * count
    return [rows[8 * n : 8 * n + 8] for n in range(count)]


def test_bars_are_built_from_what_was_traded_until_now(port):
    with connected(port) as raw:
        bars = history(raw, "3600 S", "5 mins")
        assert bars
        assert [int(bar[0]) % 300 for bar in bars] == [0] * len(bars)
        assert all(D(b[3]) <= min(D(b[1]), D(b[4])) <= D(b[2]) for b in bars)
        raw.send(49, 1)
        assert int(bars[-1][0]) <= int(raw.seek(49)[2])


def test_bars_add_up_whatever_their_length(port):
    with connected(port) as raw:
        short, long = history(raw, "1 D", "1 min"), history(raw, "1 D", "1 day")
        assert sum(D(bar[5]) for bar in short) == sum(D(bar[5]) for bar in long)
        assert long[0][0] == "20250702"


def test_quote_bars_have_no_volume(port):
    with connected(port) as raw:
        assert {tuple(bar[5:]) for bar in history(raw, "3600 S", "5 mins", "BID")} == {("-1", "-1", "-1")}


def test_regular_hours_only_leaves_out_the_morning(port):
    with connected(port) as raw:
        raw.send(20, 5, *ZVXA, 0, "", "5 mins", "3600 S", 1, "TRADES", 2, 0, "")
        assert raw.error(162)[0] == "5"


def test_the_day_before_is_history(ib_gateway):
    port = ib_gateway(date="2025-07-03", speed="step", start="open").port
    with connected(port) as raw:
        assert [bar[0] for bar in history(raw, "2 D", "1 day")] == ["20250702", "20250703"]


def test_bars_are_kept_up_to_date(port):
    with connected(port) as raw:
        raw.send(20, 5, *ZVXA, 0, "", "1 min", "1800 S", 0, "TRADES", 2, 1, "")
        raw.seek(17)
        assert until(raw, 90)[1] == "5"


def test_past_ticks_end_where_asked(port):
    with connected(port) as raw:
        raw.send(96, 5, *ZVXA, 0, "", "", 10, "TRADES", 0, 0, "")
        found = raw.seek(98)
        assert found[2] == "10"
        assert found[-1] == "1"


def test_a_spread_is_the_average_of_both_sides_between_their_extremes(port):
    with connected(port) as raw:
        bars = history(raw, "3600 S", "5 mins", "BID_ASK")
        bids, asks = (history(raw, "3600 S", "5 mins", what) for what in ("BID", "ASK"))
        assert [bar[0] for bar in bars] == [bar[0] for bar in bids]
        assert all(D(b[3]) <= D(b[1]) < D(b[4]) <= D(b[2]) for b in bars)
        # Bars of one side begin where the one before ended, those of both with what was shown first.
        assert all(D(own[3]) >= D(bid[3]) for own, bid in zip(bars, bids, strict=True))
        assert all(D(own[2]) <= D(ask[2]) for own, ask in zip(bars, asks, strict=True))
        assert {tuple(bar[5:]) for bar in bars} == {("-1", "-1", "-1")}


def test_the_schedule_names_the_sessions_in_the_time_of_the_exchange(ib_gateway):
    with connected(ib_gateway(date="2025-07-03", speed="step", start="open").port) as raw:
        raw.send(20, 5, *ZVXA, 0, "", "1 day", "2 D", 1, "SCHEDULE", 2, 0, "")
        found = raw.seek(106)
        assert found[1:6] == ["5", "20250702-09:30:00", "20250703-13:00:00", "America/New_York", "2"]
        assert found[6:] == [
            *("20250702-09:30:00", "20250702-16:00:00", "20250702"),
            *("20250703-09:30:00", "20250703-13:00:00", "20250703"),
        ]


def test_real_time_bars_of_quotes_hold_what_was_quoted(port):
    with connected(port) as raw:
        for number, what in enumerate(("TRADES", "BID", "MIDPOINT", "ASK"), 1):
            raw.send(50, 3, number, *ZVXA, 5, what, 0, "")
        found: dict[str, list[str]] = {}
        while len(found) < 4:
            until(raw, 50)
            found = {message[2]: message for message in raw.messages if message[0] == "50"}
        trades, bid, middle, ask = (found[str(number)] for number in (1, 2, 3, 4))
        assert [m[8:] for m in (bid, middle, ask)] == [["-1", "-1", "-1"]] * 3
        assert D(trades[8]) > 0
        assert D(bid[7]) < D(middle[7]) < D(ask[7])
