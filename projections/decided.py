"""What was decided last, by strategy and instrument: stance, resizing, the range that exits go by.

Whoever decides such a thing once (a session, a holding) looks here and not into its own memory, so that a
restart knows what the session before knew. Never decides anything itself.
"""

from core.events import AtrMeasured, CompositeSignal, OrderSized
from projections.base import Projection, State

Key = tuple[str, str]


class DecidedState(State, kw_only=True):
    """Snapshot of `Decided`, each part sorted."""

    stances: list[tuple[str, str, str]]
    resized: list[tuple[str, str, int]]
    ranges: list[AtrMeasured]


class Decided(Projection):
    """Implements `core.views.DecidedView`."""

    name = "decided"
    state_type = DecidedState

    def __init__(self) -> None:
        self._stances: dict[Key, str] = {}
        self._resized: dict[Key, int] = {}
        self._ranges: dict[tuple[str, str, str], AtrMeasured] = {}
        super().__init__(
            {CompositeSignal: self._composite, OrderSized: self._sized, AtrMeasured: self._measured}
        )

    def stance(self, strategy: str, instrument: str) -> str:
        """Return the stance of the last composite that was recorded; `hold` before any."""
        return self._stances.get((strategy, instrument), "hold")

    def resized_ts(self, strategy: str, instrument: str) -> int | None:
        """Return when a holding was last resized (ns UTC); `None` if it never was."""
        return self._resized.get((strategy, instrument))

    def atr(self, account: str, strategy: str, instrument: str) -> AtrMeasured | None:
        """Return the range that the exits of a holding were last measured by, or `None`."""
        return self._ranges.get((account, strategy, instrument))

    def _composite(self, event: CompositeSignal, _seq: int) -> None:
        self._stances[event.strategy, event.instrument] = event.stance

    def _sized(self, event: OrderSized, _seq: int) -> None:
        if event.purpose == "resize" and event.quantity:  # of 0: a sizer failed, and may be asked again
            self._resized[event.strategy, event.instrument] = event.ts

    def _measured(self, event: AtrMeasured, _seq: int) -> None:
        self._ranges[event.account, event.strategy, event.instrument] = event

    def describe(self) -> str:
        """Return for example `decided: 3 stances, 1 resized, 2 ranges`."""
        counts = (len(self._stances), len(self._resized), len(self._ranges))
        return "decided: {} stances, {} resized, {} ranges".format(*counts)

    def state(self) -> DecidedState:
        """Return a snapshot."""
        return DecidedState(
            applied_seq=self.applied_seq,
            stances=[(*key, stance) for key, stance in sorted(self._stances.items())],
            resized=[(*key, ts) for key, ts in sorted(self._resized.items())],
            ranges=[self._ranges[key] for key in sorted(self._ranges)],
        )

    def restore(self, state: DecidedState) -> None:
        """Replace the state by a snapshot."""
        self._stances = {(strategy, name): stance for strategy, name, stance in state.stances}
        self._resized = {(strategy, name): ts for strategy, name, ts in state.resized}
        self._ranges = {(one.account, one.strategy, one.instrument): one for one in state.ranges}
        self.applied_seq = state.applied_seq
