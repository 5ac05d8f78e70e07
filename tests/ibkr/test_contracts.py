"""Instruments become contracts, and the broker's details become instruments."""

from decimal import Decimal

import pytest
from ibapi.contract import Contract as Theirs

from adapters.ibkr.wire.contracts import contract_of, fill_contract, instrument_of, read_contract, readable_id
from adapters.ibkr.wire.decoder import Decoder
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.messages import ContractDetails
from adapters.ibkr.wire.terms import Contract
from core.events import InstrumentDefined
from tests.ibkr import frames


def instrument(**fields):
    """Define an instrument."""
    common = {
        "instrument": "X",
        "symbol": "X",
        "kind": "STK",
        "exchange": "XNYS",
        "currency": "USD",
        "multiplier": Decimal(1),
        "tick_size": Decimal("0.01"),
        "timezone": "America/New_York",
    }
    return InstrumentDefined(0, **{**common, **fields})


def test_a_share_goes_to_the_router_with_its_listing_exchange():
    assert contract_of(instrument(symbol="IBM")) == Contract(
        symbol="IBM", kind="STK", exchange="SMART", primary_exchange="NYSE", currency="USD"
    )


def test_a_future_goes_to_its_exchange_with_expiry_and_multiplier():
    future = instrument(symbol="ES", kind="FUT", exchange="XCME", multiplier=Decimal(50), expiry="2026-12-18")
    assert contract_of(future) == Contract(
        symbol="ES", kind="FUT", expiry="20261218", multiplier="50", exchange="CME", currency="USD"
    )


def grain(magnifier: int) -> ContractDetails:
    """Return what the broker says of corn: 5,000 bushels, quoted in cents."""
    corn = Contract(
        con_id=9,
        symbol="ZC",
        kind="FUT",
        expiry="20261214",
        multiplier="5000",
        exchange="CBOT",
        currency="USD",
    )
    return ContractDetails(
        req_id=1,
        contract=corn,
        tick_size=Decimal("0.25"),
        price_magnifier=magnifier,
        long_name="Corn Futures",
        order_types="",
        exchanges="",
        timezone="US/Central",
        hours="",
        liquid_hours="",
    )


def test_a_price_in_cents_is_multiplied_by_a_hundredth():
    assert instrument_of(grain(100), 0).multiplier == 50  # a tick of a quarter cent is worth 12.50
    assert [instrument_of(grain(none), 0).multiplier for none in (1, 0)] == [5000, 5000]


def test_what_the_broker_knows_by_id_is_named_without_a_multiplier():
    assert contract_of(instrument_of(grain(100), 0)).multiplier == ""


def test_an_option_has_strike_and_right():
    option = instrument(
        symbol="AAPL",
        kind="OPT",
        expiry="2026-12-18",
        strike=Decimal("250.5"),
        right="CALL",
        multiplier=Decimal(100),
    )
    contract = contract_of(option)
    assert (contract.expiry, contract.strike, contract.right) == ("20261218", Decimal("250.5"), "C")
    assert (contract.multiplier, contract.exchange, contract.primary_exchange) == ("100", "SMART", "")


def test_an_exchange_without_a_known_name_is_passed_on():
    assert contract_of(instrument(kind="FUT", exchange="FWB2")).exchange == "FWB2"


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        (Contract(symbol="SPY", kind="STK"), "SPY"),
        (Contract(symbol="ES", kind="FUT", expiry="20261218"), "ES-202612"),
        (
            Contract(symbol="AAPL", kind="OPT", expiry="20261218", right="C", strike=Decimal(250)),
            "AAPL-20261218-C-250",
        ),
        (Contract(symbol="EUR", kind="CASH", currency="USD"), "EUR-USD"),
    ],
)
def test_an_instrument_has_a_readable_id(contract, name):
    assert readable_id(contract) == name


def test_contract_details_define_the_instrument():
    [details] = Decoder(installed(), 200).decode([frames.contract_details(200)])
    defined = instrument_of(details, ts=5)
    assert (defined.ts, defined.instrument, defined.con_id) == (5, "AAPL", 265598)
    assert (defined.exchange, defined.tick_size, defined.multiplier) == ("XNAS", Decimal("0.01"), Decimal(1))
    assert (defined.timezone, defined.description) == ("US/Eastern", "APPLE INC — A")
    assert contract_of(defined).primary_exchange == "NASDAQ"


def test_a_contract_survives_the_way_to_ibapi_and_back():
    contract = Contract(
        con_id=7,
        symbol="AAPL",
        kind="OPT",
        expiry="20261218",
        strike=Decimal("250.5"),
        right="P",
        multiplier="100",
        exchange="SMART",
        primary_exchange="CBOE",
        currency="USD",
        local_symbol="AAPL  261218P00250500",
        trading_class="AAPL",
    )
    assert read_contract(fill_contract(contract, Theirs())) == contract


def test_an_empty_contract_stays_empty():
    assert read_contract(fill_contract(Contract(), Theirs())) == Contract()
    assert read_contract(Theirs()) == Contract()
