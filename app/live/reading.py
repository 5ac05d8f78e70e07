"""A file of signals read, or a plug-in asked, in a process of its own: never waited for, ended in time.

Whatever is in the file or in the user's code can neither block nor end trading. The other side is
`app.signals.child`.
"""

import msgspec

from app.live.errand import Errand
from app.signals.child import Answer, Order
from core.events import RowRejected, SignalReceived
from core.signals.rules import problem

SAID_MAX = 2_000


class Reading:
    """An order being carried out; `begun` and the times given to `answer` are of one clock, in seconds."""

    def __init__(self, order: Order, begun: float, wait_s: float, doing: str) -> None:
        self.begun = begun
        self._wait_s = wait_s
        self._doing = doing
        self._blame = (
            "too large or hostile" if order.plugin is None else "it exits, crashes or needs too much"
        )
        self._errand = Errand("app.signals.child", msgspec.json.encode(order))

    def running(self, now_s: float) -> bool:
        """Return whether it goes on and still has time."""
        return self._errand.code is None and now_s - self.begun < self._wait_s

    def answer(self, now_s: float) -> Answer | None:
        """Return what came of it; `None` while it goes on."""
        code = self._errand.code
        if code is None:
            if now_s - self.begun < self._wait_s:
                return None
            self.end()
            return Answer(problem=f"{self._doing} took longer than {self._wait_s:g} s")
        try:
            return msgspec.json.decode(self._errand.answer(), type=Answer)
        except msgspec.MsgspecError:
            return Answer(problem=f"{self._doing} ended with code {code}: {self._blame}")

    def end(self) -> None:
        """End the process, if it still runs, and those that it started."""
        self._errand.end()


def learnt(answer: Answer, file: str, now: int) -> tuple[list[SignalReceived], list[RowRejected]]:
    """Return an answer's signals and rejections, which begin now; what has expired meanwhile is rejected."""
    good: list[SignalReceived] = []
    bad = [msgspec.structs.replace(one, ts=now) for one in answer.rejections]
    for one in answer.signals:
        moved = msgspec.structs.replace(one, ts=max(now, one.ts))
        wrong = problem(moved)
        if wrong is None:
            good.append(moved)
        else:
            bad.append(RowRejected(now, file, 0, wrong, one.instrument))
    return good, bad
