"""The last look before an order leaves: what the kill file and a halt hold back, and what passes still.

Brokers and sessions that lack one of the looks must be caught.
"""

from decimal import Decimal
from pathlib import Path

import pytest

from app.live.guarding import GuardedBroker
from app.live.kill_file import KillFile
from core.effects import Effect
from core.events import (
    CancelIntended,
    ConnectionChanged,
    Entry,
    HaltRequested,
    OrderIntended,
    OrderSent,
    ReconciliationFinished,
    SendFailed,
    TradingResumed,
)
from eventstore.layout import Layout
from projections.gate import Gate
from tests.live.rig import Rig

WHO = ("DU1", "s", "ACME")
ORDER = OrderIntended(1, "s-1-1", *WHO, "BUY", Decimal(1), "MKT", None, None, "DAY", "")
CLOSING = OrderIntended(1, "close-1-1", *WHO, "SELL", Decimal(1), "MKT", None, None, "DAY", "")
CANCEL = CancelIntended(1, "s-1-1", *WHO, "")
ALL = (ORDER, CLOSING, CANCEL)
UP = (ConnectionChanged(1, "up"), ReconciliationFinished(1, "start", 0, 0, 0, 0, ""))


class Sent:
    """A broker that notes what is released to it."""

    now = 7

    def __init__(self):
        self.released = []

    def release(self, effects):
        self.released += [effect.request for effect in effects]


class Blind(KillFile):
    """Never sees the file."""

    def exists(self):
        return False


class Unguarded(GuardedBroker):
    """Looks at nothing."""

    def _barred(self, effect, *, killed):
        return ""


class IgnoresHalts(GuardedBroker):
    """Looks at the kill file alone."""

    def _barred(self, effect, *, killed):
        return super()._barred(effect, killed=killed) if killed else ""


class HoldsCancels(GuardedBroker):
    """Holds back cancels as well."""

    def _barred(self, effect, *, killed):
        return "killed" if killed else super()._barred(effect, killed=killed)


class Silent(GuardedBroker):
    """Does not tell what was held back."""

    def held_back(self):
        return []


SITUATIONS = {
    # what was recorded, whether the file is there: what may leave
    "open": ((), False, ALL),
    "kill file": ((), True, (CANCEL,)),
    "halted": ((HaltRequested(1, "halt", "why", "command"),), False, (CANCEL,)),
    "cancelled": ((HaltRequested(1, "cancel", "why", "command"),), False, (CANCEL,)),
    "flattening": ((HaltRequested(1, "flatten", "why", "command"),), False, (CLOSING, CANCEL)),
    "flattening beside the file": ((HaltRequested(1, "flatten", "why", "command"),), True, (CLOSING, CANCEL)),
    "resumed": ((HaltRequested(1, "halt", "why", "command"), TradingResumed(1, "on")), False, ALL),
}


def wrong(root: Path, guard=GuardedBroker, file=KillFile) -> list[str]:
    """Return the situations in which something leaves that must not, or is held back unsaid or wrongly."""
    Layout(root).create()
    found = []
    for name, (events, killed, expected) in SITUATIONS.items():
        gate, sent, kill_file = Gate(), Sent(), KillFile(root)
        for seq, event in enumerate((*UP, *events), 1):
            gate.apply(Entry(seq, None, seq, None, event))
        kill_file.make("test") if killed else kill_file.remove()
        broker = guard(sent, gate, file(root))
        broker.release([Effect(number, request) for number, request in enumerate(ALL, 1)])
        held = [e.order for e in broker.held_back() if isinstance(e, SendFailed) and e.bytes_written == 0]
        if tuple(sent.released) != expected or held != [r.order for r in ALL if r not in expected]:
            found.append(name)
        if broker.held_back():
            found.append(f"{name}: told twice")
    return found


def test_what_a_halt_or_the_kill_file_forbids_does_not_leave_and_says_so(tmp_path):
    assert wrong(tmp_path / "log") == []


@pytest.mark.parametrize(
    ("guard", "file"),
    [
        (Unguarded, KillFile),
        (IgnoresHalts, KillFile),
        (HoldsCancels, KillFile),
        (Silent, KillFile),
        (GuardedBroker, Blind),
    ],
)
def test_a_broker_that_lacks_a_look_is_caught(tmp_path, guard, file):
    assert wrong(tmp_path / "log", guard, file)


def killed_at_the_start(rig: Rig) -> Rig:
    KillFile(rig.root).make("it hangs")
    return rig.run()


def test_nothing_leaves_a_session_while_the_kill_file_is_there(start):
    rig, _ = start("", until=lambda rig: rig.drill.wanted >= 3)
    killed_at_the_start(rig)
    assert rig.events(OrderSent) == []
    assert [(e.level, e.origin) for e in rig.events(HaltRequested)] == [("cancel_all", "kill file")]


def blind(session) -> None:
    """Let a session not see the file, neither before a send nor in its loop."""
    session.broker._kill_file = session.link._kill_file = Blind(session._journal.root)


def test_a_session_that_does_not_see_the_kill_file_is_caught(start):
    rig, _ = start("", until=lambda rig: rig.drill.wanted >= 3, client=blind)
    killed_at_the_start(rig)
    assert rig.events(OrderSent) != []
