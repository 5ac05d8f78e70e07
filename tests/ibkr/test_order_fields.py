"""Intents become the broker's orders, and what the broker shows of them is comparable."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibapi.order import Order

from adapters.ibkr.wire.decoder import Decoder
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.order_fields import (
    differences,
    fill_order,
    intended_of,
    modified,
    read_order,
    terms_of,
)
from adapters.ibkr.wire.terms import OrderTerms
from core.events import ModifyIntended, OrderIntended
from core.money import money
from tests.ibkr import frames
from tests.ibkr.frames import E308

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
    assert terms_of(LIMIT, "t-sma-1-1.1") == OrderTerms(
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
        terms_of(LIMIT, reference)


def test_a_modification_changes_amounts_and_nothing_else():
    intent = ModifyIntended(
        6, "sma-1-1", 2, "DU1", "sma", "AAPL", Decimal(50), Decimal("144.5"), None, "less"
    )
    before = terms_of(LIMIT, "t")
    after = modified(before, intent)
    assert (after.quantity, after.limit, after.stop) == (Decimal(50), Decimal("144.5"), None)
    assert msgspec.structs.replace(after, quantity=before.quantity, limit=before.limit) == before


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


def test_an_order_of_the_book_is_an_intent_in_our_terms():
    said = shown(side="SELL", quantity="12.5", kind="STP", limit="0.0", stop="140.05", tif="GTC")
    assert intended_of(said, ts=9, order="x-1", strategy="", instrument="AAPL") == OrderIntended(
        9,
        "x-1",
        "DU1",
        "",
        "AAPL",
        "SELL",
        Decimal("12.5"),
        "STP",
        None,
        Decimal("140.05"),
        "GTC",
        "found at the broker",
    )


@pytest.mark.parametrize(
    "fields", [{"kind": "TRAIL"}, {"tif": "OPG"}, {"side": "SSHORT"}, {"quantity": E308}]
)
def test_an_order_of_a_kind_that_we_do_not_have_is_no_intent(fields):
    assert intended_of(shown(**fields), ts=9, order="x-1", strategy="", instrument="AAPL") is None


def test_an_order_that_came_through_as_sent_does_not_differ():
    assert differences(terms_of(LIMIT, "a-1-1"), shown().terms) == ()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"quantity": "99"}, ("quantity",)),
        ({"limit": "144.79"}, ("limit",)),
        ({"limit": E308}, ("limit",)),
        ({"side": "SELL", "tif": "GTC"}, ("side", "tif")),
        ({"stop": "1"}, ()),
    ],
)
def test_a_difference_is_named(fields, names):
    assert differences(terms_of(LIMIT, "a-1-1"), shown(**fields).terms) == names


def test_the_limit_of_zero_that_the_broker_shows_of_a_market_order_is_no_difference():
    market = msgspec.structs.replace(LIMIT, type="MKT", limit=None)
    assert differences(terms_of(market, "a-1-1"), shown(kind="MKT", limit="0.0").terms) == ()
