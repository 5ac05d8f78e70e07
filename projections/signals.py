"""The latest signals of each source and instrument, with their expiry.

Of one source and instrument the later `as_of` replaces the earlier one with all its horizons; of the same
`as_of` each horizon is kept, and what comes later in the log replaces it. A forecast of several days is such
a set. Never decides what a signal is worth: that is `core.signals`.
"""

from core.events import SignalReceived
from core.signals.rules import problem
from projections.base import Projection, State

Key = tuple[str, str]


class SignalsState(State, kw_only=True):
    """Snapshot of `Signals`: the held signals by instrument, source, horizon; invalid ones counted."""

    held: list[SignalReceived]
    ignored: int


class Signals(Projection):
    """Implements `core.views.SignalsView`."""

    name = "signals"
    state_type = SignalsState

    def __init__(self) -> None:
        self._held: dict[Key, list[SignalReceived]] = {}
        self._ignored = 0
        super().__init__({SignalReceived: self._received})

    def current(self, source: str, instrument: str, ts: int) -> SignalReceived | None:
        """Return the signal that holds at `ts`; of several horizons the one that expires first."""
        for signal in self._held.get((instrument, source), ()):
            if signal.ts <= ts < signal.expires:
                return signal
        return None

    def expired(self, source: str, instrument: str, ts: int) -> bool:
        """Return whether all that the source said of the instrument has expired at `ts`."""
        held = self._held.get((instrument, source), ())
        return bool(held) and all(signal.expires <= ts for signal in held)

    def sources(self, instrument: str) -> list[str]:
        """Return the sources that ever said something of the instrument, sorted."""
        return sorted(source for name, source in self._held if name == instrument)

    def held(self) -> list[SignalReceived]:
        """Return the signals that were not replaced, by instrument, source and expiry."""
        return [signal for key in sorted(self._held) for signal in self._held[key]]

    def _received(self, signal: SignalReceived, _seq: int) -> None:
        if problem(signal) is not None:  # a log may hold what another program wrote
            self._ignored += 1
            return
        key = (signal.instrument, signal.source)
        held = self._held.get(key, [])
        if held and signal.as_of < held[0].as_of:
            return
        if held and signal.as_of > held[0].as_of:
            held = []
        rest = [other for other in held if other.horizon != signal.horizon]
        self._held[key] = sorted([*rest, signal], key=lambda one: (one.expires, one.horizon))

    def describe(self) -> str:
        """Return for example `signals: 12 of 3 sources and instruments`."""
        count = sum(len(held) for held in self._held.values())
        return f"signals: {count} of {len(self._held)} sources and instruments"

    def state(self) -> SignalsState:
        """Return a snapshot."""
        return SignalsState(applied_seq=self.applied_seq, held=self.held(), ignored=self._ignored)

    def restore(self, state: SignalsState) -> None:
        """Replace the state by a snapshot."""
        self._held = {}
        for signal in state.held:
            self._held.setdefault((signal.instrument, signal.source), []).append(signal)
        self._ignored = state.ignored
        self.applied_seq = state.applied_seq
