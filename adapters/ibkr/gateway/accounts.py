"""Account values, positions and P&L as Interactive Brokers words them, from the projections. Pure reading.

Margins follow one stated rule (docs/gateway.md): shares 50 % initial and 25 % maintenance, futures 10 % and
8 % of their notional value, options bought in full. They are an assumption, not a clearing house's figures.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from adapters.ibkr.gateway.contracts import Contract, Contracts
from adapters.ibkr.gateway.order_fields import Preview
from adapters.ibkr.gateway.wire import Value, number
from core.commissions import CommissionModel
from core.errors import UsageError
from core.events import Filled, InstrumentDefined
from core.money import ZERO, divide, money, price
from core.views import Position, QuotesView
from projections.account import Account
from projections.positions import Positions
from projections.sessions import Sessions

_RATES = {"FUT": (Decimal("0.10"), Decimal("0.08")), "OPT": (Decimal(1), Decimal(1))}
_ONE = Decimal(1)
_SHARES = (Decimal("0.5"), Decimal("0.25"))


class Margin(msgspec.Struct, frozen=True):
    """Initial and maintenance margin, and equity, in the account's currency."""

    initial: Decimal
    maintenance: Decimal
    equity: Decimal


class PnL(msgspec.Struct, frozen=True):
    """Profit since the session before closed, open and realised today."""

    daily: Decimal
    unrealised: Decimal
    realised: Decimal


class Accounts:
    """One account as clients see it."""

    def __init__(
        self,
        account: str,
        currency: str,
        cash: Account,
        positions: Positions,
        quotes: QuotesView,
        sessions: Sessions,
        contracts: Contracts,
        commissions: CommissionModel,
    ) -> None:
        self.account = account
        self.currency = currency
        self._cash = cash
        self._positions = positions
        self._quotes = quotes
        self._sessions = sessions
        self._contracts = contracts
        self._commissions = commissions
        self._start_equity: Decimal | None = None
        self._realised_before: dict[str, Decimal] = {}  # by instrument, what earlier days realised
        self._opened_before: dict[str, Decimal] = {}  # and what was open when the session before closed
        self._paid_before = ZERO

    # -- positions -----------------------------------------------------------------------------

    def contract(self, instrument: str) -> Contract:
        """Return an instrument's contract."""
        return self._contracts.by_instrument[instrument]

    def positions(self) -> list[Position]:
        """Return the open positions."""
        return self._positions.open_positions()

    def position(self, instrument: str) -> Position:
        """Return one position; flat if there is none."""
        return self._positions.position(self.account, instrument)

    def average_cost(self, position: Position) -> Decimal:
        """Return the average cost as IB counts it: with the multiplier."""
        return money(position.average_cost * self._positions.multiplier(position.instrument))

    def mark(self, instrument: str) -> float | None:
        """Return the price at which a position is valued."""
        return self._quotes.mark(instrument)

    def unrealised(self, position: Position) -> Decimal:
        """Return the open profit; 0 while there is no price."""
        mark = self.mark(position.instrument)
        if mark is None:
            return ZERO
        return self._positions.unrealised(position.account, position.instrument, mark)

    def market_value(self, position: Position) -> Decimal:
        """Return the position's value in its own currency; 0 while there is no price."""
        definition = self._sessions.instrument(position.instrument)
        return self._cash.market_value(position, definition.currency) or ZERO

    def portfolio(self, position: Position) -> list[Value]:
        """Return quantity, price, value, average cost, open and realised profit."""
        mark = self.mark(position.instrument)
        return [
            position.quantity,
            ZERO if mark is None else price(mark),
            self.market_value(position),
            self.average_cost(position),
            self.unrealised(position),
            self._realised_today(position),
        ]

    def _realised_today(self, position: Position) -> Decimal:
        return money(position.realised - self._realised_before.get(position.instrument, ZERO))

    def realised(self, fill: Filled) -> Decimal | None:
        """Return what a fill about to be booked realises; `None` if it only opens."""
        held = self.position(fill.instrument)
        signed = fill.quantity if fill.side == "BUY" else -fill.quantity
        if not held.quantity or (held.quantity > 0) == (signed > 0):
            return None
        closed = min(abs(held.quantity), fill.quantity)
        gain = (fill.price - held.average_cost) * (closed if held.quantity > 0 else -closed)
        return money(gain * self._positions.multiplier(fill.instrument))

    # -- values --------------------------------------------------------------------------------

    def equity(self) -> Decimal:
        """Return the account's value; positions without a price count at cost."""
        known = self._cash.equity(self.account, self.currency)
        if known is not None:
            return known
        total = self._cash.cash(self.account, self.currency)
        for position in self.positions():
            definition = self._sessions.instrument(position.instrument)
            if definition.kind != "FUT":
                total += position.quantity * position.average_cost * definition.multiplier
        return money(total)

    def start_day(self, closes: Mapping[str, float]) -> None:
        """Count the day's profit from here on: what is held counts from the `close` of the session before."""
        equity = self.equity()
        for position in self._positions.positions():
            close = closes.get(position.instrument)
            opened = self.unrealised(position)
            if close is not None:
                opened = self._positions.unrealised(position.account, position.instrument, close)
                equity += opened - self.unrealised(position)
            self._realised_before[position.instrument] = position.realised
            self._opened_before[position.instrument] = opened
        self._start_equity = money(equity)
        self._paid_before = self._cash.commissions(self.account, self.currency)

    def margin(self, extra: tuple[str, Decimal] | None = None) -> Margin:
        """Return the margin of what is held, with `extra` (instrument, signed quantity) added."""
        held = {position.instrument: position.quantity for position in self.positions()}
        if extra is not None:
            held[extra[0]] = held.get(extra[0], ZERO) + extra[1]
        initial = maintenance = ZERO
        for instrument, quantity in held.items():
            definition = self._sessions.instrument(instrument)
            notional = abs(quantity) * definition.multiplier * self._priced(instrument)
            first, later = _RATES.get(definition.kind, _SHARES)
            initial += notional * first
            maintenance += notional * later
        return Margin(money(initial), money(maintenance), self.equity())

    def _priced(self, instrument: str) -> Decimal:
        mark = self.mark(instrument)
        return ZERO if mark is None else price(mark)

    def values(self) -> dict[str, tuple[str, str]]:
        """Return account values by key, each with its currency (empty where it has none)."""
        margin, equity, cash = self.margin(), self.equity(), self._total_cash()
        gross = sum((abs(self.market_value(p)) for p in self.positions()), ZERO)
        available, excess = equity - margin.initial, equity - margin.maintenance
        pnl = self.pnl()
        amounts = {
            "NetLiquidation": equity,
            "TotalCashValue": cash,
            "SettledCash": cash,
            "AccruedCash": ZERO,
            "BuyingPower": max(available, ZERO) * 2,
            "EquityWithLoanValue": equity,
            "PreviousDayEquityWithLoanValue": self._start_equity or equity,
            "GrossPositionValue": gross,
            "RegTEquity": equity,
            "RegTMargin": margin.initial,
            "InitMarginReq": margin.initial,
            "MaintMarginReq": margin.maintenance,
            "AvailableFunds": available,
            "ExcessLiquidity": excess,
            "FullInitMarginReq": margin.initial,
            "FullMaintMarginReq": margin.maintenance,
            "FullAvailableFunds": available,
            "FullExcessLiquidity": excess,
            "LookAheadInitMarginReq": margin.initial,
            "LookAheadMaintMarginReq": margin.maintenance,
            "LookAheadAvailableFunds": available,
            "LookAheadExcessLiquidity": excess,
            "NetLiquidationByCurrency": equity,
            "CashBalance": self._cash.cash(self.account, self.currency),
            "TotalCashBalance": self._cash.cash(self.account, self.currency),
            "RealizedPnL": pnl.realised,
            "UnrealizedPnL": pnl.unrealised,
        }
        shown = {key: (number(money(value)), self.currency) for key, value in amounts.items()}
        shown["AccountType"] = ("INDIVIDUAL", "")
        shown["Cushion"] = (number(divide(excess, equity)) if equity else "0", "")
        shown["Leverage"] = (number(divide(gross, equity)) if equity else "0", "")
        shown["LookAheadNextChange"] = ("0", "")
        shown["AccountReady"] = ("true", "")
        shown["Currency"] = (self.currency, self.currency)
        shown["ExchangeRate"] = ("1", self.currency)
        return shown

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield key, value and currency of all account values, with what is held of other currencies."""
        for key, (value, currency) in self.values().items():
            yield key, value, currency
        for held in self._cash.currencies(self.account):
            rate = None if held == self.currency else self._cash.convert(_ONE, held, self.currency)
            if rate is not None:
                balance = number(money(self._cash.cash(self.account, held)))
                yield "CashBalance", balance, held
                yield "TotalCashBalance", balance, held
                yield "ExchangeRate", number(rate), held

    def _total_cash(self) -> Decimal:
        total = self._cash.total_cash(self.account, self.currency)
        return self._cash.cash(self.account, self.currency) if total is None else total

    # -- profit --------------------------------------------------------------------------------

    def pnl(self) -> PnL:
        """Return the account's profit; realised after commissions."""
        unrealised = sum((self.unrealised(p) for p in self.positions()), ZERO)
        realised = sum((self._realised_today(p) for p in self._positions.positions()), ZERO)
        paid = self._cash.commissions(self.account, self.currency) - self._paid_before
        start = self._start_equity
        daily = ZERO if start is None else self.equity() - start
        return PnL(money(daily), money(unrealised), money(realised - paid))

    def pnl_single(self, instrument: str) -> PnL:
        """Return one position's profit, before commissions."""
        position = self.position(instrument)
        realised, open_now = self._realised_today(position), self.unrealised(position)
        daily = realised + open_now - self._opened_before.get(instrument, ZERO)
        return PnL(money(daily), open_now, realised)

    # -- previews ------------------------------------------------------------------------------

    def preview(self, contract: Contract, action: str, quantity: Decimal) -> Preview:
        """Return what an order would change, were it filled at the present price."""
        signed = quantity if action == "BUY" else -quantity
        before, after = self.margin(), self.margin((contract.instrument, signed))
        fee = self._fee(self._sessions.instrument(contract.instrument), quantity)
        equity = before.equity - fee
        margins = (
            before.initial,
            before.maintenance,
            before.equity,
            money(after.initial - before.initial),
            money(after.maintenance - before.maintenance),
            -fee,
            after.initial,
            after.maintenance,
            money(equity),
        )
        texts = tuple(number(value) for value in margins)
        assert len(texts) == 9
        return Preview(texts, number(fee), self.currency, what_if=True)

    def refuses(self, instrument: str) -> str:
        """Return why the commission schedule cannot price the instrument; empty if it can."""
        try:
            self._commissions.commission(self._sessions.instrument(instrument), ZERO, ZERO, _ONE, _ONE, ZERO)
        except UsageError as error:
            return str(error)
        return ""

    def _fee(self, definition: InstrumentDefined, quantity: Decimal) -> Decimal:
        mark = self.mark(definition.instrument)
        if mark is None:
            return ZERO
        return self._commissions.commission(definition, ZERO, ZERO, quantity, price(mark), ZERO)


def summary_rows(
    rows: Iterable[tuple[str, str, str]], tags: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield tag, value and currency of an account summary; `$LEDGER` and `All` give everything."""
    everything = any(tag.startswith("$LEDGER") or tag == "All" for tag in tags)
    for tag, value, currency in rows:
        if everything or tag in tags:
            yield tag, value, currency
