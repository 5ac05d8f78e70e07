"""What follows from an input: it is recorded, folded, decided on, and acted upon.

Outputs are recorded and folded before the next input is taken, so log order is processing order whatever
the batch size. Effects are released after the commit only.
"""

from collections.abc import Iterable

from core.agenda import Agenda
from core.clock import NEVER
from core.effects import Effect
from core.errors import UsageError
from core.events import BY_TYPE, Event
from core.inputs import Inputs
from core.ports import Broker, Folds, Record, SessionRecorder
from core.step import Step

MAX_FIRED_AT_ONCE = 10_000
"""More timers than this at one moment are taken for a timer that sets itself again without an end."""


class Acting:
    """Records facts and decisions, and hands what was decided to the broker."""

    def __init__(
        self, recorder: SessionRecorder, broker: Broker, step: Step, agenda: Agenda, folds: Folds
    ) -> None:
        self._recorder = recorder
        self._folds: Folds = {kind: tuple(folds.get(kind, ())) for kind in (*BY_TYPE, *folds)}
        self.record: Record
        """Append an output, fold it, and return its seq."""
        self.record, self._record_facts = recorder.recording(self._folds, step.heard, self._tell)
        self._broker = broker
        self._step = step
        self._decisions = step.decisions
        self._agenda = agenda
        self._decided: list[Effect] = []  # accepted in this batch, to be released after its commit
        self.late_ns = NEVER
        """What is overdue by more happens when that is noticed, and not at the time that it was due."""

    def fold(self, seq: int, event: Event) -> None:
        """Fold an input, which is on record already."""
        for fold in self._folds[type(event)]:
            fold(event, seq)

    def name(self, told: Event | None, inputs: Inputs) -> None:
        """Let `present` name the event that a strategy was told of, before anything may refer to it."""
        if told is not None:
            self._step.present.seq = inputs.seq_of(told)

    def process(self, facts: Iterable[Event], seq: int) -> None:
        """Process facts that the simulation made in the slice of the input `seq`: inputs themselves."""
        self._record_facts(facts, seq)
        if self._step.sweeps:
            self._step.settle_sweeps(self.record)

    def _tell(self, seq: int, fact: Event) -> None:
        """Tell of a fact, and decide on what is asked for, before the next one is recorded."""
        self._step.feed(seq, fact)
        if self._decisions.requests:
            self._decisions.settle(seq, self.record)

    def settle(self, seq: int) -> None:
        """Decide on what was asked for while the input `seq` was handled, and hand it to the broker."""
        decisions = self._decisions
        if decisions.requests:
            decisions.settle(seq, self.record)
        if self._step.sweeps:
            self._step.settle_sweeps(self.record)
        if decisions.effects:
            self.accept(seq)

    def accept(self, seq: int) -> None:
        """Hand what was decided to the broker, and what follows from its answers."""
        decisions = self._decisions
        while decisions.effects:
            effects, decisions.effects = decisions.effects, []
            self._decided += effects
            self.process(self._broker.accept(effects, self._step.present.ts), seq)

    def scan(self, seq: int, event: Event) -> None:
        """Let resting orders meet a market event."""
        facts = self._broker.scan(event)
        if facts:  # most ticks fill nothing
            self.process(facts, seq)
            if self._decisions.effects:
                self.accept(seq)

    def advance(self, ts: int, seq: int, phase: int) -> None:
        """Fire what is due: all of it before `ts`, and at `ts` what belongs to `phase` or an earlier one."""
        agenda, present = self._agenda, self._step.present
        agenda.horizon = ts
        fired, late = 0, False
        while agenda.due <= ts and (item := agenda.pop(ts, phase)) is not None:
            due, action = item
            if late or ts - due > self.late_ns:
                late, due = True, ts  # with all that follows it: time never goes back
            fired = fired + 1 if due == present.ts else 0
            if fired > MAX_FIRED_AT_ONCE:
                raise UsageError(
                    f"more than {MAX_FIRED_AT_ONCE} timers at one time: one sets itself again at once"
                )
            present.seq, present.ts = seq, due
            self.process(action(due), seq)
            self.accept(seq)

    def commit(self) -> None:
        """Write what is buffered, durably if anything is to leave; then let it leave."""
        decided = self._decided
        self._recorder.commit(sync=bool(decided))
        if decided:
            self._broker.release(decided)
            decided.clear()
