"""What the broker's account values say of exchange rates: told once, and only what is one."""

from decimal import Decimal

import pytest

from adapters.ibkr.trading.rates import Rates
from adapters.ibkr.wire.messages import AccountValue


def value(key: str, text: str, currency: str) -> AccountValue:
    return AccountValue("DU1", key, text, currency)


BASE = value("NetLiquidation", "100000", "USD")


def told(rates: Rates, *values: AccountValue) -> list[tuple[str, str, Decimal]]:
    return [(e.base, e.quote, e.rate) for said in values for e in rates.events(said, 1)]


def test_rates_wait_for_the_base_and_are_told_once():
    rates = Rates()
    euro, yen = value("ExchangeRate", "1.08", "EUR"), value("ExchangeRate", "0.0066", "JPY")
    assert told(rates, euro, value("ExchangeRate", "1.00", "USD"), yen) == []
    assert told(rates, BASE) == [("EUR", "USD", Decimal("1.08")), ("JPY", "USD", Decimal("0.0066"))]
    assert told(rates, BASE, euro, yen) == []
    assert told(rates, value("ExchangeRate", "1.09", "EUR")) == [("EUR", "USD", Decimal("1.09"))]


@pytest.mark.parametrize("text", ["", "0", "-1", "n/a", "1.7976931348623157E308", "1e40", "NaN"])
def test_what_is_no_rate_says_nothing(text):
    rates = Rates()
    assert told(rates, BASE, value("ExchangeRate", text, "EUR")) == []
    assert told(rates, value("ExchangeRate", "1.08", "EUR")) == [("EUR", "USD", Decimal("1.08"))]


def test_a_total_of_all_currencies_is_no_currency():
    assert told(Rates(), BASE, value("ExchangeRate", "1.00", "BASE")) == []
