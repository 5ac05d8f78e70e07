"""The last look before an order leaves: the kill file, and a halt that came after the decision.

Wraps the connection as the loop's broker. What is held back here becomes an input that says so: nothing of
it was sent. Cancels always pass, and so do orders that close positions while the account is flattened.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from app.live.kill_file import KillFile
from core.effects import Effect
from core.events import CancelIntended, Event, SendFailed
from core.ports import Broker
from projections.gate import Gate


class Timed(Broker, Protocol):
    """A broker that knows the session's time."""

    @property
    def now(self) -> int:
        """The time of what happens now."""


class GuardedBroker:
    """A `core.ports.Broker` that asks once more; `held_back` gives what came of it, as inputs."""

    def __init__(self, broker: Timed, gate: Gate, kill_file: KillFile) -> None:
        self._broker = broker
        self._gate = gate
        self._kill_file = kill_file
        self._failed: list[Event] = []

    def resting(self, instrument: str) -> Sequence[object]:
        """Return what the broker returns."""
        return self._broker.resting(instrument)

    def scan(self, event: Event) -> Sequence[Event]:
        """Return what the broker returns."""
        return self._broker.scan(event)

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Return what the broker returns."""
        return self._broker.accept(effects, ts)

    def release(self, effects: Sequence[Effect]) -> None:
        """Pass on what may leave."""
        killed = self._kill_file.exists()
        passed: list[Effect] = []
        for effect in effects:
            why = self._barred(effect, killed=killed)
            if not why:
                passed.append(effect)
                continue
            version = getattr(effect.request, "version", 1)
            self._failed.append(SendFailed(self._broker.now, effect.request.order, version, 0, why))
        self._broker.release(passed)

    def held_back(self) -> list[Event]:
        """Return the orders that were not sent, once."""
        failed, self._failed = self._failed, []
        return failed

    def _barred(self, effect: Effect, *, killed: bool) -> str:
        request = effect.request
        if isinstance(request, CancelIntended):
            return ""
        if killed and self._gate.halt != "flatten":
            return "the kill file is there; next: tape resume"
        return self._gate.bars(request.order, request.instrument) or "" if self._gate.halt else ""
