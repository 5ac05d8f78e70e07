"""What a client sees on the wire of the account: positions, values, executions, and how orders fill."""

from decimal import Decimal

from tests.gateway.raw import ACCOUNT, Raw, connected, step, until

D = Decimal


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
