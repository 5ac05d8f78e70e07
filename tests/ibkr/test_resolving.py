"""Names to contracts: what is asked for, and which answer is meant."""

from decimal import Decimal

import pytest

from adapters.ibkr.data.resolving import Unresolved, asked_for, chosen, confirmed, name_of
from adapters.ibkr.wire.messages import ContractDetails
from adapters.ibkr.wire.terms import Contract
from core.clock import local
from tests.projections.build import future

NOW = local("2025-07-02", "12:00", "UTC")


def answer(con_id: int, **contract: object) -> ContractDetails:
    terms = {"symbol": "SPY", "kind": "STK", "exchange": "SMART", "currency": "USD", **contract}
    return ContractDetails(
        req_id=1,
        contract=Contract(con_id=con_id, **terms),
        tick_size=Decimal("0.01"),
        price_magnifier=1,
        long_name="a name",
        order_types="",
        exchanges="",
        timezone="US/Eastern",
        hours="",
        liquid_hours="",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SPY", ("SPY", "STK", "", "SMART", "", "USD")),
        ("SPY@ARCX", ("SPY", "STK", "", "SMART", "ARCA", "USD")),
        ("BRK B", ("BRK B", "STK", "", "SMART", "", "USD")),
        ("ES-202612", ("ES", "FUT", "202612", "", "", "")),
        ("ES-202612@CME", ("ES", "FUT", "202612", "CME", "", "")),
        ("EUR-USD", ("EUR", "CASH", "", "IDEALPRO", "", "USD")),
        ("AAPL-20261218-C-250", ("AAPL", "OPT", "20261218", "SMART", "", "USD")),
    ],
)
def test_a_name_says_what_to_ask_for(text, shown):
    asked = asked_for(text)
    found = (asked.symbol, asked.kind, asked.expiry, asked.exchange, asked.primary_exchange, asked.currency)
    assert found == shown


def test_an_options_name_holds_strike_and_right():
    asked = asked_for("AAPL-20261218-P-247.5")
    assert (asked.strike, asked.right) == (Decimal("247.5"), "P")


def test_the_exchange_is_no_part_of_the_name():
    assert name_of("ES-202612@CME") == "ES-202612"


def test_one_answer_is_the_instrument_under_the_name_asked_for():
    found = chosen("SPY", [answer(7, primary_exchange="ARCA"), answer(7, primary_exchange="ARCA")], NOW)
    assert (found.instrument, found.con_id, found.exchange) == ("SPY", 7, "ARCX")


def test_no_answer_is_unknown():
    found = chosen("NOPE", [], NOW)
    assert isinstance(found, Unresolved)
    assert found.kind == "unknown"
    assert "compare symbol, exchange and expiry" in found.text


def test_several_answers_are_ambiguous_and_named():
    found = chosen("ES-202612", [answer(1, exchange="CME"), answer(2, exchange="QBALGO")], NOW)
    assert isinstance(found, Unresolved)
    assert found.kind == "ambiguous"
    assert "CME USD, QBALGO USD" in found.text
    assert "ES-202612@CME" in found.text


@pytest.mark.parametrize(
    ("expiry", "is_over"), [("20250701", True), ("20250702", False), ("20250919", False)]
)
def test_a_contract_that_expired_is_named(expiry, is_over):
    found = chosen("ES", [answer(1, kind="FUT", expiry=expiry)], NOW)
    assert isinstance(found, Unresolved) == is_over
    if is_over:
        assert found.kind == "expired"
        assert "2025-07-01" in found.text


def test_a_multiplier_that_is_not_the_brokers_is_refused():
    shown = answer(7, symbol="IDX", kind="FUT", multiplier="50", expiry="20250919", exchange="CME")
    assert confirmed(future(), [shown], NOW).con_id == 7
    found = confirmed(future(multiplier="5000"), [shown], NOW)
    assert isinstance(found, Unresolved)
    assert "by 5000 USD in the log and by 50 USD at the broker" in found.text
