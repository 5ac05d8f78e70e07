"""Carries out halts: what the step cannot do, and the look at the broker's book that ends each of them.

Stands between the connection and the loop. A halt is seen in the gate, once it is recorded and its cancels
are on their way. Then everything that waits is withdrawn, at the higher levels the whole login is cancelled
(asked for twice), and the broker's book is looked at until nothing is left that the level forbids, or
patience ends: `HaltVerified` says which. Positions are closed by the step, between two such looks.
"""

from typing import Protocol, get_args

from app.composition.world import World
from app.live.guarding import GuardedBroker, Timed
from app.live.kill_file import KillFile
from core.clock import SECOND_NS
from core.events import (
    ConnectionChanged,
    Event,
    HaltLevel,
    HaltRequested,
    HaltVerified,
    ReconciliationFinished,
)
from projections.gate import HALT_LEVELS, Gate

SETTLE_NS = SECOND_NS // 2
"""How long the broker gets to answer before its book is looked at."""
AGAIN_NS = 2 * SECOND_NS
LOOKS_MAX = 6
ASKED_TWICE = 2


class Client(Timed, Protocol):
    """What is needed of the connection."""

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened."""

    def cancel_all(self) -> bool:
        """Cancel everything of the login; `False` if not connected."""

    def withdraw(self, why: str) -> None:
        """Report what waits as not sent."""

    def snapshot_now(self, reason: str) -> list[Event]:
        """Begin to look at the broker's book; nothing if that is not possible now."""

    def leave(self) -> list[Event]:
        """Send nothing any more; return what becomes of what waited to be sent."""


class Supervisor:
    """An `app.live.source.Link` over the connection."""

    def __init__(
        self,
        client: Client,
        broker: GuardedBroker,
        world: World,
        gate: Gate,
        account: str,
        kill_file: KillFile,
    ) -> None:
        self._client = client
        self._broker = broker
        self._world = world
        self._gate = gate
        self._account = account
        self._kill_file = kill_file
        self._seen = gate.halts
        self._goal = ""  # the level to verify next; empty when nothing is being carried out
        self._at = 0  # when to look next
        self._looks = 0
        self._asked = 0  # how often the whole login was cancelled
        self._looking = False
        self._shown: ReconciliationFinished | None = None
        self._inherited = gate.halt not in ("", "halt")
        self._restarting = False

    @property
    def now(self) -> int:
        """The time of what happens now."""
        return self._client.now

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened at the broker and what came of halts."""
        events = self._broker.held_back()
        events += self._killed()
        events += self._carry_out()
        told = self._client.inputs(0.0 if events else timeout_s)
        for event in told:
            if type(event) is ReconciliationFinished:
                self._finished(event)
            elif type(event) is ConnectionChanged and event.state not in ("up", "upstream_up"):
                self._looking = False
        return events + told

    def leave(self) -> list[Event]:
        """Send nothing any more; return what becomes of what waited to be sent."""
        return [*self._broker.held_back(), *self._client.leave()]

    # -- who asks for a halt beside the operator -----------------------------------------------

    def _killed(self) -> list[Event]:
        if self._halted_at("cancel_all") or not self._kill_file.exists():
            return []
        return [HaltRequested(self.now, "cancel_all", self._kill_file.reason(), "kill file")]

    def _finished(self, event: ReconciliationFinished) -> None:
        if self._looking:
            self._looking, self._shown = False, event
        elif self._inherited and not self._goal:
            self._inherited = False
            self._begin(looked=event)

    def _halted_at(self, level: HaltLevel) -> bool:
        halt = self._gate.halt
        return bool(halt) and HALT_LEVELS.index(halt) >= HALT_LEVELS.index(level)

    # -- carrying it out -----------------------------------------------------------------------

    def _carry_out(self) -> list[Event]:
        gate = self._gate
        if gate.halts != self._seen:
            self._seen, self._inherited = gate.halts, False
            self._begin()
        if self._goal and not gate.halt:
            self._goal = ""  # resumed meanwhile
        if not self._goal:
            return []
        if self._shown is not None:
            return self._judge(self._shown)
        if self._looking or self.now < self._at:
            return []
        if self._goal == "cancel_all" and self._asked < ASKED_TWICE:
            self._asked += self._client.cancel_all()
            self._at = self.now + SETTLE_NS
            return []
        events = self._client.snapshot_now(f"halt: {self._goal}")
        if events:
            self._looking = True
            self._looks += 1
        return events

    def _begin(self, looked: ReconciliationFinished | None = None) -> None:
        """Start to carry out the level that the gate is at; `looked` is a look that has just ended."""
        self._client.withdraw(f"halted: {self._gate.halt_reason}")
        halt = self._gate.halt
        self._goal = "cancel_all" if halt == "flatten" else halt
        self._asked, self._looks, self._looking, self._shown = 0, 0, False, looked
        self._at = self.now + (SETTLE_NS if halt in ("cancel", "halt") else 0)
        self._restarting = looked is not None

    def _judge(self, shown: ReconciliationFinished) -> list[Event]:
        self._shown = None
        restarting, self._restarting = self._restarting, False
        working, held = self._left(shown)
        reached = not working and (self._goal != "flatten" or not held)
        reached = reached or self._goal == "halt"
        if not reached and restarting:
            # Left over from a session that ended before the level was reached: it is asked for again.
            self._goal = ""
            level = next(level for level in get_args(HaltLevel) if level == self._gate.halt)
            return [HaltRequested(self.now, level, self._gate.halt_reason, "restart")]
        if not reached and self._looks < LOOKS_MAX:
            self._asked = min(self._asked, 1)
            self._at = self.now + AGAIN_NS
            return []
        level = next(level for level in get_args(HaltLevel) if level == self._goal)
        self._goal = self._next_goal(reached=reached)
        return [HaltVerified(self.now, level, working, held, reached)]

    def _next_goal(self, *, reached: bool) -> str:
        if self._gate.halt != "flatten" or self._goal != "cancel_all" or not reached:
            return ""
        self._looks, self._at = 0, self.now + AGAIN_NS
        return "flatten"

    def _left(self, shown: ReconciliationFinished) -> tuple[int, int]:
        """Return the working orders that the goal forbids, and the open positions, as the broker showed."""
        held = len(self._world.reported.reported(self._account))
        if self._goal in ("cancel_all", "flatten"):
            return shown.orders, held
        ours = [o for o in self._world.orders.working() if o.account == self._account and o.strategy]
        return len(ours), held
