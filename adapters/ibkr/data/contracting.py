"""Which contracts a session's instruments are, where the log does not know the broker's id of them.

Owns the questions that are open and what is wanted; the answers are judged in `resolving.py`. A contract that
is in doubt gets no data. It sends nothing itself: the requests are for the caller.
"""

from collections.abc import Callable, Sequence

from adapters.ibkr.data.resolving import Unresolved, confirmed
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import ContractDetails
from core.events import DataStateChanged, Event, InstrumentDefined


class Contracting:
    """The instruments that are `wanted`, and the questions about them."""

    def __init__(self) -> None:
        self.wanted: Sequence[InstrumentDefined] = ()
        self._open: dict[int, tuple[InstrumentDefined, list[ContractDetails]]] = {}

    @property
    def open(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._open)

    @property
    def known(self) -> list[InstrumentDefined]:
        """What is wanted and has an id of the broker."""
        return [each for each in self.wanted if each.con_id is not None]

    def ask(self, requests: Encoder, take_id: Callable[[], int]) -> list[bytes]:
        """Return the questions about what has no id of the broker yet."""
        out: list[bytes] = []
        for instrument in self.wanted:
            if instrument.con_id is None:
                req_id = take_id()
                self._open[req_id] = (instrument, [])
                out.append(requests.req_contract_details(req_id, contract_of(instrument)))
        return out

    def drop(self) -> None:
        """Forget the questions: the connection is gone."""
        self._open.clear()

    def details(self, said: ContractDetails) -> None:
        """Keep one answer."""
        asked = self._open.get(said.req_id or 0)
        if asked is not None:
            asked[1].append(said)

    def end(self, req_id: int | None, ts: int) -> list[Event]:
        """Return which contract the answers to a question mean; nothing if there is no such question."""
        asked = self._open.pop(req_id or 0, None)
        if asked is None:
            return []
        found = confirmed(asked[0], asked[1], ts)
        if isinstance(found, Unresolved):
            return [DataStateChanged(ts, found.name, "refused", found.text)]
        self.wanted = [found if each.instrument == found.instrument else each for each in self.wanted]
        return [found]
