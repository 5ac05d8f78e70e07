"""Faults of messages about orders as a client sees them on the wire: missing, late, twice, refused."""

from decimal import Decimal

import pytest

from tests.gateway.observing import (
    Observations,
    begin,
    executions,
    fill,
    open_orders,
    run,
    seen,
    seen_without,
)

OBSERVED = Observations()


# -- messages about orders -----------------------------------------------------------------------

SOUND = ["open", "status", "exec", "open", "status", "commission"]


def test_without_a_fault_order_messages_come_in_their_order(ib_gateway):
    assert fill(begin(ib_gateway(speed="step", start="open"))) == SOUND


@OBSERVED.of("order 1: swap")
def an_execution_comes_before_the_order(gateway) -> bool:
    return fill(begin(gateway)) == ["exec", "open", "status", "open", "status", "commission"]


@OBSERVED.of("order 1: swap hold=execDetails until=commissionReport")
def a_commission_comes_before_its_execution(gateway) -> bool:
    return fill(begin(gateway)) == ["open", "status", "open", "status", "commission", "exec"]


@OBSERVED.of("order 1: drop message=orderStatus count=2")
def a_status_is_missing(gateway) -> bool:
    return fill(begin(gateway)) == ["open", "exec", "open", "commission"]


@OBSERVED.of("order 1: drop message=commissionReport")
def a_commission_is_missing(gateway) -> bool:
    return fill(begin(gateway)) == SOUND[:-1]


@OBSERVED.of("order 1: repeat message=orderStatus times=4 count=2")
def a_status_comes_four_times(gateway) -> bool:
    return fill(begin(gateway)).count("status") == 8


@OBSERVED.of("order 1: repeat message=execDetails times=4")
def an_execution_comes_four_times(gateway) -> bool:
    raw = begin(gateway)
    found = fill(raw)
    return found.count("exec") == 4 and len({m[14] for m in raw.messages if m[0] == "11"}) == 1


@OBSERVED.of("order 1: late behind=12")
def a_commission_comes_late(gateway) -> bool:
    raw = begin(gateway)
    fill(raw)
    ids = [m[0] for m in raw.messages]
    return ids.index("59") - ids.index("11") > 12


@OBSERVED.of("order 1: alter")
def a_commission_is_nothing(gateway) -> bool:
    raw = begin(gateway)
    fill(raw)
    return [m[3] for m in raw.messages if m[0] == "59"] == ["0"]


@OBSERVED.of("fill 1: correct by=0.02")
def an_execution_is_corrected(gateway) -> bool:
    raw = begin(gateway)
    fill(raw)
    told = [(m[14], Decimal(m[20])) for m in raw.messages if m[0] == "11"]
    if len(told) != 2:
        return False
    (first, price), (second, corrected) = told
    (kept,) = executions(gateway)
    same = first[:-3] == second[:-3] and (first[-3:], second[-3:]) == (".01", ".02")
    return same and corrected == price + Decimal("0.02") and (kept[14], Decimal(kept[20])) == told[1]


@OBSERVED.of("cancel 1: fill_after_cancel")
def a_cancelled_order_fills(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1)
    raw.cancel(1)
    raw.seek(3, lambda m: m[2] == "Cancelled")
    raw.error(202)
    raw.subscribe()
    return any(m[0] == "11" for m in run(raw))


@OBSERVED.of("modify 1: fork")
def a_modification_makes_a_second_order(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.place(1, "SELL", 100, "LMT", 98)
    raw.drain()
    found = open_orders(gateway)
    return [m[1] for m in found] == ["1", "1"] and len({m[25] for m in found}) == 2


@pytest.mark.parametrize("code", ["399", "404", "10349"])
def test_an_error_about_an_order_leaves_it_working(ib_gateway, code):
    gateway = ib_gateway(speed="step", start="open", faults=f"order 1: error code={code}")
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    assert raw.error(int(code))[0] == "1"
    assert len(open_orders(gateway)) == 1


@pytest.mark.parametrize("code", ["103", "201", "321"])
def test_an_order_is_refused_and_not_booked(ib_gateway, code):
    gateway = ib_gateway(speed="step", start="open", faults=f"order 1: refuse code={code}")
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    assert raw.error(int(code))[0] == "1"
    assert open_orders(gateway) == []
    raw.place(2, "SELL", 100, "LMT", 99)
    assert raw.seek(3)[1:3] == ["2", "Submitted"]


@pytest.mark.parametrize("code", ["10147", "10148", "161"])
def test_a_cancel_is_refused_and_the_order_stays(ib_gateway, code):
    gateway = ib_gateway(speed="step", start="open", faults=f"cancel 1: refuse code={code} text=no")
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.seek(3)
    raw.cancel(1)
    assert raw.error(int(code))[0] == "1"
    assert len(open_orders(gateway)) == 1


@pytest.mark.parametrize("version", [157, 176, 200])
def test_the_versions_of_known_clients_are_spoken(ib_gateway, version):
    gateway = ib_gateway(speed="step", start="open", server_version=version)
    raw = begin(gateway)
    assert raw.version == version
    raw.place(1, "SELL", 100, "LMT", 99)
    assert raw.seek(3)[2] == "Submitted"


@pytest.mark.parametrize(("script", "observation"), OBSERVED.values(), ids=list(OBSERVED))
def test_a_fault_is_seen_on_the_wire(ib_gateway, script, observation):
    assert seen(ib_gateway, script, observation)


@pytest.mark.parametrize("observation", [each for _, each in OBSERVED.values()], ids=list(OBSERVED))
def test_a_sound_gateway_shows_no_such_fault(ib_gateway, observation):
    assert not seen_without(ib_gateway, observation)
