"""Risk verdicts: functions of an intent and of state, giving approval or refusal with numbers.

A refusal is an event, never an exception, and names rule, limit and value. Orders that reduce a
position always pass the limits. The profile `none` has no limits: it refuses only what is no order
at all (unknown instrument, quantity of zero, a price that is not one).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from core.errors import UnknownInstrument
from core.events import CancelIntended, ModifyIntended, OrderIntended, RiskApproved, RiskRefused
from core.money import ZERO, plain, price, written
from core.order_rules import QUANTITY_MAX, Refusal, bracket_defect, order_defect, version_defect
from core.plugged import PluginRaised
from core.risk.exposure import Case, UnknownRate
from core.risk.limits import Limits
from core.risk.margin import NoMargin
from core.risk.near import NEARLY
from core.risk.own import LoadedRule, rules_of
from core.risk.rules import Reading, Rule, active
from core.risk.state import Proposal, RiskState
from core.views import GateView, Order

Intent = OrderIntended | ModifyIntended
_Least = tuple[str, Reading]
_Found = Refusal | _Least | None
"""Why not, or the reading of the rule that has least left; `None` if no rule was asked."""
GATE = "gate"
"""The rule of a verdict that says: nothing may leave."""


class RiskGate:
    """Judge intents by the order checks and the configured limits, in a fixed order.

    `priced` names the instruments whose market data this session gets: an order in another one could
    never fill and is refused. `None` leaves that open. `gate` says, in live trading, whether orders may
    leave at all; a replay has none. `own` are the user's rules, asked last.
    """

    def __init__(
        self,
        limits: Limits,
        state: RiskState,
        priced: frozenset[str] | None = None,
        gate: GateView | None = None,
        own: Sequence[LoadedRule] = (),
    ) -> None:
        self._rules = [*active(limits), *rules_of(own)]
        self._asks = gate is not None or bool(self._rules)  # whether more than what is no order is refused
        self._state = state
        self._priced = priced
        self._gate = gate
        self._tradable: set[str] = set()  # instruments that were found to be defined and priced
        self.profile = limits.profile

    def judge(self, order: OrderIntended, entry_stop: Decimal | None = None) -> RiskApproved | RiskRefused:
        """Return the verdict on a new order; `entry_stop` is where its bracket's stop lies."""
        found: _Found = None
        # hot: most orders are at market, for the day, in an instrument that another was in before
        if not (
            order.instrument in self._tradable
            and order.type == "MKT"
            and order.tif == "DAY"
            and order.limit is None
            and order.stop is None
            and order.trail is None
            and order.trail_pct is None
            and order.good_till is None
            and ZERO < order.quantity <= QUANTITY_MAX
        ):
            found = self._check_instrument(order) or order_defect(order)
        if found is None:
            if not self._asks:  # hot: what `approve` returns
                return RiskApproved(
                    order.ts, order.order, 1, order.account, order.strategy, order.instrument, self.profile
                )
            found = self._ask(order, entry_stop)
        return self._verdict(order, 1, found)

    def judge_change(self, change: ModifyIntended) -> RiskApproved | RiskRefused:
        """Return the verdict on a new version of an order."""
        found: _Found = self._check_working(change) or self._check_instrument(change)
        if found is None and self._asks:
            found = self._ask(change, None)
        return self._verdict(change, change.version, found)

    def judge_bracket(
        self, parent: OrderIntended, children: Sequence[OrderIntended]
    ) -> RiskApproved | RiskRefused:
        """Return the verdict on a bracket's parent, in the light of its children.

        The children share it: they only reduce what the parent builds up.
        """
        mark = self._state.quotes.mark(parent.instrument) if parent.type == "MKT" else None
        defect = bracket_defect(parent, children, None if mark is None else price(mark))
        if defect is not None:
            return refused(parent, defect)
        return self.judge(parent, next((c.stop for c in children if c.stop is not None), None))

    def approve(self, order: OrderIntended) -> RiskApproved:
        """Return the approval of an order that no limit is asked about."""
        who = (order.account, order.strategy, order.instrument)
        return RiskApproved(order.ts, order.order, 1, *who, self.profile)

    @property
    def free(self) -> bool:
        """Whether there is no gate that could be closed, as in a replay."""
        return self._gate is None

    def passing(self, intent: Intent) -> str:
        """Return what bars an intent for the moment only; empty if nothing does, or if it is for good."""
        return (self._gate.passing(intent.instrument) or "") if self._gate is not None else ""

    def waits(self, intent: Intent) -> bool:
        """Return whether an intent that is held has to wait on.

        After an outage data come later than the books are compared: what adds to a position waits for them.
        """
        gate, name = self._gate, intent.instrument
        if gate is None or gate.passing(name) is not None:
            return gate is not None
        known = isinstance(intent, OrderIntended) or self._state.orders.get(intent.order) is not None
        adds = known and gate.closed(name) is None and gate.entries_closed(name) is not None
        return adds and not self._reduces(intent)

    def _ask(self, intent: Intent, entry_stop: Decimal | None) -> _Found:
        """Return what the gate and the limits say of what is an order by itself."""
        refusal = None if self._gate is None else self._check_gate(intent, self._gate)
        return self._check_limits(intent, entry_stop) if refusal is None and self._rules else refusal

    def _verdict(self, intent: Intent, version: int, found: _Found) -> RiskApproved | RiskRefused:
        """Return the verdict that was found, an approval with the numbers of the rule that has least left."""
        if isinstance(found, Refusal):
            return refused(intent, found)
        numbers = () if found is None else (found[0], *_numbers(found[1]))
        who = (intent.account, intent.strategy, intent.instrument)
        return RiskApproved(intent.ts, intent.order, version, *who, self.profile, *numbers)

    def _check_gate(self, intent: Intent, gate: GateView) -> Refusal | None:
        why = gate.closed(intent.instrument)
        if why is None and not self._reduces(intent):
            why = gate.entries_closed(intent.instrument)
        return None if why is None else Refusal(GATE, "open", "closed", why)

    def _reduces(self, intent: Intent) -> bool:
        proposal = Proposal.of(intent, self._state.orders)
        if proposal.exits_only:
            return True
        held = self._state.positions.position(proposal.account, proposal.instrument).quantity
        return held * proposal.signed < 0 and abs(proposal.signed) <= abs(held)

    def _check_instrument(self, intent: Intent) -> Refusal | None:
        name = intent.instrument
        if name in self._tradable:
            return None
        try:
            self._state.instruments.instrument(name)
        except UnknownInstrument as error:
            return Refusal("instrument", "a defined instrument", name, str(error))
        if self._priced is None or name in self._priced:
            self._tradable.add(name)
            return None
        message = f"no strategy subscribes to {name}, so it has no prices in this session"
        return Refusal("instrument", "an instrument with prices", name, message)

    def _check_working(self, intent: ModifyIntended) -> Refusal | None:
        order = self._state.orders.get(intent.order)
        if order is None:
            return Refusal(
                "order", "a working order", "unknown", f"{intent.order} is unknown: nothing to modify"
            )
        if order.strategy != intent.strategy:
            message = f"{intent.order} is not an order of {intent.strategy}"
            return Refusal("order", f"of {intent.strategy}", f"of {order.strategy or 'another'}", message)
        # The larger version is folded already: a filled order looks open again.
        filled = bool(order.filled) and self._state.orders.was_filled(intent.order, intent.version)
        if order.working and not filled:
            return version_defect(intent, order)
        state = "Filled" if filled else order.state
        how = f" ({plain(order.filled)} filled)" if order.filled else ""
        message = f"{intent.order} is {state}{how}: nothing to modify"
        return Refusal("order", "a working order", state, message)

    def _case(self, intent: Intent, entry_stop: Decimal | None) -> Case | None:
        """Return the case that the rules are asked about; `None` for what only reduces."""
        state, account = self._state, intent.account
        entering = state.orders.entering(account, intent.order)
        own = state.positions.quantity(intent.instrument, None, account)
        if own and not entering and type(intent) is OrderIntended and _closes(intent, own):
            return None  # what `case.reduces` would say, before anything else is worked out
        proposal = Proposal.of(intent, state.orders)
        if proposal.exits_only or proposal.quantity <= ZERO:
            return None
        case = Case(proposal, state, entering, own, entry_stop)
        return None if case.reduces else case

    def _check_limits(self, intent: Intent, entry_stop: Decimal | None) -> _Found:
        case = self._case(intent, entry_stop)
        if case is None:
            return None
        equity = case.equity
        if equity is None or equity <= ZERO or case.price is None:
            message = "equity or price is unknown: entries are refused"
            return Refusal("equity", "known and positive", str(equity), message)
        tightest: tuple[Rule, Any] | None = None
        most = -1.0
        try:
            for rule, cap in self._rules:
                near = rule.near
                used = NEARLY if near is None else near(case, cap)
                if used >= NEARLY:
                    reading = rule.read(case, cap)
                    if reading is not None and reading.broken:
                        return _broken(case, rule, reading)
                    used = -1.0 if reading is None else reading.used
                if used > most:
                    most, tightest = used, (rule, cap)
            return None if tightest is None else _least(case, *tightest)
        except PluginRaised as error:
            message = f"rule {rule.name} {error}: entries are refused"
            return Refusal(rule.name, written(Decimal(repr(cap))), "unknown", message)
        except (NoMargin, UnknownRate) as error:
            return _unjudged(error)


def _closes(intent: OrderIntended, own: Decimal) -> bool:
    """Return whether a new order only reduces a holding, if nothing else is on its way."""
    return (intent.side == "SELL") == (own > ZERO) and intent.quantity <= own.copy_abs()


def _broken(case: Case, rule: Rule, reading: Reading) -> Refusal:
    limit, value, headroom = _numbers(reading)
    return Refusal(rule.name, limit, value, rule.words(case, reading), headroom)


def _least(case: Case, rule: Rule, cap: Any) -> _Least | None:
    reading = rule.read(case, cap)
    return None if reading is None else (rule.name, reading)


def _unjudged(error: NoMargin | UnknownRate) -> Refusal:
    """Return the refusal of an entry that rules have no numbers for."""
    if isinstance(error, NoMargin):
        return Refusal("margin", "a margin", "none", str(error))
    return Refusal("currency", "a known rate", error.held, f"{error}: entries are refused")


def _numbers(reading: Reading) -> tuple[str, str, str]:
    return written(reading.limit), written(reading.value), written(reading.headroom)


def no_cancel(cancel: CancelIntended, known: Order | None) -> RiskRefused:
    """Return the refusal of a cancel of what is no order of the strategy's; its version is 0."""
    state = "unknown" if known is None else f"of {known.strategy or 'another'}"
    text = f"{cancel.order} is {state}: nothing of {cancel.strategy} to cancel ({cancel.reason})"
    who = (cancel.account, cancel.strategy, cancel.instrument)
    return RiskRefused(cancel.ts, cancel.order, 0, *who, "order", f"of {cancel.strategy}", state, text)


def refused(intent: Intent, why: Refusal) -> RiskRefused:
    """Return the refusal of an intent as an event."""
    version = intent.version if type(intent) is ModifyIntended else 1
    who = (intent.account, intent.strategy, intent.instrument)
    return RiskRefused(
        intent.ts, intent.order, version, *who, why.rule, why.limit, why.value, why.message, why.headroom
    )
