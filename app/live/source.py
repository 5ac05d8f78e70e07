"""Where a live session's inputs come from: the operator, the clock, the broker; each recorded when taken.

An input gets its seq in the moment the loop takes it, so log order is processing order. One batch is what was
there at one look; the loop commits after it, and only then does anything leave.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from core.agenda import Agenda
from core.clock import MINUTE_NS
from core.events import ClockAdvanced, Event
from core.ports import Recorder

IDLE_S = 0.25
"""The longest wait for something to happen: how late a timer or a command may be noticed."""
LATE_NS = MINUTE_NS
"""What is overdue by more happens now: a session that was suspended does not make up for what it missed.

No more than a minute, in which `max_orders_per_minute` sees whatever is still made up for.
"""


class Link(Protocol):
    """The broker's side of a session."""

    @property
    def now(self) -> int:
        """The time of what happens now."""

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened; wait at most so long for it."""

    def leave(self) -> list[Event]:
        """Send nothing any more; return what becomes of what waited to be sent."""


Commands = Callable[[int], Sequence[Event]]
"""What the operator asked for since the last look, given the time."""


class LiveSource:
    """A `core.ports.Source` that ends when `stop` says so."""

    def __init__(
        self,
        recorder: Recorder,
        link: Link,
        agenda: Agenda,
        commands: Commands,
        stop: Callable[[], bool],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._recorder = recorder
        self._link = link
        self._agenda = agenda
        self._commands = commands
        self._stop = stop
        self._after = after
        self.inputs = 0

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield what happened, look by look; an empty look still lets the log sync what is due."""
        while not self._stop():
            happened = self._link.inputs(IDLE_S)
            now = self._link.now
            asked = self._commands(now)
            due = self._agenda.due
            # What happened brings the time itself, in the order that a replay knows: prices before timers.
            told = due > now or any(event.ts >= due for event in happened) or self._stop()
            late = [] if told else [ClockAdvanced(now)]
            yield self._taken([*asked, *late, *happened])
            self._after()
        yield self._taken(self._link.leave())

    def _taken(self, events: Iterable[Event]) -> Iterator[tuple[int, Event]]:
        append = self._recorder.append
        for event in events:
            self.inputs += 1
            yield append(event), event
