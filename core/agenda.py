"""What is due when: timers, arrivals at the simulated broker, expiries, equity marks; by event time.

Nothing here knows the present; the loop asks what is due up to a time that an input brought.
"""

import heapq
from collections.abc import Callable, Iterable

from core.clock import NEVER
from core.events import Event

Action = Callable[[int], Iterable[Event]]

BEFORE_PRICES = 0
"""Phase of entries that happen before the prices of a slice with the same time are folded."""
AFTER_SCAN = 1
"""Phase of timers: after the prices of a slice with the same time, and after resting orders met them."""


class Agenda:
    """A heap of named entries, each an action that returns facts to be processed as inputs.

    `due` is the time of the next entry (or `NEVER`) as a plain attribute: the loop compares it with
    each event's time, so an idle agenda costs one comparison an event. Entries due at the same time
    and phase come in the order in which they were set.
    """

    __slots__ = ("_count", "_heap", "_live", "due", "horizon")

    def __init__(self) -> None:
        self.due: int = NEVER
        self.horizon = 0  # the time that the present input brought; entries before it are being fired
        self._heap: list[tuple[int, int, int, str]] = []
        self._live: dict[str, tuple[int, Action]] = {}
        self._count = 0

    def set(self, key: str, due: int, action: Action, phase: int = BEFORE_PRICES) -> None:
        """Set or move the entry `key`; `action(due)` is called when it comes due."""
        self._count += 1
        heapq.heappush(self._heap, (due, phase, self._count, key))
        self._live[key] = (self._count, action)
        self.due = self._heap[0][0]

    def __contains__(self, key: str) -> bool:
        return key in self._live

    def pop(self, until: int, phase: int) -> tuple[int, Action] | None:
        """Remove and return the next `(due, action)` at or before time `until` and phase `phase`."""
        heap = self._heap
        found = None
        while found is None and heap:
            due, part, count, key = heap[0]
            if due > until or (due == until and part > phase):
                break
            heapq.heappop(heap)
            live = self._live.get(key)
            if live is not None and live[0] == count:
                del self._live[key]
                found = due, live[1]
        # Moved entries stay in the heap until they surface: `due` may be early because of them, never late.
        self.due = heap[0][0] if heap else NEVER
        return found
