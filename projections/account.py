"""Cash, commissions and equity per account and currency.

Shares and options move cash by price * quantity * multiplier; futures only by realised P&L. Both are
read from the positions, which know each execution and what it cost: nothing is kept of them here. A needed
price or exchange rate that is missing makes equity unknown; nothing is ever converted at 1.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Protocol, TypeAlias

from core.events import CashAdjusted, FxRateReported, InstrumentDefined
from core.money import CONTEXT, ZERO, divide, money, money_once, price
from core.views import Position, PositionsView, QuotesView
from projections.base import Projection, State

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply

FUTURE = "FUT"

_Holding: TypeAlias = tuple[str, Decimal, Decimal | None]  # instrument, quantity, average cost of a future


class Executed(PositionsView, Protocol):
    """What executions add up to; `Positions` is one."""

    @property
    def last_change(self) -> object:
        """What may have changed any of these figures last: another object after each change."""

    @property
    def charges(self) -> int:
        """The number of executions whose commission is known."""

    @property
    def paid(self) -> Mapping[tuple[str, str], Decimal]:
        """Commissions by account and currency."""

    def held(self, account: str) -> Mapping[str, Decimal]:
        """Return the account's quantities that are not zero, by instrument, sorted."""

    def proceeds(self) -> Iterable[tuple[str, str, Decimal]]:
        """Yield account, instrument and what its trades brought in, without multiplier."""


class AccountState(State, kw_only=True):
    """Snapshot of `Account`, without what the positions keep."""

    base_currency: str
    instruments: dict[str, InstrumentDefined]
    adjusted: list[tuple[str, str, Decimal]]
    rates: list[tuple[str, str, Decimal]]


class Account(Projection):
    """Implements `core.views.AccountView` for all accounts of a log.

    `base_currency` is the currency through which two others are converted when no direct rate is known.
    """

    name = "account"
    version = 2
    state_type = AccountState

    def __init__(self, quotes: QuotesView, positions: Executed, base_currency: str = "USD") -> None:
        self._quotes = quotes
        self._positions = positions
        self.base_currency = base_currency
        self._instruments: dict[str, InstrumentDefined] = {}
        self._adjusted: dict[tuple[str, str], Decimal] = {}
        self._rates: dict[tuple[str, str], Decimal] = {}
        # What was asked for, while nothing moves: the positions tell by their last change.
        self._last_change: object = None
        self._cash: dict[tuple[str, str], Decimal] = {}  # balances by account and currency
        self._currencies: dict[str, list[str]] = {}  # by account
        self._held: dict[str, list[_Holding]] = {}  # by account
        super().__init__(
            {
                InstrumentDefined: self._instrument,
                CashAdjusted: self._cash_adjusted,
                FxRateReported: self._rate,
            }
        )

    def cash(self, account: str, currency: str) -> Decimal:
        """Return the balance: adjustments, trades, realised P&L of futures, less commissions.

        Trades in an instrument that was never defined are left out: their currency is unknown.
        """
        if self._last_change is not self._positions.last_change:
            self._forget()
        cached = self._cash.get((account, currency))
        if cached is None:
            cached = self._cash[account, currency] = self._balance(account, currency)
        return cached

    def opened(self, account: str, currency: str) -> bool:
        """Return whether a balance was ever given, which trades then move."""
        return (account, currency) in self._adjusted

    def equity(self, account: str, currency: str) -> Decimal | None:
        """Return cash plus positions at their marks in `currency`; `None` if a rate or price is unknown."""
        total = self.total_cash(account, currency)
        held = self._holdings(account)
        if not held:
            return total
        for holding in held:
            # What a position adds to equity: its market value, or for a future its open profit.
            value = self._valued(*holding, currency)
            if total is None or value is None:
                return None
            total = _add(total, value)
        return None if total is None else money_once(total)

    def total_cash(self, account: str, currency: str) -> Decimal | None:
        """Return the cash of all currencies in `currency`; `None` if a rate is unknown."""
        currencies = self.currencies(account)
        if currencies == [currency]:
            return self.cash(account, currency)
        total = ZERO
        for held in currencies:
            converted = self.convert(self.cash(account, held), held, currency)
            if converted is None:
                return None
            total = _add(total, converted)
        return money_once(total)

    def commissions(self, account: str, currency: str) -> Decimal:
        """Return what was paid in commissions so far, in that currency alone."""
        return money(self._positions.paid.get((account, currency), ZERO))

    def currencies(self, account: str) -> list[str]:
        """Return the currencies in which the account ever had cash or positions, sorted."""
        if self._last_change is not self._positions.last_change:
            self._forget()
        found = self._currencies.get(account)
        if found is None:
            found = self._currencies[account] = self._used(account)
        return found

    def _used(self, account: str) -> list[str]:
        found = {held for owner, held in self._adjusted if owner == account}
        found.update(held for owner, held in self._positions.paid if owner == account)
        for owner, instrument, _ in self._positions.proceeds():
            if owner == account and instrument in self._instruments:
                found.add(self._instruments[instrument].currency)
        return sorted(found)

    def accounts(self) -> list[str]:
        """Return all accounts that ever had cash, positions or commissions, sorted."""
        traded = (owner for owner, _, _ in self._positions.proceeds())
        return sorted({*traded, *(owner for owner, _ in (*self._adjusted, *self._positions.paid))})

    def convert(self, amount: Decimal, held: str, wanted: str) -> Decimal | None:
        """Return `amount` of currency `held` in `wanted`, or `None` if no rate leads there.

        Nothing is nothing in any currency, so 0 needs no rate.
        """
        if held == wanted or not amount:
            return amount
        direct = self._converted(amount, held, wanted)
        if direct is not None:
            return direct
        through = self._converted(amount, held, self.base_currency)
        return None if through is None else self._converted(through, self.base_currency, wanted)

    def market_value(self, position: Position, currency: str) -> Decimal | None:
        """Return quantity * mark * multiplier in `currency` (a future's notional value), or `None`."""
        return self._valued(position.instrument, position.quantity, None, currency)

    def _holdings(self, account: str) -> list[_Holding]:
        """Return what the account holds, with what it cost where equity has the open profit only."""
        if self._last_change is not self._positions.last_change:
            self._forget()
        found = self._held.get(account)
        if found is None:
            found = self._held[account] = [
                (instrument, quantity, self._cost(account, instrument))
                for instrument, quantity in self._positions.held(account).items()
            ]
        return found

    def _cost(self, account: str, instrument: str) -> Decimal | None:
        definition = self._instruments.get(instrument)
        if definition is None or definition.kind != FUTURE:
            return None
        return self._positions.position(account, instrument).average_cost

    def _forget(self) -> None:
        self._last_change = self._positions.last_change
        self._cash.clear()
        self._currencies.clear()
        self._held.clear()

    def _valued(
        self, instrument: str, quantity: Decimal, cost: Decimal | None, currency: str
    ) -> Decimal | None:
        definition = self._instruments.get(instrument)
        mark = self._quotes.mark(instrument)
        if definition is None or mark is None:
            return None
        per_unit = price(mark)
        if cost is not None:
            per_unit = _subtract(per_unit, cost)
        value = money_once(_multiply(_multiply(quantity, per_unit), definition.multiplier))
        return self.convert(value, definition.currency, currency)

    def _converted(self, amount: Decimal, held: str, wanted: str) -> Decimal | None:
        if held == wanted:
            return amount
        rate = self._rates.get((held, wanted))
        if rate is not None:
            return money(_multiply(amount, rate))
        inverse = self._rates.get((wanted, held))
        return divide(amount, inverse) if inverse else None

    def _balance(self, account: str, currency: str) -> Decimal:
        total = self._adjusted.get((account, currency), ZERO)
        total = _subtract(total, self._positions.paid.get((account, currency), ZERO))
        for owner, instrument, proceeds in self._positions.proceeds():
            definition = self._instruments.get(instrument)
            if owner != account or definition is None or definition.currency != currency:
                continue
            if definition.kind == FUTURE:
                total = _add(total, self._positions.position(account, instrument).realised)
            else:
                total = _add(total, _multiply(proceeds, definition.multiplier))
        return money_once(total)

    def _instrument(self, event: InstrumentDefined, _seq: int) -> None:
        self._instruments[event.instrument] = event
        self._forget()

    def _cash_adjusted(self, event: CashAdjusted, _seq: int) -> None:
        key = (event.account, event.currency)
        self._adjusted[key] = _add(self._adjusted.get(key, ZERO), event.amount)
        self._forget()

    def _rate(self, event: FxRateReported, _seq: int) -> None:
        self._rates[event.base, event.quote] = event.rate

    def describe(self) -> str:
        """Return for example `account: DU1 USD 99896.5 after 1 commissions`, one part a balance."""
        balances = [
            f"{account} {currency} {self.cash(account, currency):f}"
            for account in self.accounts()
            for currency in self.currencies(account)
        ]
        return f"account: {', '.join(balances) or 'no cash'}; {self._positions.charges} commissions"

    def state(self) -> AccountState:
        """Return a snapshot."""
        return AccountState(
            applied_seq=self.applied_seq,
            base_currency=self.base_currency,
            instruments=dict(self._instruments),
            adjusted=[(*key, money(self._adjusted[key])) for key in sorted(self._adjusted)],
            rates=[(*key, self._rates[key]) for key in sorted(self._rates)],
        )

    def restore(self, state: AccountState) -> None:
        """Replace the state by a snapshot."""
        self.base_currency = state.base_currency
        self._instruments = dict(state.instruments)
        self._forget()
        self._adjusted = {(account, currency): amount for account, currency, amount in state.adjusted}
        self._rates = {(base, quote): rate for base, quote, rate in state.rates}
        self.applied_seq = state.applied_seq
