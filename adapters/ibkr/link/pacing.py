"""How fast requests may go out: the broker drops clients that send more than 50 in a second.

Pure: time is passed in. At most 40 leave in any second, up to 40 of them at once, the most urgent
first; cancels may use five more, so that a burst of other requests never holds one back for a second.
(A bucket refilled at 40 a second with room for 40 would let 80 out within one.) Nothing is ever
dropped, merged or reordered within a lane. What has to leave together counts as many messages as it is.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Generic, TypeVar

from core.clock import SECOND_NS

T = TypeVar("T")
RATE_PER_S = 40
URGENT_RATE_PER_S = 45


class Lane(IntEnum):
    """What is more urgent comes first; within a lane, what came first."""

    CANCEL = 0
    NEW_ORDER = 1
    MODIFY = 2
    RECOVERY = 3
    DATA = 4


class Pacer(Generic[T]):
    """Holds requests back until they may go. `size` says as how many messages a request counts."""

    def __init__(
        self,
        rate_per_s: int = RATE_PER_S,
        urgent_rate_per_s: int = URGENT_RATE_PER_S,
        *,
        size: Callable[[T], int] = lambda _: 1,
    ) -> None:
        assert 0 < rate_per_s <= urgent_rate_per_s
        self._size = size
        self._limits = dict.fromkeys(Lane, rate_per_s) | {Lane.CANCEL: urgent_rate_per_s}
        self._lanes: dict[Lane, deque[T]] = {lane: deque() for lane in Lane}
        self._left_ns: deque[int] = deque(maxlen=urgent_rate_per_s)

    def offer(self, lane: Lane, request: T) -> None:
        """Queue a request."""
        self._lanes[lane].append(request)

    def take(self, now_ns: int) -> list[T]:
        """Return the requests that may go now, in the order to send them; they count as sent."""
        taken = []
        while (lane := self._first()) is not None and self._due_ns(lane) <= now_ns:
            request = self._lanes[lane].popleft()
            taken.append(request)
            self._left_ns.extend(now_ns for _ in range(self._size(request)))
        return taken

    def next_ns(self) -> int | None:
        """Return from when on `take` would return something; `None` if nothing waits, 0 for at once."""
        lane = self._first()
        return None if lane is None else self._due_ns(lane)

    def waiting(self, lane: Lane) -> int:
        """Return how many requests of a lane wait."""
        return len(self._lanes[lane])

    def queued(self, lane: Lane) -> list[T]:
        """Return the requests of a lane that wait."""
        return list(self._lanes[lane])

    def withdraw(self, match: Callable[[T], bool]) -> list[T]:
        """Return the waiting requests that match, in the order in which they would have gone; forget them."""
        withdrawn: list[T] = []
        for queue in self._lanes.values():
            found = [request for request in queue if match(request)]
            if found:
                kept = [request for request in queue if not match(request)]
                queue.clear()
                queue.extend(kept)
                withdrawn += found
        return withdrawn

    def halve(self) -> None:
        """Let only half as much out from now on, at least one in a second: the broker complained."""
        self._limits = {lane: max(1, limit // 2) for lane, limit in self._limits.items()}

    def drain(self) -> list[T]:
        """Return all that waits, most urgent first, and forget it: the connection is gone."""
        drained = [request for lane in Lane for request in self._lanes[lane]]
        for queue in self._lanes.values():
            queue.clear()
        return drained

    def _first(self) -> Lane | None:
        return next((lane for lane in Lane if self._lanes[lane]), None)

    def _due_ns(self, lane: Lane) -> int:
        # The first of a lane may go once that many fewer than the limit left within a second.
        limit = self._limits[lane]
        rest = max(1, limit - self._size(self._lanes[lane][0]) + 1)
        return self._left_ns[-rest] + SECOND_NS if len(self._left_ns) >= rest else 0
