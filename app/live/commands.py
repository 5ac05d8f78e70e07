"""The operator's commands to a running session: taken before market data, answered when durable.

Commands come as files (`eventstore.control`); `app.operation.operator` decides what they record. Owns the
order: taken, recorded as events, committed, answered.
"""

from collections.abc import Sequence
from typing import Any

from app.operation.operator import COMMANDS, Desk, reply
from app.operation.writing import Writer
from core.errors import UsageError
from core.events import Event
from eventstore.control import Command


class OperatorDesk:
    """Called by the source for what was asked (`app.live.source.Commands`); `answer` follows the commit."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._desk: Desk | None = None
        self._asked: list[Command] = []
        self._done: list[tuple[str, dict[str, Any]]] = []
        writer.busy = "trading"
        for name in COMMANDS:
            writer.commands[name] = self._take

    def sit(self, desk: Desk) -> None:
        """Begin to take commands; those that came before wait."""
        self._desk = desk

    def _take(self, command: Command) -> None:
        self._asked.append(command)

    def __call__(self, now: int) -> Sequence[Event]:
        """Return what the commands since the last call record."""
        events: list[Event] = []
        if self._desk is None:
            return events
        for command in self._asked:
            try:
                told = reply(self._desk, command.command, command.args, now)
            except (UsageError, KeyError) as error:
                self._done.append((command.id, {"refused": str(error)}))
                continue
            events += told.events
            self._done.append((command.id, told.answer))
        self._asked.clear()
        return events

    def answer(self) -> None:
        """Answer what the commit made durable."""
        for key, told in self._done:
            self._writer.answer(key, told)
        self._done.clear()
