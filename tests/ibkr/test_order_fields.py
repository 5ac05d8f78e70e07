"""Intents become the broker's orders, and what the broker shows of them is comparable."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibapi.order import Order

from adapters.ibkr.wire.decoder import Decoder
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.order_fields import Names, fill_order, read_order, terms_of
from adapters.ibkr.wire.terms import OrderTerms
from adapters.ibkr.wire.versions import amendment, only_smaller, shown_prices, shown_version
from core.clock import local
from core.events import OrderAmended, OrderIntended
from core.money import money
from core.views import Order as KnownOrder
from projections.records import Version
from tests.ibkr import frames

DECODER = Decoder(installed(), 200)
LIMIT = OrderIntended(
    5, "sma-1-1", "DU1", "sma", "AAPL", "BUY", Decimal(100), "LMT", Decimal("144.78"), None, "DAY", "crossed"
)
AMOUNTS = st.decimals(Decimal("0.01"), 1_000_000, places=4).map(money)


def shown(**fields):
    """Return what the broker's book shows of an order."""
    [said] = DECODER.decode([frames.open_order(200, **fields)])
    return said


def test_an_intent_becomes_terms_with_its_reference():
    assert terms_of(LIMIT, Names("t-sma-1-1.1")) == OrderTerms(
        side="BUY",
        quantity=Decimal(100),
        type="LMT",
        limit=Decimal("144.78"),
        tif="DAY",
        account="DU1",
        order_ref="t-sma-1-1.1",
    )


@pytest.mark.parametrize("reference", ["x" * 37, "société"])
def test_a_reference_that_the_broker_may_cut_is_a_mistake_of_ours(reference):
    with pytest.raises(AssertionError):
        terms_of(LIMIT, Names(reference))


NAMES = Names("t.1", 41, "t.g")
SHAPES = {
    "STP LMT": {"limit": Decimal("144"), "stop": Decimal("143.5")},
    "LIT": {"limit": Decimal("144"), "stop": Decimal("145")},
    "TRAIL": {"limit": None, "trail": Decimal("0.75"), "stop": Decimal("140")},
    "MOC": {"limit": None},
}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("STP LMT", {"lmtPrice": 144.0, "auxPrice": 143.5}),
        ("LIT", {"lmtPrice": 144.0, "auxPrice": 145.0}),
        ("TRAIL", {"auxPrice": 0.75, "trailStopPrice": 140.0}),
        ("MOC", {"tif": "DAY"}),
    ],
)
def test_each_type_fills_the_fields_that_the_broker_reads(kind, fields):
    order = msgspec.structs.replace(LIMIT, type=kind, **SHAPES[kind])
    sent, blank = fill_order(terms_of(order, NAMES), Order()), Order()
    names = ("lmtPrice", "auxPrice", "trailStopPrice", "trailingPercent")
    expected = {name: getattr(blank, name) for name in names} | {"orderType": kind, "tif": "DAY"} | fields
    assert {name: getattr(sent, name) for name in expected} == expected


def test_a_share_goes_out_in_per_cent_and_comes_back_as_the_same():
    order = msgspec.structs.replace(LIMIT, type="TRAIL", limit=None, trail_pct=Decimal("0.015"))
    sent = fill_order(terms_of(order, NAMES), Order())
    assert (sent.trailingPercent, sent.auxPrice) == (1.5, Order().auxPrice)
    assert shown_prices("TRAIL", read_order(sent)).trail_pct == Decimal("0.015")


def test_the_end_of_an_order_goes_out_as_utc_in_whole_seconds():
    order = msgspec.structs.replace(LIMIT, tif="GTD", good_till=1_751_463_000_900_000_000, outside_rth=True)
    sent = fill_order(terms_of(order, NAMES), Order())
    assert (sent.tif, sent.goodTillDate, sent.outsideRth) == ("GTD", "20250702-13:30:00", True)


def test_a_family_names_parent_and_group_and_only_its_last_order_lets_it_go():
    first = fill_order(terms_of(LIMIT, NAMES, transmit=False), Order())
    assert (first.parentId, first.ocaGroup, first.ocaType, first.transmit) == (41, "t.g", 2, False)
    alone = fill_order(terms_of(LIMIT, Names("t.2")), Order())
    assert (alone.parentId, alone.ocaGroup, alone.ocaType, alone.transmit) == (0, "", 0, True)


@given(
    st.builds(
        OrderTerms,
        side=st.sampled_from(["BUY", "SELL"]),
        quantity=AMOUNTS,
        type=st.sampled_from(["MKT", "LMT", "STP", "STP LMT", "TRAIL"]),
        limit=st.none() | AMOUNTS,
        stop=st.none() | AMOUNTS,
        tif=st.sampled_from(["DAY", "GTC"]),
        account=st.just("DU1"),
        order_ref=st.text("ab-.1", max_size=36),
        parent_id=st.none() | st.integers(1, 2**31 - 2),
        oca_group=st.just("") | st.just("g1"),
        outside_hours=st.booleans(),
        trail_stop=st.none() | AMOUNTS,
        trail_percent=st.none() | AMOUNTS,
        what_if=st.booleans(),
    )
)
def test_terms_survive_the_way_to_ibapi_and_back(terms):
    back = read_order(fill_order(terms, Order()))
    assert msgspec.structs.replace(back, client_id=None) == terms


def test_what_is_not_set_stays_unset_at_ibapi():
    order = fill_order(OrderTerms(side="BUY", quantity=Decimal(1), type="MKT"), Order())
    blank = Order()
    assert (order.lmtPrice, order.auxPrice, order.cashQty) == (blank.lmtPrice, blank.auxPrice, blank.cashQty)


def standing(**given):
    """Return an order as it stands in our books."""
    fields = {name: getattr(LIMIT, name) for name in LIMIT.__struct_fields__ if name not in ("ts", "order")}
    more = {"id": "a-1-1", "version": 1, "state": "Submitted", "filled": Decimal(0), "exposed": Decimal(100)}
    told = {"message": "", "created_ts": 0, "updated_ts": 0}
    return KnownOrder(**{**fields, **more, **told, **given})


def version(order, number=1, **given):
    names = ("quantity", "limit", "stop", "reason", "trail", "trail_pct")
    return Version(number, **{**{name: getattr(order, name) for name in names}, **given})


ALONE = Names("a-1-1")


def compared(order, sent=ALONE, **fields):
    """Return which version the broker shows of an order with one version, and its terms if it is another."""
    terms = shown(**fields).terms
    number = shown_version(order, [version(order)], sent, terms)
    return number or amendment(order, 2, sent, terms, 7)


def test_an_order_that_came_through_as_sent_is_its_version():
    assert compared(standing()) == 1


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"quantity": "99"}, {"quantity": Decimal(99)}),
        ({"limit": "144.79"}, {"limit": Decimal("144.79")}),
        ({"outside": "1"}, {"outside_rth": True}),
        ({"tif": "GTC"}, {"tif": "GTC"}),
    ],
)
def test_other_terms_make_a_version_of_their_own(fields, changed):
    same = OrderAmended(7, "a-1-1", 2, Decimal(100), Decimal("144.78"), None)
    assert compared(standing(), **fields) == msgspec.structs.replace(same, **changed)


def test_a_time_in_force_that_is_none_of_ours_is_no_difference():
    assert compared(standing(), tif="") == 1


def test_a_version_with_other_times_is_told_from_the_one_before():
    first, changed = standing(), {"tif": "GTC", "outside_rth": True}
    versions = [version(first, tif="DAY", outside_rth=False), version(first, 2, **changed)]
    now = msgspec.structs.replace(first, **changed)

    def seen(**fields):
        return shown_version(now, versions, ALONE, shown(**fields).terms)

    assert (seen(), seen(tif="GTC", outside="1"), seen(tif="GTC")) == (1, 2, None)


def test_a_price_that_the_type_has_not_is_no_difference():
    assert compared(standing(), stop="1") == 1
    assert compared(standing(type="MKT", limit=None), kind="MKT", limit="0.0") == 1


def test_where_a_trailing_stop_stands_is_no_difference_but_its_distance_is():
    order = standing(type="TRAIL", limit=None, stop=Decimal(140), trail=Decimal("0.5"))
    moved = {"kind": "TRAIL", "limit": "0.0", "trail_stop": "141.25"}
    assert compared(order, stop="0.5", **moved) == 1
    amended = compared(order, stop="0.75", **moved)
    assert (amended.trail, amended.trail_pct, amended.stop) == (Decimal("0.75"), None, Decimal(140))
    amended = compared(order, stop="0", trail_percent="2.5", **moved)
    assert (amended.trail, amended.trail_pct) == (None, Decimal("0.025"))


def test_another_end_is_a_difference_in_whatever_zone_it_is_told():
    order = standing(tif="GTD", good_till=1_751_463_000_900_000_000)
    assert compared(order, tif="GTD", good_till="20250702 09:30:00 US/Eastern") == 1
    amended = compared(order, tif="GTD", good_till="20250702 09:31:00 US/Eastern")
    assert amended.good_till == 1_751_463_060_000_000_000


@pytest.mark.parametrize("utc_hour", [5, 6])
def test_an_end_in_an_hour_that_clocks_repeat_is_no_difference(utc_hour):
    till = local("2025-11-02", f"0{utc_hour}:30", "UTC")
    assert (
        compared(standing(tif="GTD", good_till=till), tif="GTD", good_till="20251102 01:30:00 US/Eastern")
        == 1
    )


def test_a_lost_group_or_another_parent_is_a_difference():
    order, sent = standing(parent="a-1-0", oca="a-1-0"), Names("a-1-1", 40, "T.a-1-0")
    assert compared(order, sent, oca="T.a-1-0", parent=40) == 1
    assert compared(order, sent, oca="", parent=40).oca == ""
    amended = compared(order, sent, oca="T.a-1-0", parent=39)
    assert (amended.parent, amended.oca) == ("", None)


def test_a_group_that_the_broker_adds_by_itself_is_no_difference():
    assert compared(standing(parent="a-1-0"), Names("a-1-1", 40), oca="1400000", parent=40) == 1


def test_a_smaller_quantity_alone_is_what_a_group_does():
    order, sent = standing(oca="g"), Names("a-1-1", 0, "T.g")
    assert only_smaller(order, sent, shown(quantity="60", oca="T.g").terms)
    assert not only_smaller(order, sent, shown(quantity="160", oca="T.g").terms)
    assert not only_smaller(order, sent, shown(quantity="60", limit="1", oca="T.g").terms)
