"""Every type of order through the gateway: taken, shown with its terms, changed, filled, refused with a code.

The sample's share opens at about 83; a client in lock step sees one event of the day for each request.
"""

from decimal import Decimal

import pytest

from tests.gateway.raw import connected

D = Decimal
VERSIONS = ("v100..157", "v100..163", "v100..176", "v100..200")
RESTING = {
    "STP": {"aux": 120},
    "STP LMT": {"aux": 120, "limit": 121},
    "LIT": {"aux": 60, "limit": 61},
    "TRAIL": {"aux": "20.5"},
    "MOC": {},
}


@pytest.fixture
def port(ib_gateway):
    return ib_gateway(speed="step", start="open").port


def step(raw, times=1):
    """Let so many events of the day happen; return what was told of them."""
    first = len(raw.messages)
    for _ in range(times):
        raw.send(105)
        raw.seek(109)
    return raw.messages[first:]


def statuses(messages):
    """Return the last status of each order."""
    return {m[1]: m[2] for m in messages if m[0] == "3"}


def shown(raw, order_id):
    """Return how an order was last shown, by names of fields: C11 come behind the id."""
    order = [m for m in raw.messages if m[0] == "5" and m[1] == str(order_id)][-1]
    names = ("action", "quantity", "type", "limit", "aux", "tif", "oca", "account")
    return dict(zip(names, order[13:21], strict=True)) | {"fields": order}


@pytest.mark.parametrize("versions", VERSIONS)
@pytest.mark.parametrize("kind", RESTING)
def test_each_type_rests_with_its_terms_and_is_cancelled(port, versions, kind):
    with connected(port, versions=versions) as raw:
        raw.place(1, "BUY", 100, kind, **RESTING[kind])
        assert statuses(raw.drain()) == {"1": "PreSubmitted"}
        told = shown(raw, 1)
        assert (told["type"], told["quantity"]) == (kind, "100")
        assert (D(told["aux"]), D(told["limit"])) == (
            D(str(RESTING[kind].get("aux", 0))),
            D(str(RESTING[kind].get("limit", 0))),
        )
        raw.cancel(1)
        assert raw.error(202)[0] == "1"


def test_a_trailing_stop_tells_where_it_stands_and_follows_the_market(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "SELL", 100, "TRAIL", trail_percent="25")
        raw.place(2, "SELL", 100, "TRAIL", aux="1.5", trail_stop="70")
        step(raw, 40)
        raw.send(16, 1)
        raw.seek(53)
        first, second = shown(raw, 1)["fields"], shown(raw, 2)["fields"]
        at = first.index("25")  # trailStopPrice comes just before trailingPercent
        assert 55 < D(first[at - 1]) < 70
        assert "1.5" in second
        assert any(f.replace(".", "").isdigit() and 75 < D(f) < 90 for f in second[60:])


def test_an_order_with_an_end_is_told_in_the_exchanges_time_and_ends(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "BUY", 100, "LMT", 60, tif="GTD", good_till="20250702-13:30:05")
        raw.drain()
        assert "20250702 09:30:05 America/New_York" in shown(raw, 1)["fields"]
        told = step(raw, 60)
        assert statuses(told) == {"1": "Cancelled"}


@pytest.mark.parametrize(("tif", "limit", "end"), [("IOC", 60, "Cancelled"), ("FOK", 99, "Filled")])
def test_what_must_fill_at_once_does_or_is_cancelled(port, tif, limit, end):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "BUY", 100, "LMT", limit, tif=tif)
        assert statuses(step(raw, 3))["1"] == end


def test_a_stop_limit_triggers_and_rests(ib_gateway):
    with connected(ib_gateway(speed="step", start="open").port) as raw:
        raw.subscribe()
        raw.place(1, "BUY", 100, "STP LMT", limit=50, aux=50)
        assert statuses(raw.drain())["1"] == "PreSubmitted"
        step(raw, 20)
        raw.send(16, 1)
        raw.seek(53)
        assert statuses(raw.messages)["1"] == "Submitted"  # triggered; its limit is far below


@pytest.mark.parametrize("versions", VERSIONS)
def test_a_change_moves_the_stop_of_a_child_and_the_distance_of_a_trail(port, versions):
    with connected(port, versions=versions) as raw:
        raw.place(1, "BUY", 100, "LMT", 60, transmit=0)
        raw.place(2, "SELL", 100, "STP", aux=50, parent=1, transmit=0)
        raw.place(3, "SELL", 100, "TRAIL", aux="2", parent=1)
        raw.drain()
        raw.place(2, "SELL", 100, "STP", aux=55, parent=1)
        raw.place(3, "SELL", 100, "TRAIL", aux="3", parent=1)
        raw.place(1, "BUY", 100, "LMT", 61)
        raw.drain()
        assert (shown(raw, 2)["aux"], shown(raw, 3)["aux"], shown(raw, 1)["limit"]) == ("55", "3", "61")
        assert statuses(raw.messages) == {"1": "Submitted", "2": "PreSubmitted", "3": "PreSubmitted"}


def bracket(raw, quantity=100, kind="MKT", **entry):
    raw.place(1, "BUY", quantity, kind, transmit=0, **entry)
    raw.place(2, "SELL", quantity, "LMT", 99, parent=1, transmit=0)
    raw.place(3, "SELL", quantity, "STP", aux=70, parent=1)


def test_a_cancel_of_one_child_leaves_the_other(port):
    with connected(port) as raw:
        bracket(raw, kind="LMT", limit=60)
        raw.cancel(3)
        assert statuses(raw.drain()) == {"1": "Submitted", "2": "PreSubmitted", "3": "Cancelled"}


def test_exits_of_one_parent_are_a_group_named_after_it(port):
    with connected(port) as raw:
        bracket(raw, kind="LMT", limit=60)
        raw.drain()
        assert shown(raw, 2)["oca"] == shown(raw, 3)["oca"] == shown(raw, 1)["fields"][25]


def test_what_was_never_transmitted_dies_with_its_client(port):
    with connected(port) as raw:
        raw.place(1, "BUY", 100, "MKT", transmit=0)
        raw.place(2, "SELL", 100, "LMT", 99, parent=1, transmit=0)
        raw.drain()
    with connected(port) as raw:
        raw.send(16, 1)
        raw.seek(53)
        raw.send(99, 0)
        raw.seek(102)
        assert not [m for m in raw.messages if m[0] in ("5", "101")]
        raw.place(3, "SELL", 100, "LMT", 99, parent=1)
        assert raw.error(10006)[0] == "3"


@pytest.mark.parametrize("kind", [2, 3])
def test_a_part_of_a_group_reduces_the_others_and_the_whole_cancels_them(ib_gateway, kind):
    port = ib_gateway(speed="step", start="open", partial_fills=True).port
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "SELL", 1000, "LMT", 99, oca="g", oca_type=kind)
        raw.place(2, "BUY", 1000, "MKT", oca="g", oca_type=kind)
        told = []
        while not any(m[0] == "11" for m in told):
            told += step(raw)
        part = next(int(m[19]) for m in told if m[0] == "11")
        assert 0 < part < 1000
        assert shown(raw, 1)["quantity"] == str(1000 - part)
        while statuses(raw.messages).get("2") != "Filled":
            step(raw)
        assert statuses(raw.messages)["1"] == "Cancelled"


def test_a_part_of_a_group_of_type_1_cancels_the_others(ib_gateway):
    port = ib_gateway(speed="step", start="open", partial_fills=True).port
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "SELL", 1000, "LMT", 99, oca="g", oca_type=1)
        raw.place(2, "BUY", 1000, "MKT", oca="g", oca_type=1)
        told = []
        while not any(m[0] == "11" for m in told):
            told += step(raw)
        assert statuses(told)["1"] == "Cancelled"
        assert statuses(told)["2"] == "Submitted"


@pytest.mark.parametrize(
    ("code", "given"),
    [
        (321, {"kind": "STP LMT", "aux": 84}),
        (321, {"kind": "LIT", "limit": 84}),
        (321, {"kind": "TRAIL"}),
        (321, {"kind": "TRAIL", "aux": 1, "trail_percent": 2}),
        (321, {"kind": "TRAIL", "trail_percent": 120}),
        (110, {"kind": "TRAIL", "aux": "1.005"}),
        (110, {"kind": "STP LMT", "aux": 84, "limit": "84.001"}),
        (201, {"kind": "LMT", "limit": 83, "tif": "GTD"}),
        (391, {"kind": "LMT", "limit": 83, "tif": "GTD", "good_till": "noon"}),
        (201, {"kind": "LMT", "limit": 83, "tif": "GTD", "good_till": "20250701-10:00:00"}),
        (201, {"kind": "STP", "aux": 83, "tif": "IOC"}),
        (201, {"kind": "MOC", "tif": "GTC"}),
        (201, {"kind": "LMT", "limit": 83, "tif": "AUC"}),
    ],
)
def test_what_is_malformed_is_refused_with_its_code(port, code, given):
    with connected(port) as raw:
        raw.place(1, **given)
        assert raw.error(code)[0] == "1"
        assert not [m for m in raw.drain() if m[0] == "5"]


def test_another_group_or_a_time_that_does_not_rest_is_no_modification(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99, oca="g")
        raw.place(1, "SELL", 100, "LMT", 98, oca="other")
        assert raw.error(10326)[0] == "1"
        raw.place(1, "SELL", 100, "LMT", 98, oca="g", tif="IOC")
        assert raw.error(201)[0] == "1"
        assert shown(raw, 1)["limit"] == "99"


def test_time_in_force_and_hours_can_be_changed(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.place(1, "SELL", 100, "LMT", 98, tif="GTC", outside=1)
        raw.drain()
        told = shown(raw, 1)
        assert (told["limit"], told["tif"], told["fields"][26]) == ("98", "GTC", "1")


@pytest.mark.parametrize("kind", RESTING)
def test_each_type_has_a_preview(port, kind):
    with connected(port) as raw:
        raw.place(1, "BUY", 100, kind, what_if=1, **RESTING[kind])
        first, second = raw.seek(5), raw.seek(5)
        assert first[15] == second[15] == kind
        assert sum(f.startswith("1.797") for f in second) < sum(f.startswith("1.797") for f in first)
        raw.send(16, 1)
        raw.seek(53)
        assert len([m for m in raw.messages if m[0] == "5"]) == 2
