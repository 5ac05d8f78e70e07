"""Positions as the broker last showed them: evidence, kept apart from the positions that executions make.

A comparison with the broker begins with nothing and ends with all that it showed. What closes positions after
a halt goes by these, and by nothing that our own log believes.
"""

from decimal import Decimal

from core.events import PositionReported, ReconciliationStarted
from core.money import ZERO
from projections.base import Projection, State


class ReportedState(State, kw_only=True):
    """Snapshot of `Reported`."""

    positions: list[PositionReported]


class Reported(Projection):
    """Implements `core.halting.ReportedView`."""

    name = "reported"
    state_type = ReportedState

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str], PositionReported] = {}
        super().__init__({ReconciliationStarted: self._started, PositionReported: self._reported})

    def quantity(self, account: str, instrument: str) -> Decimal:
        """Return what the broker holds; zero if it showed nothing."""
        known = self._positions.get((account, instrument))
        return ZERO if known is None else known.quantity

    def reported(self, account: str) -> list[PositionReported]:
        """Return the positions of an account that are not flat, sorted by instrument."""
        found = [p for (owner, _), p in sorted(self._positions.items()) if owner == account]
        return [position for position in found if position.quantity]

    def _started(self, _event: ReconciliationStarted, _seq: int) -> None:
        self._positions.clear()

    def _reported(self, event: PositionReported, _seq: int) -> None:
        self._positions[event.account, event.instrument] = event

    def describe(self) -> str:
        """Return for example `reported: 2 positions`."""
        return f"reported: {sum(bool(p.quantity) for p in self._positions.values())} positions"

    def state(self) -> ReportedState:
        """Return a snapshot, sorted by account and instrument."""
        return ReportedState(
            applied_seq=self.applied_seq, positions=[p for _, p in sorted(self._positions.items())]
        )

    def restore(self, state: ReportedState) -> None:
        """Replace the state by a snapshot."""
        self._positions = {(p.account, p.instrument): p for p in state.positions}
        self.applied_seq = state.applied_seq
