"""The broker's market rules: in which steps the prices of a session's instruments go.

Contract details name a rule for each exchange of a contract; that of the exchange that orders go to counts.
Each is asked for once a session. The broker answers at once or never, so nothing is waited for longer than
`ANSWER_S`: then what the log knows stands, which is told. It sends nothing itself.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import ContractDetails, MarketRule
from core.clock import SECOND_NS
from core.events import BrokerMessage, Event, InstrumentDefined
from core.money import plain
from core.price_steps import parse_steps, steps_of, steps_text

ANSWER_S = 5.0
OWN_NOTICE = 0
"""The code of a message that is ours: of what the broker did not say."""


class MarketRules:
    """The rules of a session: which are known, which are asked for, and who waits for them."""

    def __init__(self) -> None:
        self._known: dict[int, MarketRule] = {}
        self._unasked: list[int] = []
        self._until: dict[int, int] = {}  # when an answer that is awaited comes no more, monotonic ns
        self._waiting: dict[str, tuple[InstrumentDefined, int]] = {}
        self._given_up: dict[int, list[InstrumentDefined]] = {}
        self.settled: set[str] = set()
        """The instruments of which all is known, or was given up and told."""

    @property
    def open(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._waiting)

    def drop(self) -> None:
        """Forget the questions: the connection is gone."""
        self._unasked, self._until, self._waiting = [], {}, {}

    def named(
        self, instrument: InstrumentDefined, answers: Sequence[ContractDetails], ts: int
    ) -> list[Event]:
        """Take note of the rule that the details of an instrument name; return what follows at once."""
        details = next((a for a in answers if a.contract.con_id == instrument.con_id), None)
        rule = None if details is None else rule_of(details, contract_of(instrument).exchange)
        if rule is None:
            self.settled.add(instrument.instrument)
            said = details is None or details.market_rules
            return [self._unknown(instrument, "the broker names no market rule for it", ts)] if said else []
        if rule in self._known:
            return self._defined(instrument, self._known[rule], ts)
        self._waiting[instrument.instrument] = (instrument, rule)
        if rule not in self._until and rule not in self._unasked:
            self._unasked.append(rule)
        return []

    def ask(self, requests: Encoder, now_ns: int) -> list[bytes]:
        """Return the questions that have not been put yet."""
        rules, self._unasked = self._unasked, []
        for rule in rules:
            self._until[rule] = now_ns + round(ANSWER_S * SECOND_NS)
        return [requests.req_market_rule(rule) for rule in rules]

    def told(self, said: MarketRule, ts: int) -> list[Event]:
        """Return the instruments that an answer defines anew."""
        self._known[said.rule] = said
        found = [*self._given_up.pop(said.rule, ()), *self._taken(said.rule)]
        return [e for one in found for e in self._defined(one, said, ts)]

    def overdue(self, ts: int, now_ns: int) -> list[Event]:
        """Return what is told of instruments whose rule was not answered in time."""
        late = [rule for rule, until in self._until.items() if now_ns >= until]
        why = f"the broker did not answer within {ANSWER_S:g} s"
        found = [(one, rule) for rule in late for one in self._taken(rule)]
        for one, rule in found:
            self.settled.add(one.instrument)
            self._given_up.setdefault(rule, []).append(one)  # an answer that comes later counts all the same
        return [self._unknown(one, f"market rule {rule}: {why}", ts) for one, rule in found]

    def _taken(self, rule: int) -> list[InstrumentDefined]:
        self._until.pop(rule, None)
        found = [one for one, of in self._waiting.values() if of == rule]
        for one in found:
            del self._waiting[one.instrument]
        return found

    def _defined(self, instrument: InstrumentDefined, said: MarketRule, ts: int) -> list[Event]:
        self.settled.add(instrument.instrument)
        try:
            text = steps_text(said.steps)
        except ValueError as error:
            return [self._unknown(instrument, f"market rule {said.rule}: {error}", ts)]
        if parse_steps(text) == steps_of(replace(instrument, price_steps="")).pairs:
            text = ""  # the tick size says it all
        return [] if text == instrument.price_steps else [replace(instrument, ts=ts, price_steps=text)]

    @staticmethod
    def _unknown(instrument: InstrumentDefined, why: str, ts: int) -> Event:
        known = instrument.price_steps or plain(instrument.tick_size)
        text = f"{instrument.instrument}: {why}; prices are rounded to {known}, and may be refused (110)"
        return BrokerMessage(ts, OWN_NOTICE, "warning", text, instrument=instrument.instrument)


def rule_of(details: ContractDetails, exchange: str) -> int | None:
    """Return the rule of an exchange, or that of all if there is only one; `None` if it is not told."""
    rules = [rule.strip() for rule in details.market_rules.split(",")]
    by_exchange = dict(zip(details.exchanges.split(","), rules, strict=False))
    rule = by_exchange.get(exchange, rules[0] if len(set(rules)) == 1 else "")
    return int(rule) if rule.isdecimal() else None
