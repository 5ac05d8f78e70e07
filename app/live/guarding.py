"""The last look before an order leaves: the kill file, and a halt that came after the decision.

Wraps the connection as the loop's broker. What is held back here becomes an input that says so: nothing of
it was sent. Cancels always pass, and so do orders that close positions while the account is flattened.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from app.live.kill_file import KillFile
from core.effects import Effect
from core.events import CancelIntended, Event, SendFailed
from core.halting import CLOSING
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

    def scan(self, event: Event) -> Iterable[Event]:
        """Return what the broker returns."""
        return self._broker.scan(event)

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Return what the broker returns."""
        return self._broker.accept(effects, ts)

    def release(self, effects: Sequence[Effect]) -> None:
        """Pass on what may leave."""
        why = self._why()
        if not why:
            self._broker.release(effects)
            return
        self._broker.release([effect for effect in effects if self._passes(effect)])
        for effect in effects:
            if not self._passes(effect):
                version = getattr(effect.request, "version", 1)
                self._failed.append(SendFailed(self._broker.now, effect.request.order, version, 0, why))

    def held_back(self) -> list[Event]:
        """Return the orders that were not sent, once."""
        failed, self._failed = self._failed, []
        return failed

    def _why(self) -> str:
        if self._kill_file.exists():
            return "the kill file is there; next: tape resume"
        return f"halted ({self._gate.halt}): {self._gate.halt_reason}" if self._gate.halt else ""

    def _passes(self, effect: Effect) -> bool:
        if isinstance(effect.request, CancelIntended):
            return True
        return self._gate.halt == "flatten" and effect.request.order.startswith(f"{CLOSING}-")
