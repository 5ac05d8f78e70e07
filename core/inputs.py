"""A batch of inputs as the loop takes them: events, one after another, and a seq where it is asked for.

Most market events lead to nothing, so their seq is never looked at: to make an `int` of each would cost a
quiet replay a twentieth of its time. Ticks are built a few at a time, in the memory of those before them:
built by the thousand, they would be spread over the gaps that orders leave, out of the processor's cache,
and cost twice as much. This module keeps no event for longer than its batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from core.events import Event, Quote, Trade

E = TypeVar("E", bound=Event)

TICKS_AT_ONCE = 512
"""So many are built at a time. Bars are taken by the batch: a slice of them must not be cut without need."""


class Batch:
    """Events in processing order with their seqs; iterating gives `(seq, event)` pairs.

    `seqs[i]` belongs to `events[start + i]`; the events may be built when they are asked for.
    """

    __slots__ = ("_events", "_seqs", "_start")

    def __init__(self, seqs: NDArray[np.int64], events: Sequence[Event], start: int = 0) -> None:
        self._seqs = seqs
        self._events = events
        self._start = start

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        for inputs in self.pieces():
            yield from inputs

    def pieces(self) -> Iterator["Inputs"]:
        """Yield the batch as inputs, which last until the next are asked for."""
        size = len(self._seqs)
        step = TICKS_AT_ONCE if size and isinstance(self._events[self._start], Trade | Quote) else size
        for first in range(0, size, step or 1):
            seqs = self._seqs[first : first + step]
            begin = self._start + first
            inputs = Inputs(seqs, self._events[begin : begin + len(seqs)])
            yield inputs
            inputs.release()


class Inputs:
    """Events in processing order with their seqs; iterating gives `(seq, event)` pairs."""

    __slots__ = ("_events", "_left", "_seqs")

    def __init__(self, seqs: NDArray[np.int64], events: Sequence[Event]) -> None:
        self._seqs: memoryview[int] | list[int] = seqs.data  # whose items are plain integers
        self._events = events
        self._left: Callable[[], int] = int  # how many events are still to be taken: none

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        return zip(self._seqs, self._events, strict=True)

    def events(self) -> Iterator[Any]:
        """Return the events; `seq` and `seq_of` speak of those taken from this iterator."""
        events: Any = iter(self._events)
        self._left = events.__length_hint__  # hot: `operator.length_hint` would look it up each time
        return cast("Iterator[Any]", events)

    def release(self) -> None:
        """Let go of the events: the inputs are over."""
        self._events = ()

    @property
    def seq(self) -> int:
        """The seq of the event that was taken last."""
        return self._seqs[len(self._events) - self._left() - 1]

    def seq_of(self, event: Event) -> int:
        """Return the seq of an event that was taken, looking back from the last one."""
        return self._seqs[self._place(event)]

    def pairs(self, events: Sequence[E]) -> list[tuple[int, E]]:
        """Return events that were taken one after another (one at least) with their seqs."""
        end = self._place(events[-1]) + 1
        return list(zip(self._seqs[end - len(events) : end], events, strict=True))

    def _place(self, event: Event) -> int:
        place = len(self._events) - self._left() - 1
        while self._events[place] is not event:
            place -= 1
        return place


class Arriving(Inputs):
    """Inputs of which each gets its seq when it is taken, and not before: a live session's."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[int, Event]]) -> None:
        super().__init__(np.empty(0, np.int64), [])
        self._pairs = pairs

    def events(self) -> Iterator[Any]:
        """Return the events, each taken from the pairs when its turn comes."""
        seqs: list[int] = []
        events: list[Event] = []
        self._seqs, self._events = seqs, events
        for seq, event in self._pairs:
            seqs.append(seq)
            events.append(event)
            yield event
