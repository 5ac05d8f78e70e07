"""A live session that kills itself at a named point; `main` runs it, in a process of its own.

The points lie in subclasses that stand in for the recorder, the connection and the loop, so nothing of it is
in the program. `broken` swaps in a known mistake.
"""

import os
import signal
import sys
from pathlib import Path

from adapters.ibkr.client import IbClient, LinkSettings
from adapters.ibkr.wire.messages import Execution
from adapters.ibkr.wire.transport import Transport
from app.composition.seating import StrategySpec
from app.composition.trading_rules import TradingRules
from app.live import connecting, session
from app.live.recording import LiveRecorder
from app.live.request import LiveRequest
from app.live.session import run_live
from app.operation import writing
from core import loop
from core.acting import Acting
from core.deciding import Decisions
from core.effects import Effect
from core.events import (
    CancelSendStarted,
    CancelSent,
    CommissionReported,
    Filled,
    HoldEnded,
    ModifyIntended,
    OrderAttempted,
    OrderBound,
    OrderHeld,
    OrderIntended,
    OrderSent,
)
from core.exits.protection import ExitRules
from core.holds import HoldRule, Holds, intent_of
from core.retry import RetryRule
from core.step import Step
from core.views import HELD
from tests.live.quick import QUICK

HERE = Path(__file__).parent
APPENDED = {
    "intent": OrderIntended,
    "attempt": OrderAttempted,
    "sent_event": OrderSent,
    "ack": OrderBound,
    "fill": Filled,
    "commission": CommissionReported,
    "modify_intent": ModifyIntended,
    "cancel": CancelSendStarted,
    "cancel_sent": CancelSent,
    "held": OrderHeld,
    "hold_ended": HoldEnded,
}
PLACE_ORDER = b"3\0"


class Point:
    """Where to die, and how often it may be passed before."""

    name, left = "-", 1


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def passes(point: str) -> None:
    """Die if this is the point, at its n-th time."""
    if point == Point.name:
        Point.left -= 1
        if Point.left <= 0:
            die()


class SealsNothing:
    """In place of `SealWorker`, whose process costs more than a session here: closed segments stay hot."""

    def __init__(self, root):
        self.failures = []

    def offer(self, segment):
        """It stays where it is, and is read from there."""

    def poll(self):
        return []

    def drain(self, timeout_s):
        return []

    def compact(self, timeout_s):
        """Nothing is sealed."""

    def close(self):
        """Nothing runs on."""


class Recorder(LiveRecorder):
    """Dies when something is appended, or when it has just been made durable."""

    def __init__(self, journal):
        super().__init__(journal)
        self._fresh = set()

    def append(self, event, at=None, cause=None):
        seq = super().append(event, at, cause)
        for name, kind in APPENDED.items():
            if type(event) is kind:
                self._fresh.add(name)
                passes(name)
        return seq

    def commit(self, *, sync):
        super().commit(sync=sync)
        fresh, self._fresh = self._fresh, set()
        for name in sorted(fresh):
            passes(f"{name}_durable")


class Dying(Transport):
    """Dies around the sending of an order."""

    def send(self, data):
        order = data[4:6] == PLACE_ORDER
        if order:
            passes("before_send")
            if Point.name == "partial" and Point.left <= 1:
                self._socket.send(data[: len(data) // 2])
            passes("partial")
        super().send(data)
        if order:
            passes("after_send")


class SendsFirst(Acting):
    """The mistake: what was decided leaves before it is durable."""

    def commit(self):
        decided = list(self._decided)
        self._decided.clear()
        if decided:
            self._broker.release(decided)
            passes("released")
        self._recorder.commit(sync=bool(decided))


class TrustsLiveMessages(IbClient):
    """The mistake: executions count only while they happen, not when the book is asked for."""

    def _events(self, message):
        if isinstance(message, Execution) and message.req_id not in (None, -1):
            return []
        return super()._events(message)


class Resends(IbClient):
    """The mistake: what was never acknowledged is sent again after a restart."""

    todo = None

    def inputs(self, timeout_s):
        events = super().inputs(timeout_s)
        if self.todo is None and self._begun:
            known = [self._folds.orders._orders[o.id].intent for o in self._folds.orders.working()]
            self.todo = [Effect(1, i) for i in known if not self._folds.routes.acknowledged(i.order)]
            return [*events, *self.accept(self.todo, self.now)]
        for effect in self.todo or ():
            self._sending.offer_order(self._channel.out.request([effect], self._connection.codec.requests))
        self.todo = self.todo and []
        return events


class TransmitsEach(IbClient):
    """The mistake: each order of a bracket is let go by itself."""

    def release(self, effects):
        self._channel.out.together = lambda chosen: [[effect] for effect in chosen]
        super().release(effects)


class MindsNoStop(IbClient):
    """The mistake: a refused stop is a refusal like any other, and so is silence about its entry."""

    def _answers_due(self):
        return []

    def inputs(self, timeout_s):
        self._channel._exposed = lambda _child, _why, _ts: ()
        return super().inputs(timeout_s)


class EntersAlone(MindsNoStop):
    """The mistake: and an entry is put up again by itself."""

    def release(self, effects):
        self._channel.out._alone = lambda _entry, _family: ""
        super().release(effects)


def releases_twice() -> None:
    """Let what was held go as often as it can be seen."""
    ready = Holds.ready
    Holds.ready = lambda self: [family for family in ready(self) for _ in range(2)]


def forgets_what_it_held() -> None:
    """Say nothing of what an earlier session held."""
    lapse = Decisions.lapse
    Decisions.lapse = lambda self, record, why, **more: len(self.holds) and lapse(self, record, why, **more)


def keeps_what_others_held() -> None:
    """Let go what an earlier session held."""
    lapse = Decisions.lapse

    def carry_on(self, record, why, **more):
        if why.startswith("its session ended"):
            for order in [o for o in self._orders.working() if o.state == HELD]:
                self.holds.keep(intent_of(order, order.created_ts), self._present.seq)
        else:
            lapse(self, record, why, **more)

    Decisions.lapse = carry_on


def leaves_holdings_alone() -> None:
    """Give exits to what fills from now on, not to what is held already."""
    Step.sweep = lambda _self: None


UNDONE = {
    "releases_twice": releases_twice,
    "forgets_what_it_held": forgets_what_it_held,
    "keeps_what_others_held": keeps_what_others_held,
    "leaves_holdings_alone": leaves_holdings_alone,
}
HELD_BACK = {
    "link": {"restart_window": "13:32-13:33 UTC"},
    "rules": {
        "hold": HoldRule(within_s=3600),
        "exits": ExitRules(stop_loss_pct=0.1, take_profit_pct=0.1),
    },
}
SET_UPS = {"waiting": HELD_BACK}
"""How sessions of some strategies are configured beside."""
BROKEN = {
    "enters_alone": EntersAlone,
    "trusts_live_messages": TrustsLiveMessages,
    "resends": Resends,
    "transmits_each": TransmitsEach,
    "minds_no_stop": MindsNoStop,
}


def main(
    root: Path,
    port: int,
    account: str,
    point: tuple[str, int],
    until: int,
    *,
    broken: str = "",
    retries: int = 0,
    strategy: str = "tides",
) -> None:
    """Trade until a time (ns UTC), or until the point is passed so many times."""
    Point.name, Point.left = point
    session.LiveRecorder = Recorder
    writing.SealWorker = SealsNothing
    for module in ("adapters.ibkr.wire.codec", "adapters.ibkr.link.dialing", "adapters.ibkr.link.connection"):
        held = sys.modules.get(module)
        if held is not None and hasattr(held, "Transport"):
            held.Transport = Dying
    if broken == "sends_first":
        loop.Acting = SendsFirst
    connecting.IbClient = BROKEN.get(broken, IbClient)
    UNDONE.get(broken, lambda: None)()
    set_up = SET_UPS.get(strategy, {"link": {}, "rules": {}})
    start_ns = until - 3600 * 10**9
    chosen = {"lock_step": True, "start_ns": start_ns, **QUICK, **set_up["link"]}
    link = LinkSettings(port=port, account=account, **chosen)
    specs = (StrategySpec(f"{HERE / f'{strategy}.py'}:{strategy.capitalize()}", {}, strategy),)
    rules = TradingRules(retry=RetryRule(attempts=retries), **set_up["rules"])
    given = {"link": link, "strategies": specs, "account": account, "until_ts": until, "rules": rules}
    run_live(root, LiveRequest(mode="demo", **given))
