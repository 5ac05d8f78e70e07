"""Whom a live session hears besides the broker: the operator, files of signals, plug-ins, exchange calendars.

Puts them together and asks them in this order at every look of the source. None of them is waited for, except
for models before a session in lock step. What they say becomes inputs; what it is worth, they decide.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from app.composition.world import World
from app.live.asking import SignalPlugins
from app.live.commands import OperatorDesk
from app.live.request import LiveRequest
from app.live.scheduling import Schedule
from app.live.source import Commands
from app.live.watched_files import SignalFiles
from app.operation.operator import Desk
from app.operation.writing import Writer
from app.signals.troubles import Troubles
from core.events import Event, InstrumentDefined
from eventstore.reading.reader import LogReader


class Hearing:
    """An `app.live.source.Commands` of all of them; those that run as processes end with `close`."""

    def __init__(self, writer: Writer, request: LiveRequest) -> None:
        root, self.troubles = writer.journal.root, Troubles()
        self._root = root
        self._request = request
        self._operator = OperatorDesk(writer)
        self._files = SignalFiles(root, request.files, LogReader(root), troubles=self.troubles)
        self._plugins = SignalPlugins(root, request.plugins, LogReader(root), troubles=self.troubles)
        self._hours: Commands = lambda _now: ()
        self._ends = ExitStack()
        self._ends.callback(self._files.close)
        self._ends.callback(self._plugins.close)

    def wait(self) -> None:
        """Let the models of a session in lock step speak before its day begins."""
        if self._request.link.lock_step:
            self._plugins.wait(self._request.link.start_ns or time.time_ns())

    def begin(self, world: World, wanted: Callable[[], Iterable[InstrumentDefined]]) -> None:
        """Take the operator's commands from now on, and look after the hours of what is wanted."""
        self._operator.sit(Desk(self._root, world, self._request.account))
        if not self._request.link.lock_step:  # the day of a demo is in the log
            self._hours = schedule = Schedule(world.sessions, wanted)
            self._ends.callback(schedule.close)

    def __call__(self, now: int) -> Sequence[Event]:
        """Return what was said since the last call."""
        return [*self._operator(now), *self._files(now), *self._plugins(now), *self._hours(now)]

    def answer(self) -> None:
        """Answer the operator what the commit made durable."""
        self._operator.answer()

    def close(self) -> None:
        """Give up whatever is still being asked."""
        self._ends.close()
