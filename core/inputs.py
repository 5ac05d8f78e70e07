"""A batch of inputs as the loop takes them: events, one after another, and a seq where it is asked for.

Most market events lead to nothing, so their seq is never looked at: to make an `int` of each would cost a
quiet replay a twentieth of its time. Each event is built when its turn comes, in the memory of the one
before it: built by the thousand, they (or their times alone) would be spread over the gaps that orders leave,
out of the processor's cache, and cost twice as much. This module keeps no event for longer than its batch.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from core.events import Event

E = TypeVar("E", bound=Event)


class Table(Sequence[Event]):
    """Events that are columns until they are asked for."""

    __slots__ = ()

    @abstractmethod
    def build(self, start: int, stop: int) -> tuple[Iterator[Event], Callable[[], int]]:
        """Return what builds the events of these rows one by one, and what tells how many are left."""

    @abstractmethod
    def place_of(self, event: Event, stop: int) -> int:
        """Return the last row before `stop` that holds this event; it is there."""


class Batch:
    """Events in processing order with their seqs; iterating gives `(seq, event)` pairs.

    `seqs[i]` belongs to `events[start + i]`.
    """

    __slots__ = ("_events", "_seqs", "_start")

    def __init__(self, seqs: NDArray[np.int64], events: Sequence[Event], start: int = 0) -> None:
        self._seqs = seqs
        self._events = events
        self._start = start

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        return iter(self.inputs())

    def inputs(self) -> "Inputs":
        """Return the batch as inputs."""
        start, stop = self._start, self._start + len(self._seqs)
        if isinstance(self._events, Table):
            return Rows(self._seqs, self._events, start, stop)
        return Inputs(self._seqs, self._events[start:stop])


class Inputs:
    """Events in processing order with their seqs; iterating gives `(seq, event)` pairs."""

    __slots__ = ("_left", "_marks", "_seqs")

    def __init__(self, seqs: NDArray[np.int64], events: Sequence[Event]) -> None:
        self._seqs: memoryview[int] | list[int] = seqs.data  # whose items are plain integers
        self._marks: Sequence[Any] = events  # by which an event that was taken is known again
        self._left: Callable[[], int] = int  # how many events are still to be taken: none

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        return zip(self._seqs, self.events(), strict=True)

    def events(self) -> Iterator[Any]:
        """Return the events; `seq` and `seq_of` speak of those taken from this iterator."""
        return self._walk()

    def seq(self, before: int = 0) -> int:
        """Return the seq of the event that was taken last, or of one taken so many before it."""
        left = self._left  # hot: to call what an attribute holds, and is no method, is slow
        return self._seqs[len(self._marks) - left() - 1 - before]

    def pairs_before(self, events: Sequence[E]) -> list[tuple[int, E]]:
        """Return the events that were taken just before the last one, with their seqs."""
        end = len(self._marks) - self._left() - 1
        return list(zip(self._seqs[end - len(events) : end], events, strict=True))

    def seq_of(self, event: Event) -> int:
        """Return the seq of an event that was taken, looking back from the last one."""
        return self._seqs[self._place(event)]

    def pairs(self, events: Sequence[E]) -> list[tuple[int, E]]:
        """Return events that were taken one after another (one at least) with their seqs."""
        end = self._place(events[-1]) + 1
        return list(zip(self._seqs[end - len(events) : end], events, strict=True))

    def _walk(self) -> Iterator[Any]:
        marks: Any = iter(self._marks)
        self._left = marks.__length_hint__  # hot: `operator.length_hint` would look it up each time
        return cast("Iterator[Any]", marks)

    def _place(self, mark: object) -> int:
        marks = self._marks
        place = len(marks) - self._left() - 1
        while marks[place] is not mark:
            place -= 1
        return place


class Rows(Inputs):
    """Inputs that are rows of a table. None is kept: an event is known by what it holds.

    Of rows that are alike in everything the last one that was taken counts.
    """

    __slots__ = ("_last", "_start", "_stop", "_table")

    def __init__(self, seqs: NDArray[np.int64], table: Table, start: int, stop: int) -> None:
        super().__init__(seqs, [])
        self._last = len(seqs) - 1
        self._marks = range(len(seqs))  # to be counted only
        self._table = table
        self._start, self._stop = start, stop

    def events(self) -> Iterator[Any]:
        """Return the events, each built when its turn comes."""
        events, self._left = self._table.build(self._start, self._stop)
        return events

    def seq(self, before: int = 0) -> int:
        """Return the seq of the event that was taken last, or of one taken so many before it."""
        left = self._left
        return self._seqs[self._last - left() - before]

    def _place(self, mark: Any) -> int:
        return self._table.place_of(mark, self._stop - self._left()) - self._start


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
        self._seqs, self._marks = seqs, events
        for seq, event in self._pairs:
            seqs.append(seq)
            events.append(event)
            yield event
