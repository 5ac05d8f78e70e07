"""Executions whose commission does not come: after a while the executions are asked for again.

The broker sends a commission a moment after its execution, and again whenever executions are asked for. Until
it is known it is unknown, which is not 0, and the balance cannot be compared. Pure: times are passed in.
Trade goes on meanwhile; what does not come after the second question is left to the next look at the book.
"""

from collections.abc import Callable

from core.clock import SECOND_NS

WAITS_NS = (15 * SECOND_NS, 120 * SECOND_NS)
"""How long after the execution is asked, at first and for the second time."""


class MissingCommissions:
    """The executions of this session without a commission, and how often each was asked for."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, int]] = {}
        self._asked: set[int] = set()

    def told(self, exec_id: str, ts: int) -> None:
        """Take that an execution was told; the first time counts."""
        self._told.setdefault(exec_id, (ts, 0))

    def due(self, ts: int, charged: Callable[[str], bool]) -> bool:
        """Return whether executions are to be asked for again now, and take that they are."""
        if not self._told:
            return False
        late = False
        for exec_id, (since, asked) in list(self._told.items()):
            if charged(exec_id):
                del self._told[exec_id]
            elif ts - since >= WAITS_NS[asked]:
                late = True
                if asked + 1 < len(WAITS_NS):
                    self._told[exec_id] = (since, asked + 1)
                else:
                    del self._told[exec_id]
        return late

    def asked(self, req_id: int) -> int:
        """Note the id of a question, so that its end is not taken for that of a look; return the id."""
        self._asked.add(req_id)
        return req_id

    def answered(self, req_id: int | None) -> bool:
        """Return, once, whether an end of executions is that of a question of ours."""
        if req_id not in self._asked:
            return False
        self._asked.discard(req_id)
        return True

    def drop(self) -> None:
        """Forget what was asked: the connection is gone, and a look follows the next one."""
        self._asked.clear()
