"""Positions: per account and instrument, with a sub-ledger per strategy, by average cost.

Only executions and operator adjustments move a position; what the broker reports of positions is
evidence for reconciliation and is not read here. The figures depend on the set of executions in their
highest revision, ordered by (execution time, execId), not on the order of delivery.
"""

from decimal import Decimal
from typing import Any

from core.events import FillCorrected, Filled, InstrumentDefined, PositionAdjusted
from core.money import CONTEXT, ZERO, money, price
from core.views import Position
from projections.base import Projection, State
from projections.ledger import Holding, Ledger, Movement

_ONE = Decimal(1)
_add = CONTEXT.add
_minus = CONTEXT.minus
_multiply = CONTEXT.multiply


class PositionsState(State, kw_only=True):
    """Snapshot of `Positions`: the movements in order, from which the ledgers follow."""

    multipliers: dict[str, Decimal]
    movements: list[Movement]


class Positions(Projection):
    """Implements `core.views.PositionsView`.

    Quantities of sub-ledgers sum to the account's. Average cost and realised P&L of a sub-ledger are
    the strategy's own; only realised plus unrealised sums up, since accounts pool their cost.
    Realised P&L is kept without multiplier, so the latest definition of an instrument counts; one that
    was never defined has multiplier 1.
    """

    name = "positions"
    state_type = PositionsState

    def __init__(self) -> None:
        self._multipliers: dict[str, Decimal] = {}
        self._executions: dict[str, Movement] = {}
        self._holdings: dict[tuple[str, str], Holding] = {}
        self._by_instrument: dict[str, list[Holding]] = {}
        super().__init__(
            {
                InstrumentDefined: self._instrument,
                Filled: self._filled,
                FillCorrected: self._corrected,
                PositionAdjusted: self._adjusted,
            }
        )

    def quantity(self, instrument: str, strategy: str | None = None) -> Decimal:
        """Return the signed quantity held, over all accounts; of one strategy if given."""
        total = ZERO
        for holding in self._by_instrument.get(instrument, ()):
            ledger = holding.total if strategy is None else holding.ledgers.get(strategy)
            if ledger is not None:
                total = _add(total, ledger.quantity)
        return total

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Position:
        """Return the position (of one strategy's sub-ledger); flat if there never was one."""
        ledger = self._ledger(account, instrument, strategy)
        realised = money(_multiply(ledger.realised, self.multiplier(instrument)))
        return Position(account, instrument, money(ledger.quantity), ledger.average_cost, realised)

    def positions(self) -> list[Position]:
        """Return the account-level positions, flat ones too, sorted by account and instrument."""
        return [self.position(account, instrument) for account, instrument in sorted(self._holdings)]

    def open_positions(self) -> list[Position]:
        """Return the account-level positions whose quantity is not zero, sorted by account and instrument."""
        held = [key for key, holding in self._holdings.items() if holding.total.quantity]
        return [self.position(account, instrument) for account, instrument in sorted(held)]

    def strategies(self, account: str, instrument: str) -> list[str]:
        """Return the strategies that ever moved this position, sorted; `""` is external."""
        holding = self._holdings.get((account, instrument))
        return [] if holding is None else sorted(holding.ledgers)

    def multiplier(self, instrument: str) -> Decimal:
        """Return the instrument's multiplier; 1 if it was never defined."""
        return self._multipliers.get(instrument, _ONE)

    def unrealised(self, account: str, instrument: str, mark: float, strategy: str | None = None) -> Decimal:
        """Return the profit of the open quantity at `mark`, in the instrument's currency."""
        ledger = self._ledger(account, instrument, strategy)
        return money(_multiply(ledger.pnl(price(mark)), self.multiplier(instrument)))

    def _ledger(self, account: str, instrument: str, strategy: str | None) -> Ledger:
        holding = self._holdings.get((account, instrument))
        if holding is None:
            return Ledger()
        return holding.total if strategy is None else holding.ledgers.get(strategy) or Ledger()

    def _instrument(self, entry: Any) -> None:
        event: InstrumentDefined = entry.event
        self._multipliers[event.instrument] = event.multiplier

    def _filled(self, entry: Any) -> None:
        event: Filled = entry.event
        if event.exec_id not in self._executions:
            self._execute(event, 0)

    def _corrected(self, entry: Any) -> None:
        event: FillCorrected = entry.event
        known = self._executions.get(event.exec_id)
        if known is not None:
            if event.revision <= known.revision:
                return
            self._holdings[known.account, known.instrument].remove(known.ts, known.id)
        self._execute(event, event.revision)

    def _execute(self, event: Filled | FillCorrected, revision: int) -> None:
        quantity = event.quantity if event.side == "BUY" else _minus(event.quantity)
        account, instrument = event.account, event.instrument
        movement = Movement(
            event.ts, event.exec_id, account, instrument, event.strategy, quantity, event.price, revision
        )
        self._executions[event.exec_id] = movement
        holding = self._holdings.get((account, instrument)) or self._open(account, instrument)
        holding.add(movement)

    def _adjusted(self, entry: Any) -> None:
        event: PositionAdjusted = entry.event
        # An adjustment has no id of its own; its seq is one. The space sorts it before executions of
        # the same instant.
        movement = Movement(
            event.ts,
            f" {entry.seq:020d}",
            event.account,
            event.instrument,
            event.strategy,
            event.quantity,
            event.price,
            adjusts=True,
        )
        self._open(event.account, event.instrument).add(movement)

    def _open(self, account: str, instrument: str) -> Holding:
        holding = self._holdings.get((account, instrument))
        if holding is None:
            holding = self._holdings[account, instrument] = Holding()
            self._by_instrument.setdefault(instrument, []).append(holding)
        return holding

    def describe(self) -> str:
        """Return for example `positions: 2 open of 3, 41 executions`."""
        held = sum(bool(holding.total.quantity) for holding in self._holdings.values())
        return f"positions: {held} open of {len(self._holdings)}, {len(self._executions)} executions"

    def state(self) -> PositionsState:
        """Return a snapshot: movements sorted by account, instrument, execution time and id."""
        movements = [item for key in sorted(self._holdings) for item in self._holdings[key].movements]
        return PositionsState(
            applied_seq=self.applied_seq, multipliers=dict(self._multipliers), movements=movements
        )

    def restore(self, state: PositionsState) -> None:
        """Replace the state by a snapshot."""
        self._multipliers = dict(state.multipliers)
        self._executions, self._holdings, self._by_instrument = {}, {}, {}
        for movement in state.movements:
            self._open(movement.account, movement.instrument).add(movement)
            if not movement.adjusts:
                self._executions[movement.id] = movement
        self.applied_seq = state.applied_seq
