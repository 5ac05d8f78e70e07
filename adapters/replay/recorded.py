"""A recorded session as a source of inputs, and the broker that goes with it: one that stays silent.

All that reached the session is fed again in log order: market data, what the broker said, effects, the
operator. What the session decided is not: it must come out again. Samples and timers are made anew.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.effects import Effect
from core.events import ClockAdvanced, Event, types_of
from core.ports import EntryReader, Selection

INPUTS = types_of("market", "broker", "effect", "operator") | {ClockAdvanced}


class RecordedSource:
    """The inputs of the entries `first_seq`..`last_seq` of a log."""

    def __init__(self, reader: EntryReader, first_seq: int, last_seq: int) -> None:
        self._reader = reader
        self._selection = Selection(first_seq=first_seq, last_seq=last_seq, types=INPUTS)
        self._window: list[NDArray[np.int64]] = []
        self._before = 0
        self.inputs = 0
        self.first_ts: int | None = None
        self.last_ts: int | None = None

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield `(seq, event)` pairs in log order."""
        for batch in self._reader.entries(self._selection):
            if not batch:
                continue
            self._remember(np.array([entry.seq for entry in batch], dtype=np.int64))
            if self.first_ts is None:
                self.first_ts = batch[0].event.ts
            self.last_ts = batch[-1].event.ts
            yield [(entry.seq, entry.event) for entry in batch]

    def ordinals(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Map seqs of the last two batches to positions among the inputs (from 1; 0 if unknown)."""
        known = np.concatenate(self._window) if self._window else np.empty(0, np.int64)
        if not len(known):
            return np.zeros(len(seqs), dtype=np.int64)
        where = np.minimum(np.searchsorted(known, seqs), len(known) - 1)
        return np.where(known[where] == seqs, self._before + where + 1, 0)

    def _remember(self, seqs: NDArray[np.int64]) -> None:
        self._window = [*self._window[-1:], seqs]
        self.inputs += len(seqs)
        self._before = self.inputs - sum(len(batch) for batch in self._window)


class SilentBroker:
    """A broker port for a recorded session: what the broker did is among the inputs."""

    def __init__(self) -> None:
        self.orders = 0

    def resting(self, instrument: str) -> Sequence[object]:  # noqa: ARG002
        """Return nothing: no market data can fill an order here."""
        return ()

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:  # noqa: ARG002
        """Take what a slice decided and say nothing."""
        self.orders += len(effects)
        return ()

    def scan(self, event: Event) -> Sequence[Event]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def release(self, effects: Sequence[Effect]) -> None:
        """Do nothing."""
