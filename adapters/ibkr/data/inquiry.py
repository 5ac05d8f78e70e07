"""Questions to the broker, one at a time: contracts and history, on a connection of their own.

For what is asked before a session or without one. Each question waits for its answer, a refusal, or its time
limit. It subscribes to nothing, trades nothing, and never asks again what was refused. A preview is an order
that the broker only computes: it is marked so in the one place that makes it.
"""

import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from adapters.ibkr.data.bars import Ask
from adapters.ibkr.data.historypace import HistoryPace
from adapters.ibkr.trading.orders import NOT_THERE
from adapters.ibkr.wire.codec import Codec, open_session
from adapters.ibkr.wire.messages import (
    ContractDetails,
    ContractDetailsEnd,
    CurrentTime,
    ErrorMessage,
    HistoricalBar,
    HistoricalBars,
    HistoricalEnd,
    ManagedAccounts,
    Message,
    NextValidId,
    OpenOrder,
)
from adapters.ibkr.wire.terms import Contract, OrderState, OrderTerms
from adapters.ibkr.wire.transport import TimeLimits, Transport
from core.clock import SECOND_NS
from core.errors import BrokerUnreachable, RequestRefused

ANSWER_S = 60.0
START_S = 10.0
PREVIEW_S = 10.0
_CLIENT_ID_TAKEN = 326
_NO_CONTRACT, _NO_DATA = 200, 162
_NOTHING, _TOO_FAST = "no data", "pacing violation"
PACE_TRIES, PACE_PAUSE_S = 4, 60.0
"""How often a request is put that comes too fast by the broker's count, and the pause between."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker listens, and as which client to ask."""

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 1
    limits: TimeLimits = TimeLimits()


class Inquiry:
    """An open connection for questions; make one with `inquire`."""

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        *,
        monotonic: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._monotonic = monotonic
        self._sleep = sleep
        self._idle = idle
        self._pace = HistoryPace()
        self._last_id = 0
        self.accounts: tuple[str, ...] = ()
        self._selector = selectors.DefaultSelector()
        self._selector.register(transport, selectors.EVENT_READ)

    def started(self) -> None:
        """Wait until the broker has said who we are; raises `BrokerUnreachable` if it does not."""
        accounts = offered = False
        for said in self._heard(START_S, "it did not name accounts and the next order id"):
            accounts = accounts or isinstance(said, ManagedAccounts)
            offered = offered or isinstance(said, NextValidId)
            if isinstance(said, ManagedAccounts):
                self.accounts = said.accounts
            if isinstance(said, NextValidId):
                self._last_id = max(self._last_id, said.order_id)
            if isinstance(said, ErrorMessage) and said.code == _CLIENT_ID_TAKEN:
                raise BrokerUnreachable(f"{said.text}; end the other program, or use another client_id")
            if accounts and offered:
                return

    def now(self) -> int:
        """Return the broker's time, ns UTC, to the second."""
        self._transport.send(self._codec.requests.req_current_time())
        for said in self._heard(START_S, "it did not tell the time"):
            if isinstance(said, CurrentTime):
                return said.time_ms * 1_000_000
        raise AssertionError("_heard ends by raising")

    def details(self, contract: Contract) -> list[ContractDetails]:
        """Return all contracts that match; none if the broker knows none."""
        req_id = self._next_id()
        request = self._codec.requests.req_contract_details(req_id, contract)
        try:
            answer = self._answer(req_id, request, ContractDetailsEnd)
        except RequestRefused as refused:
            if refused.code == _NO_CONTRACT:
                return []
            raise
        return [said for said in answer if isinstance(said, ContractDetails)]

    def bars(self, contract: Contract, ask: Ask) -> list[HistoricalBar]:
        """Return the bars of a request, oldest first, when the broker's pace allows; none if it has none.

        A request that the broker calls too fast all the same is put again after a pause, a few times.
        """
        for tries_left in reversed(range(PACE_TRIES)):
            self._wait_for(contract, ask)
            try:
                return self._bars(contract, ask)
            except RequestRefused as refused:
                if refused.code != _NO_DATA:
                    raise
                words = str(refused).lower()
                if _NOTHING in words:
                    return []
                if _TOO_FAST not in words or not tries_left:
                    raise
            self._pause(PACE_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    def _bars(self, contract: Contract, ask: Ask) -> list[HistoricalBar]:
        req_id = self._next_id()
        request = self._codec.requests.req_historical_data(
            req_id,
            contract,
            end=ask.until,
            duration=ask.duration,
            bar_size=ask.size.asked,
            what=ask.what,
            regular_hours=ask.regular_hours,
        )
        answer = self._answer(req_id, request, HistoricalEnd)
        return [bar for said in answer if isinstance(said, HistoricalBars) for bar in said.bars]

    def preview(self, contract: Contract, terms: OrderTerms) -> OrderState:
        """Return what an order would change in margins, and what it would cost; nothing is ordered.

        The broker answers twice, first without figures. Raises `RequestRefused` for an order that it would
        refuse.
        """
        order_id = self._next_id()
        asked = msgspec.structs.replace(terms, what_if=True)
        self._transport.send(self._codec.requests.place_order(order_id, contract, asked))
        for said in self._heard(PREVIEW_S, "it did not answer a preview"):
            if isinstance(said, ErrorMessage) and said.req_id == order_id and said.code in NOT_THERE:
                raise RequestRefused(
                    f"the broker would refuse this order: {said.text} (code {said.code})", said.code
                )
            if isinstance(said, OpenOrder) and said.terms.what_if and said.terms.order_id == order_id:
                if said.state.reject_reason:
                    raise RequestRefused(
                        f"the broker would refuse this order: {said.state.reject_reason}", 201
                    )
                if said.state.change.initial is not None:
                    return said.state
        raise AssertionError("_heard ends by raising")

    def _wait_for(self, contract: Contract, ask: Ask) -> None:
        key = (contract, ask)
        who = contract.con_id or contract
        free = self._pace.free_ns(key, who, ask.what, ask.size.seconds)
        self._pause((free - self._monotonic()) / SECOND_NS)
        self._pace.asked(key, who, ask.what, ask.size.seconds, self._monotonic())

    def _pause(self, seconds: float) -> None:
        until = self._monotonic() + round(seconds * SECOND_NS)
        while (left := until - self._monotonic()) > 0:
            self._idle()
            self._sleep(min(left / SECOND_NS, 0.5))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _answer(self, req_id: int, request: bytes, end: type[Message]) -> list[Message]:
        self._transport.send(request)
        answer: list[Message] = []
        for said in self._heard(ANSWER_S, "it did not answer a request"):
            about: Any = getattr(said, "req_id", None)
            if about != req_id:
                continue
            if isinstance(said, ErrorMessage):
                raise RequestRefused(
                    f"the broker refused a request: {said.text} (code {said.code})", said.code
                )
            if isinstance(said, end):
                return answer
            answer.append(said)
        raise AssertionError("_heard ends by raising")

    def _heard(self, limit_s: float, missing: str) -> Iterator[Message]:
        """Yield messages as they come; raises `BrokerUnreachable` at the time limit."""
        deadline = self._monotonic() + round(limit_s * SECOND_NS)
        while True:
            yield from self._codec.decode(self._transport.read())
            self._idle()
            if self._monotonic() > deadline:
                raise BrokerUnreachable(f"the broker is connected, but {missing} within {limit_s:g} s")
            self._selector.select(0.2)

    def close(self) -> None:
        """End the connection."""
        self._selector.close()
        self._transport.close()


@contextmanager
def inquire(place: Place, idle: Callable[[], None] = lambda: None) -> Iterator[Inquiry]:
    """Connect to ask; `idle` is called while waiting. Raises `BrokerUnreachable`."""
    transport, codec = open_session(place.host, place.port, place.client_id, limits=place.limits)
    inquiry = Inquiry(transport, codec, idle=idle)
    try:
        inquiry.started()
        yield inquiry
    finally:
        inquiry.close()
