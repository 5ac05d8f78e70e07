"""Positions: what executions add up to, per account and instrument, with a sub-ledger per strategy.

Only executions and operator adjustments move a position; what the broker reports of positions is
evidence for reconciliation and is not read here. The figures depend on the set of executions in their
highest revision, ordered by (execution time, execId), not on the order of delivery. This is the one place
that knows each execution, so what they cost in commissions is kept here too, once an execution.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import chain

import msgspec

from core.events import CommissionReported, FillCorrected, Filled, InstrumentDefined, PositionAdjusted
from core.money import CONTEXT, ZERO, money, price
from core.views import ClosedTrade, Position
from projections.base import Projection, State
from projections.closed import last_trades
from projections.holding import Holding
from projections.ledger import ADJUSTMENT, Charge, Ledger, Movement

_ONE = Decimal(1)
_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply


class Held(msgspec.Struct):
    """The movements of one holding in a snapshot, by (time, id)."""

    account: str
    instrument: str
    movements: list[Movement]


class PositionsState(State, kw_only=True):
    """Snapshot of `Positions`: what moved each holding, from which the ledgers follow.

    `unfilled` are the charges of executions that are not known yet. How much was packed is no part of it.
    """

    multipliers: dict[str, Decimal]
    holdings: list[Held]
    unfilled: dict[str, Charge]


class Positions(Projection):
    """Implements `core.views.PositionsView`.

    Quantities of sub-ledgers sum to the account's. Average cost and realised P&L of a sub-ledger are
    the strategy's own; only realised plus unrealised sums up, since accounts pool their cost.
    Realised P&L is kept without multiplier, so the latest definition of an instrument counts; one that
    was never defined has multiplier 1.

    With `keep`, each holding leaves the latest `keep` to 2 * `keep` movements at hand and packs those
    before them. No figure depends on it. An execution at hand is known by its id; a packed one by
    (time, id), as a broker repeats it, and by its id alone once it was corrected.
    """

    name = "positions"
    version = 2
    state_type = PositionsState

    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep
        self.last_change: object = None  # what moved or cost anything last, for those who keep sums of it
        self._clear()
        super().__init__(
            {
                InstrumentDefined: self._instrument,
                Filled: self._filled,
                FillCorrected: self._corrected,
                CommissionReported: self._commission,
                PositionAdjusted: self._adjusted,
            }
        )

    def _clear(self) -> None:
        self._multipliers: dict[str, Decimal] = {}
        self._holdings: dict[tuple[str, str], Holding] = {}
        self._by_instrument: dict[str, list[Holding]] = {}
        self._at_hand: dict[str, Movement] = {}  # executions by id
        self._corrected_ids: set[str] = set()
        self._unfilled: dict[str, Charge] = {}
        self._paid: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)

    @property
    def executions(self) -> int:
        """The number of executions, counted when it is asked for."""
        return sum(movement.revision != ADJUSTMENT for movement in self._movements())

    @property
    def charges(self) -> int:
        """The number of executions whose commission is known, counted when it is asked for."""
        return len(self._unfilled) + sum(movement.charge is not None for movement in self._movements())

    @property
    def paid(self) -> Mapping[tuple[str, str], Decimal]:
        """Commissions by account and currency, each execution's last report counted once."""
        return self._paid

    def quantity(self, instrument: str, strategy: str | None = None, account: str | None = None) -> Decimal:
        """Return the signed quantity held; of one strategy, in one account if given."""
        if account is not None:
            return self._ledger(account, instrument, strategy).quantity
        total = ZERO
        for holding in self._by_instrument.get(instrument, ()):
            ledgers = holding.ledgers
            ledger = ledgers.total if strategy is None else ledgers.parts.get(strategy)
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
        held = [key for key, holding in self._holdings.items() if holding.ledgers.total.quantity]
        return [self.position(account, instrument) for account, instrument in sorted(held)]

    def held(self, account: str) -> dict[str, Decimal]:
        """Return the account's quantities that are not zero, by instrument, sorted."""
        found = {
            instrument: money(quantity)
            for (owner, instrument), holding in self._holdings.items()
            if (quantity := holding.ledgers.total.quantity) and owner == account
        }
        return found if len(found) < 2 else dict(sorted(found.items()))

    def proceeds(self) -> Iterator[tuple[str, str, Decimal]]:
        """Yield account, instrument and what its trades brought in, without multiplier."""
        for (account, instrument), holding in self._holdings.items():
            yield account, instrument, holding.ledgers.total.proceeds

    def strategies(self, account: str, instrument: str) -> list[str]:
        """Return the strategies that ever moved this position, sorted; `""` is external."""
        holding = self._holdings.get((account, instrument))
        return [] if holding is None else sorted(holding.ledgers.parts)

    def closed_trades(self, account: str, strategy: str, last: int) -> list[ClosedTrade]:
        """Return the strategy's latest round trips, at most `last`, in the order in which they closed."""
        found = [
            trade
            for (owner, name), holding in sorted(self._holdings.items(), key=lambda item: item[0])
            if owner == account
            for trade in last_trades(holding, strategy, name, self.multiplier(name), last)
        ]
        return sorted(found, key=lambda trade: trade.closed_ts)[-last:]

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
        return holding.ledgers.total if strategy is None else holding.ledgers.parts.get(strategy) or Ledger()

    def _movements(self) -> Iterator[Movement]:
        return chain.from_iterable(self._holdings.values())

    # What moves a holding

    def _instrument(self, event: InstrumentDefined, _seq: int) -> None:
        self._multipliers[event.instrument] = event.multiplier
        self.last_change = event

    def _filled(self, fill: Filled, _seq: int) -> None:
        exec_id = fill.exec_id
        if exec_id in self._at_hand or exec_id in self._corrected_ids:
            return
        quantity = fill.quantity if fill.side == "BUY" else fill.quantity.copy_negate()
        movement = Movement(fill.ts, exec_id, fill.strategy, quantity, fill.price)
        try:
            holding = self._holdings[fill.account, fill.instrument]
        except KeyError:
            holding = self._open(fill.account, fill.instrument)
        movements = holding.movements
        if movements and fill.ts > movements[-1].ts and not self._unfilled:
            # As a rule. It is what `_execute` does with what comes last, in fewer calls.
            self._at_hand[exec_id] = movement
            movements.append(movement)
            ledgers = holding.ledgers
            part = ledgers.parts.get(fill.strategy) or ledgers.open(fill.strategy)
            part.trade(quantity, fill.price)
            if part is not ledgers.total:
                ledgers.total.trade(quantity, fill.price)
            self.last_change = movement
            if len(movements) >= holding.due:
                self._turn(holding)
        elif not holding.is_late(movement) or holding.settled(movement) is None:
            self._execute(holding, movement)

    def _corrected(self, event: FillCorrected, _seq: int) -> None:
        quantity = event.quantity if event.side == "BUY" else event.quantity.copy_negate()
        movement = Movement(event.ts, event.exec_id, event.strategy, quantity, event.price, event.revision)
        found = self._find(event.exec_id, (event.account, event.instrument))
        if found is not None:
            holding, known = found
            if event.revision <= known.revision:
                return
            holding.remove(known)
            self._at_hand.pop(event.exec_id, None)
            movement.charge = known.charge
        self._corrected_ids.add(event.exec_id)
        self._execute(self._holding(event.account, event.instrument), movement)

    def _adjusted(self, event: PositionAdjusted, seq: int) -> None:
        # An adjustment has no id of its own; its seq is one. The space sorts it before executions of
        # the same instant.
        place = f" {seq:020d}"
        movement = Movement(event.ts, place, event.strategy, event.quantity, event.price, ADJUSTMENT)
        self._move(self._holding(event.account, event.instrument), movement)

    def _execute(self, holding: Holding, movement: Movement) -> None:
        exec_id = movement.exec_id
        if self._unfilled and exec_id in self._unfilled:
            movement.charge = self._unfilled.pop(exec_id)
        self._at_hand[exec_id] = movement
        self._move(holding, movement)

    def _move(self, holding: Holding, movement: Movement) -> None:
        self.last_change = movement
        if holding.is_late(movement):
            if holding.is_settled(movement):
                self._at_hand.pop(movement.exec_id, None)
            holding.insert(movement)
        else:
            holding.append(movement)
        if len(holding.movements) >= holding.due:
            self._turn(holding)

    def _turn(self, holding: Holding) -> None:
        for settled in holding.turn():
            self._at_hand.pop(settled.exec_id, None)

    def _holding(self, account: str, instrument: str) -> Holding:
        return self._holdings.get((account, instrument)) or self._open(account, instrument)

    def _open(self, account: str, instrument: str) -> Holding:
        holding = self._holdings[account, instrument] = Holding(self._keep)
        self._by_instrument.setdefault(instrument, []).append(holding)
        return holding

    def _find(self, exec_id: str, likely: tuple[str, str]) -> tuple[Holding, Movement] | None:
        """Return an execution and its holding, looking into that of the key `likely` first."""
        known = self._at_hand.get(exec_id)
        first = self._holdings.get(likely)
        for holding in (*((first,) if first is not None else ()), *self._holdings.values()):
            found = holding.search(exec_id) if known is None else holding.has(known)
            if found is not None:
                return holding, found
        return None

    # What executions cost

    def _commission(self, event: CommissionReported, _seq: int) -> None:
        charge = Charge(event.ts, event.account, event.currency, event.amount)
        movement = self._at_hand.get(event.exec_id)
        if movement is None:
            self._charge_elsewhere(event, charge)
        elif movement.charge is None:
            # As a rule. It is what `_pay` does with the first report.
            movement.charge = charge
            paid, key = self._paid, (event.account, event.currency)
            paid[key] = _add(paid[key], event.amount)
            self.last_change = charge
        elif self._pay(charge, movement.charge):
            movement.charge = charge

    def _charge_elsewhere(self, event: CommissionReported, charge: Charge) -> None:
        # A commission that comes before its fill, or long after it.
        known = self._unfilled.get(event.exec_id)
        found = None if known is not None else self._find(event.exec_id, (event.account, event.instrument))
        if found is None:
            if self._pay(charge, known):
                self._unfilled[event.exec_id] = charge
        elif self._pay(charge, found[1].charge):
            holding, movement = found
            movement.charge = charge
            holding.replace(movement)

    def _pay(self, charge: Charge, known: Charge | None) -> bool:
        # The latest report by its own time counts; of two at the same time, the dearer.
        paid = self._paid
        if known is not None:
            if (charge.ts, charge.amount) <= (known.ts, known.amount):
                return False
            before = (known.account, known.currency)
            paid[before] = _subtract(paid[before], known.amount)
        key = (charge.account, charge.currency)
        paid[key] = _add(paid[key], charge.amount)
        self.last_change = charge
        return True

    # Snapshots

    def describe(self) -> str:
        """Return for example `positions: 2 open of 3, 41 executions`."""
        held = sum(bool(holding.ledgers.total.quantity) for holding in self._holdings.values())
        return f"positions: {held} open of {len(self._holdings)}, {self.executions} executions"

    def state(self) -> PositionsState:
        """Return a snapshot: the movements of each holding that has any, sorted."""
        return PositionsState(
            applied_seq=self.applied_seq,
            multipliers=dict(self._multipliers),
            holdings=[
                Held(*key, [msgspec.structs.replace(movement) for movement in holding])
                for key, holding in sorted(self._holdings.items())
                if holding.movements or holding.blocks
            ],
            unfilled=dict(self._unfilled),
        )

    def restore(self, state: PositionsState) -> None:
        """Replace the state by a snapshot."""
        self._clear()
        self._multipliers = dict(state.multipliers)
        for exec_id, charge in state.unfilled.items():
            self._unfilled[exec_id] = charge
            self._pay(charge, None)
        for held in state.holdings:
            holding = self._holding(held.account, held.instrument)
            for movement in map(msgspec.structs.replace, held.movements):
                if movement.charge is not None:
                    self._pay(movement.charge, None)
                if movement.revision > 0:
                    self._corrected_ids.add(movement.exec_id)
                if movement.revision == ADJUSTMENT:
                    self._move(holding, movement)
                else:
                    self._execute(holding, movement)
        self.last_change = state
        self.applied_seq = state.applied_seq
