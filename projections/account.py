"""Cash, commissions and equity per account and currency.

Shares and options move cash by price * quantity * multiplier; futures only by realised P&L, which is
read from the positions. Commissions count once per execution, however often they are reported. A needed
price or exchange rate that is missing makes equity unknown; nothing is ever converted at 1.
"""

from decimal import Decimal
from typing import Any

from core.events import (
    CashAdjusted,
    CommissionReported,
    FillCorrected,
    Filled,
    FxRateReported,
    InstrumentDefined,
)
from core.money import CONTEXT, ZERO, divide, money, price
from core.views import Position, PositionsView, QuotesView
from projections.base import Projection, State
from projections.fills import plain_fill

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply

FUTURE = "FUT"


class AccountState(State, kw_only=True):
    """Snapshot of `Account`."""

    base_currency: str
    instruments: dict[str, InstrumentDefined]
    fills: dict[str, Filled]
    revisions: dict[str, int]
    charges: dict[str, CommissionReported]
    adjusted: list[tuple[str, str, Decimal]]
    rates: list[tuple[str, str, Decimal]]


class Account(Projection):
    """Implements `core.views.AccountView` for all accounts of a log.

    `base_currency` is the currency through which two others are converted when no direct rate is known.
    """

    name = "account"
    state_type = AccountState

    def __init__(self, quotes: QuotesView, positions: PositionsView, base_currency: str = "USD") -> None:
        self._quotes = quotes
        self._positions = positions
        self.base_currency = base_currency
        self._instruments: dict[str, InstrumentDefined] = {}
        self._fills: dict[str, Filled] = {}
        self._revisions: dict[str, int] = {}
        self._charges: dict[str, CommissionReported] = {}
        self._adjusted: dict[tuple[str, str], Decimal] = {}
        self._rates: dict[tuple[str, str], Decimal] = {}
        # Sums of the above, kept as events come in.
        self._flows: dict[tuple[str, str], Decimal] = {}
        self._paid: dict[tuple[str, str], Decimal] = {}
        self._cash: dict[tuple[str, str], tuple[Decimal, tuple[str, ...]]] = {}
        super().__init__(
            {
                InstrumentDefined: self._instrument,
                CashAdjusted: self._cash_adjusted,
                Filled: self._filled,
                FillCorrected: self._corrected,
                CommissionReported: self._commission,
                FxRateReported: self._rate,
            }
        )

    def cash(self, account: str, currency: str) -> Decimal:
        """Return the balance: adjustments, trades, realised P&L of futures, less commissions.

        Trades in an instrument that was never defined are left out: their currency is unknown.
        """
        cached = self._cash.get((account, currency))
        if cached is None:
            cached = self._cash[account, currency] = self._settled_cash(account, currency)
        settled, futures = cached
        # Never cached: what futures realised is the positions' to say, and they may be folded after this.
        for instrument in futures:
            settled = _add(settled, self._positions.position(account, instrument).realised)
        return money(settled) if futures else settled

    def opened(self, account: str, currency: str) -> bool:
        """Return whether a balance was ever given, which trades then move."""
        return (account, currency) in self._adjusted

    def equity(self, account: str, currency: str) -> Decimal | None:
        """Return cash plus positions at their marks in `currency`; `None` if a rate or price is unknown."""
        total = self.total_cash(account, currency)
        for position in self._positions.open_positions():
            if position.account != account:
                continue
            value = self.position_value(position, currency)
            if total is None or value is None:
                return None
            total = _add(total, value)
        return None if total is None else money(total)

    def total_cash(self, account: str, currency: str) -> Decimal | None:
        """Return the cash of all currencies in `currency`; `None` if a rate is unknown."""
        total = ZERO
        for held in self.currencies(account):
            converted = self.convert(self.cash(account, held), held, currency)
            if converted is None:
                return None
            total = _add(total, converted)
        return money(total)

    def commissions(self, account: str, currency: str) -> Decimal:
        """Return what was paid in commissions so far, in that currency alone."""
        return money(self._paid.get((account, currency), ZERO))

    def currencies(self, account: str) -> list[str]:
        """Return the currencies in which the account ever had cash or trades, sorted."""
        found = {held for owner, held in self._adjusted if owner == account}
        found.update(held for owner, held in self._paid if owner == account)
        for owner, instrument in self._flows:
            if owner == account and instrument in self._instruments:
                found.add(self._instruments[instrument].currency)
        return sorted(found)

    def accounts(self) -> list[str]:
        """Return all accounts that ever had cash, trades or commissions, sorted."""
        return sorted({owner for owner, _ in (*self._adjusted, *self._flows, *self._paid)})

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

    def position_value(self, position: Position, currency: str) -> Decimal | None:
        """Return what the position adds to equity: its market value, or for a future its open profit."""
        return self._valued(position, currency, open_profit=True)

    def market_value(self, position: Position, currency: str) -> Decimal | None:
        """Return quantity * mark * multiplier in `currency` (a future's notional value), or `None`."""
        return self._valued(position, currency, open_profit=False)

    def _valued(self, position: Position, currency: str, *, open_profit: bool) -> Decimal | None:
        definition = self._instruments.get(position.instrument)
        mark = self._quotes.mark(position.instrument)
        if definition is None or mark is None:
            return None
        per_unit = price(mark)
        if open_profit and definition.kind == FUTURE:
            per_unit = _subtract(per_unit, position.average_cost)
        value = money(_multiply(_multiply(position.quantity, per_unit), definition.multiplier))
        return self.convert(value, definition.currency, currency)

    def _converted(self, amount: Decimal, held: str, wanted: str) -> Decimal | None:
        if held == wanted:
            return amount
        rate = self._rates.get((held, wanted))
        if rate is not None:
            return money(_multiply(amount, rate))
        inverse = self._rates.get((wanted, held))
        return divide(amount, inverse) if inverse else None

    def _settled_cash(self, account: str, currency: str) -> tuple[Decimal, tuple[str, ...]]:
        # Return the cash without futures, and the futures that add to it.
        total = self._adjusted.get((account, currency), ZERO)
        total = _subtract(total, self._paid.get((account, currency), ZERO))
        futures: list[str] = []
        for (owner, instrument), value in self._flows.items():
            definition = self._instruments.get(instrument)
            if owner != account or definition is None or definition.currency != currency:
                continue
            if definition.kind == FUTURE:
                futures.append(instrument)
            else:
                total = _add(total, _multiply(value, definition.multiplier))
        return money(total), tuple(futures)

    def _instrument(self, entry: Any) -> None:
        event: InstrumentDefined = entry.event
        self._instruments[event.instrument] = event
        self._cash.clear()

    def _cash_adjusted(self, entry: Any) -> None:
        event: CashAdjusted = entry.event
        key = (event.account, event.currency)
        self._adjusted[key] = _add(self._adjusted.get(key, ZERO), event.amount)
        self._cash.clear()

    def _rate(self, entry: Any) -> None:
        event: FxRateReported = entry.event
        self._rates[event.base, event.quote] = event.rate

    def _filled(self, entry: Any) -> None:
        fill: Filled = entry.event
        if fill.exec_id not in self._fills:
            self._flow(fill)

    def _corrected(self, entry: Any) -> None:
        event: FillCorrected = entry.event
        known = self._fills.get(event.exec_id)
        if known is not None:
            if event.revision <= self._revisions.get(event.exec_id, 0):
                return
            key = (known.account, known.instrument)
            self._flows[key] = _subtract(self._flows[key], _proceeds(known))
        self._revisions[event.exec_id] = event.revision
        self._flow(plain_fill(event))

    def _flow(self, fill: Filled) -> None:
        self._fills[fill.exec_id] = fill
        key = (fill.account, fill.instrument)
        flows = self._flows
        flows[key] = _add(flows[key], _proceeds(fill)) if key in flows else _proceeds(fill)
        self._cash.clear()

    def _commission(self, entry: Any) -> None:
        event: CommissionReported = entry.event
        known = self._charges.get(event.exec_id)
        if known is not None:
            # The latest report by its own time counts; of two at the same time, the dearer.
            if (event.ts, event.amount) <= (known.ts, known.amount):
                return
            key = (known.account, known.currency)
            self._paid[key] = _subtract(self._paid[key], known.amount)
        self._charge(event)

    def _charge(self, charge: CommissionReported) -> None:
        self._charges[charge.exec_id] = charge
        key = (charge.account, charge.currency)
        self._paid[key] = _add(self._paid.get(key, ZERO), charge.amount)
        self._cash.clear()

    def describe(self) -> str:
        """Return for example `account: DU1 USD 99896.5 after 1 commissions`, one part a balance."""
        balances = [
            f"{account} {currency} {self.cash(account, currency):f}"
            for account in self.accounts()
            for currency in self.currencies(account)
        ]
        return f"account: {', '.join(balances) or 'no cash'}; {len(self._charges)} commissions"

    def state(self) -> AccountState:
        """Return a snapshot."""
        return AccountState(
            applied_seq=self.applied_seq,
            base_currency=self.base_currency,
            instruments=dict(self._instruments),
            fills=dict(self._fills),
            revisions=dict(self._revisions),
            charges=dict(self._charges),
            adjusted=[(*key, money(self._adjusted[key])) for key in sorted(self._adjusted)],
            rates=[(*key, self._rates[key]) for key in sorted(self._rates)],
        )

    def restore(self, state: AccountState) -> None:
        """Replace the state by a snapshot."""
        self.base_currency = state.base_currency
        self._instruments = dict(state.instruments)
        self._revisions = dict(state.revisions)
        self._fills, self._flows, self._charges, self._paid, self._cash = {}, {}, {}, {}, {}
        for fill in state.fills.values():
            self._flow(fill)
        for charge in state.charges.values():
            self._charge(charge)
        self._adjusted = {(account, currency): amount for account, currency, amount in state.adjusted}
        self._rates = {(base, quote): rate for base, quote, rate in state.rates}
        self.applied_seq = state.applied_seq


def _proceeds(fill: Filled) -> Decimal:
    # Price * quantity, negative for a purchase, without multiplier.
    value = _multiply(fill.quantity, fill.price)
    return value.copy_negate() if fill.side == "BUY" else value
