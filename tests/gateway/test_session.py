"""What a client sees on the wire: handshake, market data, orders, account, errors with IB's codes."""

from decimal import Decimal

import pytest

from tests.gateway.raw import ACCOUNT, ZVXA, Raw, connected

D = Decimal
ZVF = ["0", "ZVF", "FUT", "202509", "0", "", "", "CME", "", "USD", "", ""]
ACK = 5  # openOrder


@pytest.fixture
def port(ib_gateway):
    """A gateway in lock step at the open: nothing happens unless a test asks for the time."""
    return ib_gateway(speed="step", start="open").port


def step(raw: Raw, count: int = 1) -> list[list[str]]:
    """Let `count` events happen that the client hears of; return what was heard."""
    first = len(raw.messages)
    for _ in range(count):
        raw.send(105)
        raw.seek(109)
    return raw.messages[first:]


def until(raw: Raw, kind: int, limit: int = 400) -> list[str]:
    """Step until a message of an id comes."""
    for _ in range(limit):
        for message in step(raw):
            if message[0] == str(kind):
                return message
    raise AssertionError(f"no message {kind} in {limit} steps")


# -- handshake ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "answer"), [("v100..200", 200), ("v157..178", 178), ("v100..226", 200), ("v157", 157)]
)
def test_the_lower_of_both_highest_versions_is_spoken(port, offer, answer):
    assert Raw(port).greet(offer).version == answer


def test_the_configured_version_is_the_highest(ib_gateway):
    assert Raw(ib_gateway(server_version=163).port).greet().version == 163


def test_accounts_then_the_next_id_then_notices_follow_the_start(port):
    raw = Raw(port).greet().start(3)
    found = [raw.read() for _ in range(5)]
    assert [m[0] for m in found] == ["15", "9", "4", "4", "4"]
    assert found[0][2] == ACCOUNT
    assert found[1][2] == "1"
    assert [m[2] for m in found[2:]] == ["2104", "2106", "2158"]


def test_nothing_comes_before_the_start(port):
    raw = Raw(port, timeout=0.2).greet()
    with pytest.raises(TimeoutError):
        raw.read()


def test_a_client_id_in_use_is_refused_with_326(port):
    with connected(port, 5):
        second = Raw(port).greet().start(5)
        assert second.error(326)[0] == "-1"
        assert second.to_end() == []


def test_a_client_id_is_free_again_when_its_client_left(port):
    with connected(port, 5):
        pass
    with connected(port, 5) as again:
        assert again.version == 200


def test_garbage_instead_of_the_protocol_closes_the_connection(port):
    raw = Raw(port)
    raw.write(b"GET / HTTP/1.1\r\n\r\n")
    assert raw.to_end() == []


def test_a_malformed_request_is_answered_and_the_connection_stays(port):
    with connected(port) as raw:
        raw.send(20, "x")
        assert raw.error(321)[2].endswith("reqId: expected an integer, not 'x'")
        raw.send(49, 1)
        assert raw.seek(49)


def test_an_unknown_request_is_answered_with_322(port):
    with connected(port) as raw:
        raw.send(22, 4, 9)
        assert raw.error(322)[0] == "9"


# -- contracts ---------------------------------------------------------------------------------


def test_contract_details_name_the_contract(port):
    with connected(port) as raw:
        raw.send(9, 8, 5, *ZVF, 0, "", "", "")
        found = raw.seek(10)
        assert found[1:6] == ["5", "ZVF", "FUT", "20250919", "20250919"]
        assert raw.seek(52)[2] == "5"


def test_an_unknown_contract_is_error_200(port):
    with connected(port) as raw:
        raw.subscribe(4, ["0", "NONE", *ZVXA[2:]])
        assert raw.error(200)[0] == "4"


def test_an_ambiguous_contract_is_error_200(port):
    with connected(port) as raw:
        raw.place(1, contract=["0", "", "STK", "", "0", "", "", "SMART", "", "USD", "", ""])
        assert raw.error(200)[0] == "1"


def test_matching_symbols_are_found_by_their_beginning(port):
    with connected(port) as raw:
        raw.send(81, 6, "zvx")
        found = raw.seek(79)
        assert found[2] == "3"
        assert {"ZVXA", "ZVXB", "ZVXC"} <= set(found)


def test_market_rules_tell_the_tick_size(port):
    with connected(port) as raw:
        raw.send(91, 250_000)
        assert raw.seek(93) == ["93", "250000", "1", "0", "0.25"]


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


# -- orders ------------------------------------------------------------------------------------


def test_an_order_is_acknowledged_then_filled_and_charged(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, ref="mine")
        ack = raw.seek(5)
        assert ack[1] == "1"
        assert "mine" in ack
        status = raw.seek(3)
        assert status[1:5] == ["1", "Submitted", "0", "100"]
        execution = until(raw, 11)
        assert execution[14:15] == ["0000e0d5.65000001.01.01"]
        filled = next(m for m in raw.messages if m[0] == "3" and m[2] == "Filled")
        assert filled[3:5] == ["100", "0"]
        charge = next(m for m in raw.messages if m[0] == "59")
        assert charge[2:5] == ["0000e0d5.65000001.01.01", "1", "USD"]
        assert charge[5].startswith("1.797")  # an opening fill realises nothing


def test_a_limit_order_rests_until_it_is_cancelled(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        assert raw.seek(3)[2] == "Submitted"
        raw.cancel(1)
        assert raw.seek(3)[2] == "Cancelled"
        assert raw.error(202)[0] == "1"


def test_a_modification_keeps_the_perm_id(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        first = raw.seek(3)
        raw.place(1, "SELL", 50, "LMT", 98)
        second = raw.seek(3)
        assert (second[2], second[4], second[6]) == ("Submitted", "50", first[6])


@pytest.mark.parametrize(
    ("code", "given"),
    [
        (387, {"kind": "PEG MID", "aux": 1}),
        (201, {"algo": "Twap"}),
        (201, {"action": "SSHORT"}),
        (321, {"oca": "g", "oca_type": 4}),
        (434, {"quantity": 0}),
        (321, {"kind": "LMT"}),
        (321, {"account": "DU9"}),
        (110, {"kind": "LMT", "limit": 83.005}),
        (10006, {"parent": 77}),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(port, code, given):
    with connected(port) as raw:
        raw.place(1, **given)
        assert raw.error(code)[0] == "1"
        raw.send(5, 1)
        assert raw.seek(53)
        assert not [m for m in raw.messages if m[0] == "5"]


def test_a_filled_order_cannot_be_modified_or_cancelled(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1)
        until(raw, 59)
        raw.place(1, quantity=200)
        assert raw.error(104)[0] == "1"
        raw.cancel(1)
        assert "state: Filled" in raw.error(10148)[2]


def test_a_used_id_is_a_duplicate_and_an_unknown_one_is_not_found(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.cancel(1)
        raw.error(202)
        raw.place(1, "SELL", 100, "LMT", 99)
        assert raw.error(103)[0] == "1"
        raw.cancel(9)
        assert raw.error(10147)[0] == "9"


def test_an_order_that_does_not_match_the_original_is_refused(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.place(1, "BUY", 100, "LMT", 80)
        assert raw.error(105)[0] == "1"


def test_ids_go_on_behind_the_highest_used(port):
    with connected(port) as raw:
        raw.place(41, "SELL", 100, "LMT", 99)
        raw.seek(3)
        raw.send(8, 1, 1)
        assert raw.seek(9)[2] == "42"
    with connected(port, 2) as other:
        other.send(8, 1, 1)
        assert other.seek(9)[2] == "1"


def test_a_bracket_waits_for_its_last_child_and_its_parent(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "BUY", 100, "MKT", transmit=0)
        raw.place(2, "SELL", 100, "LMT", 99, parent=1, transmit=0)
        assert not [m for m in raw.drain() if m[0] in ("3", "5")]
        raw.place(3, "SELL", 100, "STP", aux=70, parent=1)
        statuses = {m[1]: m[2] for m in raw.drain() if m[0] == "3"}
        assert statuses == {"1": "Submitted", "2": "PreSubmitted", "3": "PreSubmitted"}
        until(raw, 59)
        statuses = {m[1]: m[2] for m in raw.messages if m[0] == "3"}
        assert statuses == {"1": "Filled", "2": "Submitted", "3": "PreSubmitted"}


def test_children_are_cancelled_with_their_parent(port):
    with connected(port) as raw:
        raw.place(1, "BUY", 100, "LMT", 50, transmit=0)
        raw.place(2, "SELL", 100, "LMT", 99, parent=1)
        raw.cancel(1)
        statuses = {m[1]: m[2] for m in raw.drain() if m[0] == "3"}
        assert statuses == {"1": "Cancelled", "2": "Cancelled"}


def test_a_fill_of_one_cancels_the_others(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "SELL", 100, "LMT", 99, oca="g", oca_type=1)
        raw.place(2, "BUY", 100, "MKT", oca="g", oca_type=1)
        until(raw, 59)
        assert {m[1]: m[2] for m in raw.messages if m[0] == "3"} == {"1": "Cancelled", "2": "Filled"}


def test_a_preview_is_answered_twice_and_books_nothing(port):
    with connected(port) as raw:
        raw.place(1, quantity=10, what_if=1)
        first, second = raw.seek(5), raw.seek(5)
        assert sum(field.startswith("1.797") for field in second) < sum(f.startswith("1.797") for f in first)
        raw.send(16, 1)
        assert raw.seek(53)
        raw.send(8, 1, 1)
        assert raw.seek(9)[2] == "1"


def test_open_orders_are_the_clients_own_and_all_are_everybodys(port):
    with connected(port, 1) as one, connected(port, 2) as two:
        one.place(1, "SELL", 100, "LMT", 99)
        one.seek(3)
        two.send(5, 1)
        two.seek(53)
        assert not [m for m in two.messages if m[0] == "5"]
        two.send(16, 1)
        assert two.seek(5)[1] == "1"


def test_a_global_cancel_reaches_every_client(port):
    with connected(port, 1) as one, connected(port, 2) as two:
        one.place(1, "SELL", 100, "LMT", 99)
        one.seek(3)
        two.send(58, "", 2147483647)
        assert one.seek(3)[2] == "Cancelled"


def test_another_clients_order_cannot_be_cancelled(port):
    with connected(port, 1) as one, connected(port, 2) as two:
        one.place(1, "SELL", 100, "LMT", 99)
        one.seek(3)
        two.cancel(1)
        assert two.error(10147)[0] == "1"


# -- account -----------------------------------------------------------------------------------


def filled(raw: Raw, quantity: int = 100) -> None:
    raw.subscribe(1)
    raw.place(1, quantity=quantity)
    until(raw, 59)


def test_positions_are_told_and_kept_up_to_date(port):
    with connected(port) as raw:
        raw.send(61, 1)
        raw.seek(62)
        assert not [m for m in raw.messages if m[0] == "61"]
        filled(raw)
        position = next(m for m in raw.messages if m[0] == "61")
        assert position[2] == ACCOUNT
        assert position[14] == "100"


def test_the_accounts_value_is_cash_and_positions(port):
    with connected(port) as raw:
        filled(raw)
        raw.send(6, 2, 1, "")
        raw.seek(54)
        values = {m[2]: m[3] for m in raw.messages if m[0] == "6"}
        item = next(m for m in raw.messages if m[0] == "7")
        assert D(values["NetLiquidation"]) == D(values["TotalCashValue"]) + D(item[15])


def test_a_summary_gives_the_tags_asked_for(port):
    with connected(port) as raw:
        raw.send(62, 1, 4, "All", "NetLiquidation,BuyingPower")
        raw.seek(64)
        assert {m[4] for m in raw.messages if m[0] == "63"} == {"NetLiquidation", "BuyingPower"}


def test_account_updates_of_a_model_end(port):
    with connected(port) as raw:
        raw.send(76, 1, 4, ACCOUNT, "", 0)
        assert raw.seek(74)[2] == "4"


def test_profit_is_told_for_the_account_and_one_position(port):
    with connected(port) as raw:
        filled(raw)
        con_id = next(m for m in raw.messages if m[0] == "11")[3]
        raw.send(92, 8, ACCOUNT, "")
        account = raw.seek(94)
        raw.send(94, 9, ACCOUNT, "", con_id)
        single = raw.seek(95)
        assert single[2] == "100"
        assert D(account[2]) == D(single[4]) - 1  # a commission of 1


def test_executions_can_be_filtered(port):
    with connected(port) as raw:
        filled(raw)

        def ids(
            symbol: str = "", side: str = "", client: int = 0, time: str = "", days: str = ""
        ) -> list[str]:
            raw.send(7, 3, 5, client, "", time, symbol, "", "", side, days or 2147483647, 0)
            first = len(raw.messages)
            raw.seek(55)
            return [m[14] for m in raw.messages[first:] if m[0] == "11"]

        assert len(ids()) == len(ids("ZVXA", "BUY", 1)) == 1
        assert ids("ZVXB") == ids(side="SELL") == ids(client=2) == ids(time="20250702-19:00:00") == []
        assert len(ids(days="1")) == 1


def test_completed_orders_tell_how_they_ended(port):
    with connected(port) as raw:
        filled(raw)
        raw.place(2, "SELL", 100, "LMT", 99)
        raw.cancel(2)
        raw.error(202)
        raw.send(99, 0)
        raw.seek(102)
        ends = [
            next(f for f in m if f in ("Filled Size", "Cancelled by Trader"))
            for m in raw.messages
            if m[0] == "101"
        ]
        assert ends == ["Filled Size", "Cancelled by Trader"]


def test_an_order_of_an_earlier_version_of_the_protocol_is_understood(ib_gateway):
    with connected(ib_gateway(speed="step", start="open").port, versions="v100..157") as raw:
        assert raw.version == 157
        raw.place(1, "SELL", 100, "LMT", 99)
        assert raw.seek(3)[2] == "Submitted"
        raw.cancel(1)
        assert raw.seek(3)[2] == "Cancelled"


# -- the matching engine's assumptions -----------------------------------------------------------


def test_a_large_order_fills_in_parts_of_the_displayed_size(ib_gateway):
    port = ib_gateway(speed="step", start="open", partial_fills=True).port
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, quantity=20_000)
        step(raw, 400)
        fills = [m for m in raw.messages if m[0] == "11"]
        statuses = [m for m in raw.messages if m[0] == "3" and D(m[3]) > 0]
        assert len(fills) > 1
        assert statuses[0][2] == "Submitted"
        total = D(0)
        for execution, status in zip(fills, statuses, strict=True):
            total += D(execution[19])
            assert (D(execution[24]), D(status[3]), D(status[4])) == (total, total, 20_000 - total)
        charged = [D(m[3]) for m in raw.messages if m[0] == "59"]
        assert sum(charged) == max(D(1), total * D("0.005"))


def test_an_order_on_its_way_is_pending(ib_gateway):
    with connected(ib_gateway(speed="step", start="open", latency_ms=60_000).port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.send(5, 1)
        assert raw.seek(3)[2] == "PendingSubmit"
        raw.subscribe()
        assert until(raw, 3, 2_000)[2] == "Submitted"


def test_at_full_speed_the_day_waits_for_a_reader(ib_gateway):
    gateway = ib_gateway(speed="max")
    with connected(gateway.port) as raw:
        raw.subscribe()
        raw.seek(1)
    with connected(gateway.port, 2) as other:
        other.send(49, 1)
        first = other.seek(49)[2]
        assert int(first) < 1_751_486_400, "the close is still to come"
