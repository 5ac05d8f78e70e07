"""From what is asked for to decisions: intent, verdict, send.

Every decision is recorded, and so folded, before the next request is judged: two orders asked for in one
breath cannot both use the same headroom. What the gate bars for the moment only is held, and judged anew
when it opens. Knows no strategy but by the news it gives of an order; the loop does the acting.
"""

from collections.abc import Callable
from typing import Any

from core.effects import Effect
from core.events import (
    AtrMeasured,
    CancelIntended,
    CancelSendStarted,
    CompositeSignal,
    HoldOutcome,
    ModifyIntended,
    OrderIntended,
    OrderRetried,
    OrderSendStarted,
    OrderSized,
    Recorded,
    RiskApproved,
    RiskRefused,
    SignalSourcesChanged,
)
from core.halting import PROFILE, Closing
from core.holds import Held, Hold, Holds, Release, ended, fresh, intent_of, lapsed
from core.order_rules import Refusal
from core.ports import Record
from core.present import Present
from core.requests import Bracketed, Malformed
from core.retry import Retries
from core.risk import GATE, RiskGate, no_cancel, refused
from core.views import HELD, OrdersView


class Decisions:
    """Turns `requests` into recorded decisions and `effects`; `tell` gives its strategy news of an order."""

    def __init__(
        self,
        gate: RiskGate,
        holds: Holds,
        retries: Retries,
        orders: OrdersView,
        present: Present,
        account: str,
        tell: Callable[[str], None],
    ) -> None:
        self.requests: list[Any] = []
        self.effects: list[Effect] = []
        self.gate = gate
        self.holds = holds
        self.retries = retries
        self._orders = orders
        self._present = present
        self._account = account
        self._tell = tell
        # What orders follow from: the composites and sizes made while handling the input at hand.
        self._grounds: dict[tuple[str, str], int] = {}
        self._takers: dict[type[Any], Callable[[Any, int, Record], None]] = {
            OrderIntended: self._order,
            ModifyIntended: self._change,
            CancelIntended: self._cancel,
            OrderRetried: self._retry,
            Recorded: self._series,
            RiskRefused: self._series,
            CompositeSignal: self._ground,
            OrderSized: self._ground,
            SignalSourcesChanged: self._series,
            AtrMeasured: self._series,
            Closing: self._closing,
            Bracketed: self._bracket,
            Malformed: self._malformed,
            Hold: self._hold_unsent,
            Release: self._release,
        }

    def take(self, request: Any, at: int, record: Record) -> None:
        """Decide on one request made while processing the input `at`."""
        self._takers[type(request)](request, at, record)

    def settle(self, at: int, record: Record) -> None:
        """Turn the requests made while processing the input `at` into recorded decisions and effects."""
        requests = self.requests
        for request in requests:  # it may grow: refusals may lead to further requests, which the desk limits
            self._takers[type(request)](request, at, record)
        requests.clear()
        if self._grounds:
            self._grounds.clear()

    def _ground(self, request: CompositeSignal | OrderSized, at: int, record: Record) -> None:
        key = (request.strategy, request.instrument)
        self._grounds[key] = record(request, at, self._grounds.get(key))

    def _series(
        self,
        request: Recorded | RiskRefused | SignalSourcesChanged | AtrMeasured,
        at: int,
        record: Record,
    ) -> None:
        record(request, at, None)

    def _ground_of(self, intent: OrderIntended | ModifyIntended) -> int | None:
        return self._grounds.get((intent.strategy, intent.instrument))

    def _order(self, order: OrderIntended, at: int, record: Record) -> None:
        seq = record(order, at, self._ground_of(order) if self._grounds else None)
        self._decide(order, self.gate.judge(order), seq, at, record)

    def _change(self, change: ModifyIntended, at: int, record: Record) -> None:
        self._decide_change(change, record(change, at, self._ground_of(change)), at, record)

    def _malformed(self, request: Malformed, at: int, record: Record) -> None:
        """Refuse what no rule needs to be asked about."""
        seq = record(request.intent, at, None)
        record(refused(request.intent, request.why), at, seq)
        self._tell(request.intent.order)

    def _decide(
        self,
        intent: OrderIntended | ModifyIntended,
        verdict: RiskApproved | RiskRefused,
        seq: int,
        at: int,
        record: Record,
    ) -> None:
        """Do as the verdict on an intent (`seq`) says: send it, or refuse it, unless it is held instead."""
        if type(verdict) is RiskApproved:
            cause = record(verdict, at, seq)
            send = OrderSendStarted(
                intent.ts, intent.order, verdict.version, intent.account, intent.strategy, intent.instrument
            )
            self.effects.append(Effect(record(send, at, cause), intent))
        elif why := self._hold_why(verdict, intent):
            self._hold(intent, seq, why, at, record)
        else:
            record(verdict, at, seq)
            self._tell(intent.order)

    def _decide_change(self, change: ModifyIntended, seq: int, at: int, record: Record) -> None:
        verdict = self.gate.judge_change(change)
        if type(verdict) is RiskApproved:
            self.holds.leaves(change)
        self._decide(change, verdict, seq, at, record)

    def _bracket(self, request: Bracketed, at: int, record: Record) -> None:
        entry, exits = request.entry, request.exits
        seq = record(entry, at, None)
        verdict = self.gate.judge_bracket(entry, exits)
        why = self._hold_why(verdict, entry)
        if why:
            self._hold(entry, seq, why, at, record)
            for intent in exits:
                self._hold(intent, record(intent, at, None), why, at, record)
            return
        self._decide(entry, verdict, seq, at, record)
        for intent in exits:
            self._decide_exit(intent, verdict, record(intent, at, None), at, record)

    def _decide_exit(
        self, intent: OrderIntended, verdict: RiskApproved | RiskRefused, seq: int, at: int, record: Record
    ) -> None:
        """Let the exit of a bracket share the verdict on its entry."""
        own: RiskApproved | RiskRefused
        if isinstance(verdict, RiskRefused):
            name = intent.parent
            own = refused(intent, Refusal("bracket", "an approved entry", name, f"{name} was refused"))
        else:
            own = self.gate.approve(intent)
        self._decide(intent, own, seq, at, record)

    # -- what is held --------------------------------------------------------------------------

    def _hold_why(self, verdict: RiskApproved | RiskRefused, intent: OrderIntended | ModifyIntended) -> str:
        """Return why an intent is held and not refused; empty if the verdict stands."""
        if not isinstance(verdict, RiskRefused) or verdict.rule != GATE:
            return ""
        return self.holds.why(intent)

    def _hold(
        self, intent: OrderIntended | ModifyIntended, cause: int | None, why: str, at: int, record: Record
    ) -> None:
        if isinstance(intent, ModifyIntended):
            for each in self.holds.replaced(intent):
                self._end_hold(each, "replaced", f"version {intent.version} stands for it", at, record)
        self.holds.keep(intent, record(self.holds.event(intent, self._present.ts, why), at, cause))
        self._tell(intent.order)

    def _hold_unsent(self, request: Hold, at: int, record: Record) -> None:
        self._hold(request.intent, None, request.why, at, record)

    def _end_hold(self, held: Held, outcome: HoldOutcome, why: str, at: int, record: Record) -> int:
        return record(ended(held.intent, self._present.ts, outcome, why), at, held.seq)

    def _release(self, _request: Release, at: int, record: Record) -> None:
        """Judge anew what the gate does not bar for the moment any more: it is sent, or refused, once."""
        for family in self.holds.ready():
            freed = [
                (fresh(each.intent, self._present.ts), self._end_hold(each, "released", "", at, record))
                for each in family
            ]
            (first, seq), *others = freed
            exits = [(i, n) for i, n in others if isinstance(i, OrderIntended) and i.parent == first.order]
            if isinstance(first, OrderIntended):
                legs = [intent for intent, _ in exits]
                verdict = self.gate.judge_bracket(first, legs) if legs else self.gate.judge(first)
                self._decide(first, verdict, seq, at, record)
                for intent, number in exits:
                    self._decide_exit(intent, verdict, number, at, record)
            for change, number in freed:
                if isinstance(change, ModifyIntended):
                    self._decide_change(change, number, at, record)

    def lapse(self, record: Record, why: str, *, tell: bool = True) -> None:
        """End what is held: nothing is kept for another session, nor from one that broke off."""
        at, known = self._present.seq, len(self.holds)
        for each in self.holds.all():
            self._end_hold(each, "expired", why, at, record)
            if tell:
                self._tell(each.intent.order)
        left = [] if known or self.gate.free else self._orders.held()
        for order, version in left:
            if order.account == self._account:
                record(lapsed(order, version, self._present.ts, why), at, None)
                if tell:
                    self._tell(order.id)

    def _closing(self, request: Closing, at: int, record: Record) -> None:
        intent = request.intent
        who = (intent.account, intent.strategy, intent.instrument)
        verdict = RiskApproved(intent.ts, intent.order, 1, *who, PROFILE)
        self._decide(intent, verdict, record(intent, at, None), at, record)

    def _retry(self, request: OrderRetried, at: int, record: Record) -> None:
        seq = record(request, at, None)
        order = self._orders.get(request.order)
        assert order is not None
        again = intent_of(order, request.ts)
        self._decide(again, self.gate.judge(again), seq, at, record)

    def _cancel(self, request: CancelIntended, at: int, record: Record) -> None:
        known = self._orders.get(request.order)
        if known is None or known.strategy != request.strategy:
            record(no_cancel(request, known), at, None)
            return
        seq = record(request, at, None)
        self.retries.forget(request.order)
        if not known.working:
            return  # nothing to withdraw any more; the intent stays on record
        for each in self.holds.take(request.order):
            self._end_hold(each, "cancelled", request.reason, at, record)
            if each.intent.order != request.order:
                self._tell(each.intent.order)
        if known.state == HELD:
            self._tell(request.order)
            return
        self.holds.unwanted(request.order)
        who = (request.account, request.strategy, request.instrument)
        cancel = CancelSendStarted(request.ts, request.order, *who)
        self.effects.append(Effect(record(cancel, at, seq), request))
