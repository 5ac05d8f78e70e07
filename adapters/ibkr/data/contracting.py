"""Which contracts a session's instruments are, where the log does not know the broker's id of them.

Owns the questions that are open and what is wanted; the answers are judged in `resolving.py`, and the steps
of prices are `market_rules.py`'s. A contract that is in doubt gets no data. It sends nothing itself: the
requests are for the caller.
"""

from collections.abc import Callable, Sequence

from adapters.ibkr.data.market_rules import ANSWER_S, MarketRules
from adapters.ibkr.data.resolving import Unresolved, confirmed
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import ContractDetails, MarketRule
from core.clock import SECOND_NS
from core.events import DataStateChanged, Event, InstrumentDefined


class Contracting:
    """The instruments that are `wanted`, and the questions about them."""

    def __init__(self) -> None:
        self.wanted: Sequence[InstrumentDefined] = ()
        self._open: dict[int, tuple[InstrumentDefined, list[ContractDetails]]] = {}
        self._until_ns = 0
        self.rules = MarketRules()

    @property
    def open(self) -> bool:
        """Whether it is open which contract an instrument is."""
        return any(one.con_id is None for one, _ in self._open.values())

    @property
    def asking(self) -> bool:
        """Whether an answer is awaited, of contracts or of the steps of their prices."""
        return bool(self._open) or self.rules.open

    @property
    def known(self) -> list[InstrumentDefined]:
        """What is wanted and has an id of the broker."""
        return [each for each in self.wanted if each.con_id is not None]

    def ask(self, requests: Encoder, take_id: Callable[[], int], now_ns: int) -> list[bytes]:
        """Return the questions about what has no id of the broker yet, or steps not heard of yet."""
        out: list[bytes] = []
        self._until_ns = now_ns + round(ANSWER_S * SECOND_NS)
        for instrument in self.wanted:
            if instrument.con_id is None or instrument.instrument not in self.rules.settled:
                req_id = take_id()
                self._open[req_id] = (instrument, [])
                out.append(requests.req_contract_details(req_id, contract_of(instrument)))
        return out

    def drop(self) -> None:
        """Forget the questions: the connection is gone."""
        self._open.clear()
        self.rules.drop()

    def details(self, said: ContractDetails) -> None:
        """Keep one answer."""
        asked = self._open.get(said.req_id or 0)
        if asked is not None:
            asked[1].append(said)

    def questions(self, requests: Encoder, now_ns: int) -> list[bytes]:
        """Return the questions about steps, once all contracts are told: the order stays the same."""
        return [] if self._open else self.rules.ask(requests, now_ns)

    def told(self, said: MarketRule, ts: int) -> list[Event]:
        """Return the instruments whose prices go in other steps than was known."""
        return self._renewed(self.rules.told(said, ts))

    def overdue(self, ts: int, now_ns: int) -> list[Event]:
        """Return what is told of steps that did not come in time."""
        told = self.rules.overdue(ts, now_ns)
        if self._open and now_ns >= self._until_ns:
            for req_id, (instrument, _) in list(self._open.items()):
                if instrument.con_id is not None:
                    del self._open[req_id]
                    told += self.rules.named(instrument, (), ts)
        return told

    def _renewed(self, events: list[Event]) -> list[Event]:
        found = {e.instrument: e for e in events if isinstance(e, InstrumentDefined)}
        self.wanted = [found.get(each.instrument, each) for each in self.wanted]
        return events

    def end(self, req_id: int | None, ts: int) -> list[Event]:
        """Return which contract the answers to a question mean; nothing if there is no such question."""
        asked = self._open.pop(req_id or 0, None)
        if asked is None:
            return []
        known, answers = asked
        if known.con_id is not None:
            return self._renewed(self.rules.named(known, answers, ts))
        found = confirmed(known, answers, ts)
        if isinstance(found, Unresolved):
            return [DataStateChanged(ts, found.name, "refused", found.text)]
        return self._renewed([found, *self.rules.named(found, answers, ts)])
