"""Which contracts a request finds: expired ones only where they are included, as at IB."""

from decimal import Decimal

import pytest

from adapters.ibkr.gateway.contracts import Contracts, Wanted
from core.events import InstrumentDefined

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
