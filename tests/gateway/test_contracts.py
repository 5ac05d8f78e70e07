"""Which contracts a request finds: expired ones only where they are included, as at IB."""

from decimal import Decimal

import msgspec
import pytest

from adapters.ibkr.gateway import answers, terms
from adapters.ibkr.gateway.contracts import Contracts, Wanted
from core.events import InstrumentDefined
from core.price_steps import PriceSteps, parse_steps

D = Decimal


def defined(name: str, kind: str, expiry: str, right: str | None = None) -> InstrumentDefined:
    strike = D(50) if kind == "OPT" else None
    return InstrumentDefined(
        0,
        name,
        "ZV",
        kind,
        "XCME",
        "USD",
        D(1),
        D("0.25"),
        "America/Chicago",
        expiry=expiry or None,
        strike=strike,
        right=right,
    )


ALL = [
    defined("S", "STK", ""),
    defined("F-old", "FUT", "2025-06-20"),
    defined("F-today", "FUT", "2025-07-02"),
    defined("F-month", "FUT", "202507"),
    defined("F-past", "FUT", "202506"),
    defined("O-old", "OPT", "20250701", "C"),
    defined("O-new", "OPT", "20250703", "C"),
]


def found(kind: str, *, expired: bool = False) -> list[str]:
    wanted = Wanted(symbol="ZV", kind=kind, expired=expired)
    return [c.instrument for c in Contracts(ALL, "20250702").find(wanted)]


@pytest.mark.parametrize(
    ("kind", "lasting", "past"),
    [("STK", ["S"], []), ("FUT", ["F-month", "F-today"], ["F-old", "F-past"]), ("OPT", ["O-new"], [])],
)
def test_expired_futures_are_found_if_included_and_expired_options_never(kind, lasting, past):
    assert found(kind) == lasting
    assert found(kind, expired=True) == sorted([*lasting, *past])


def test_an_expired_contract_is_not_found_by_its_number_either():
    contracts = Contracts(ALL, "20250702")
    number = contracts.by_instrument["F-old"].con_id
    assert contracts.find(Wanted(con_id=number)) == []
    assert [c.instrument for c in contracts.find(Wanted(con_id=number, expired=True))] == ["F-old"]


def test_a_chain_has_no_expired_options():
    assert [c.instrument for c in Contracts(ALL, "20250702").options("ZV")] == ["O-new"]


def test_steps_that_grow_have_a_rule_of_their_own_and_the_smallest_is_the_tick():
    plain, laddered, other = (
        Contracts([msgspec.structs.replace(ALL[0], price_steps=text)]).by_instrument[ALL[0].instrument]
        for text in ("", "0:0.05,3:0.1", "0:0.01,3:0.05")
    )
    assert laddered.tick_size == D("0.05")
    assert len({answers.rule_id(each) for each in (plain, laddered, other)}) == 3
    assert all(answers.rule_id(each) < 2**31 for each in (plain, laddered, other))


def off_the_step(prices, steps):
    """Return which of these prices the gateway refuses with 110."""
    refused = []
    for price in prices:
        asked = terms.Asked("BUY", D(1), "LMT", D(price), None, "DAY", None, None, None, False)
        try:
            terms._check_prices(asked, steps)
        except terms.Refusal as refusal:
            refused.append((price, refusal.code))
    return refused


def test_a_price_off_the_step_at_that_price_is_refused_with_110():
    steps = PriceSteps(parse_steps("0:0.05,3:0.1"))
    prices = ["2.95", "2.97", "3", "3.05", "3.1"]
    assert off_the_step(prices, steps) == [("2.97", 110), ("3.05", 110)]
    # One that only knows the smallest step would take what the exchange does not.
    assert off_the_step(prices, PriceSteps([(D(0), steps.smallest)])) == [("2.97", 110)]
