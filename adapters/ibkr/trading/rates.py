"""Exchange rates, as the account values of the broker tell them: a unit of each currency in the base.

Which currency is the base is told beside, by values that come in it alone, and perhaps later than the rates.
A rate is told when it has changed. It converts nothing, and what is no rate says nothing.
"""

from adapters.ibkr.wire.messages import AccountValue
from adapters.ibkr.wire.values import told_amount
from core.events import Event, FxRateReported

_IN_THE_BASE = frozenset(("NetLiquidation", "AvailableFunds", "BuyingPower", "EquityWithLoanValue"))
_NO_CURRENCY = ("", "BASE")


class Rates:
    """The rates of one login, and what was told of them."""

    def __init__(self) -> None:
        self._base = ""
        self._said: dict[str, str] = {}
        self._told: dict[str, tuple[str, str]] = {}

    def events(self, said: AccountValue, ts: int) -> list[Event]:
        """Return what is new: the rate that a value is, or all that waited for the base."""
        if said.currency in _NO_CURRENCY:
            return []
        if said.key == "ExchangeRate":
            self._said[said.currency] = said.value
            return self._news((said.currency,), ts)
        if said.key in _IN_THE_BASE and said.currency != self._base:
            self._base = said.currency
            return self._news(tuple(self._said), ts)
        return []

    def _news(self, currencies: tuple[str, ...], ts: int) -> list[Event]:
        found: list[Event] = []
        for currency in currencies if self._base else ():
            now = (self._base, self._said[currency])
            rate = told_amount(now[1])
            if currency == self._base or self._told.get(currency) == now or rate is None or rate <= 0:
                continue
            self._told[currency] = now
            found.append(FxRateReported(ts, currency, self._base, rate))
        return found
