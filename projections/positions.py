"""Positions: per account and instrument, with a sub-ledger per strategy, by average cost.

Only executions and operator adjustments move a position; what the broker reports of positions is
evidence for reconciliation and is not read here. The figures depend on the set of executions in their
highest revision, ordered by (execution time, execId), not on the order of delivery.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from core.events import FillCorrected, Filled, InstrumentDefined, PositionAdjusted
from core.money import CONTEXT, ZERO, money, price
from core.views import Position
from projections.base import Projection, State
from projections.fills import plain_fill
from projections.ledger import Adjustment, Holding, Ledger, Movement, movement_key

_ONE = Decimal(1)
_add = CONTEXT.add
_multiply = CONTEXT.multiply


class PositionsState(State, kw_only=True):
    """Snapshot of `Positions`: executions and adjustments, from which the ledgers follow.

    `revisions` names the corrected executions only.
    """

    multipliers: dict[str, Decimal]
    fills: list[Filled]
    revisions: dict[str, int]
    adjustments: list[Adjustment]


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
        self._fills: dict[str, Filled] = {}
        self._revisions: dict[str, int] = {}
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

    def quantity(self, instrument: str, strategy: str | None = None, account: str | None = None) -> Decimal:
        """Return the signed quantity held; of one strategy, in one account if given."""
        total = ZERO
        if account is None:
            holdings: Iterable[Holding] = self._by_instrument.get(instrument, ())
        else:
            known = self._holdings.get((account, instrument))
            holdings = () if known is None else (known,)
        for holding in holdings:
            ledger = holding.total if strategy is None else holding.ledgers.get(strategy)
            if ledger is not None:
                total = _add(total, ledger.quantity)
        return total

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Position:
        """Return the position (of one strategy's sub-ledger); flat if there never was one."""
        ledger = self._ledger(account, instrument, strategy)
        realised = ZERO
        if ledger.realised:
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
        fill: Filled = entry.event
        if fill.exec_id not in self._fills:
            self._execute(fill)

    def _corrected(self, entry: Any) -> None:
        event: FillCorrected = entry.event
        known = self._fills.get(event.exec_id)
        if known is not None:
            if event.revision <= self._revisions.get(event.exec_id, 0):
                return
            self._holdings[known.account, known.instrument].remove(known)
        self._revisions[event.exec_id] = event.revision
        self._execute(plain_fill(event))

    def _execute(self, fill: Filled) -> None:
        self._fills[fill.exec_id] = fill
        holding = self._holdings.get((fill.account, fill.instrument))
        if holding is None:
            holding = self._open(fill.account, fill.instrument)
        holding.add(fill)

    def _adjusted(self, entry: Any) -> None:
        event: PositionAdjusted = entry.event
        # An adjustment has no id of its own; its seq is one. The space sorts it before executions of
        # the same instant.
        adjustment = Adjustment(
            event.ts,
            f" {entry.seq:020d}",
            event.account,
            event.strategy,
            event.instrument,
            event.quantity,
            event.price,
        )
        self._open(event.account, event.instrument).add(adjustment)

    def _open(self, account: str, instrument: str) -> Holding:
        holding = self._holdings.get((account, instrument))
        if holding is None:
            holding = self._holdings[account, instrument] = Holding()
            self._by_instrument.setdefault(instrument, []).append(holding)
        return holding

    def describe(self) -> str:
        """Return for example `positions: 2 open of 3, 41 executions`."""
        held = sum(bool(holding.total.quantity) for holding in self._holdings.values())
        return f"positions: {held} open of {len(self._holdings)}, {len(self._fills)} executions"

    def state(self) -> PositionsState:
        """Return a snapshot: executions and adjustments in order of time and id."""
        movements = [item for holding in self._holdings.values() for item in holding.movements]
        movements.sort(key=movement_key)
        return PositionsState(
            applied_seq=self.applied_seq,
            multipliers=dict(self._multipliers),
            fills=[item for item in movements if isinstance(item, Filled)],
            revisions=dict(self._revisions),
            adjustments=[item for item in movements if isinstance(item, Adjustment)],
        )

    def restore(self, state: PositionsState) -> None:
        """Replace the state by a snapshot."""
        self._multipliers, self._revisions = dict(state.multipliers), dict(state.revisions)
        self._fills = {fill.exec_id: fill for fill in state.fills}
        self._holdings, self._by_instrument = {}, {}
        movements: list[Movement] = [*state.fills, *state.adjustments]
        for movement in sorted(movements, key=movement_key):
            self._open(movement.account, movement.instrument).add(movement)
        self.applied_seq = state.applied_seq
