"""What the broker says, and what follows from it: messages become events, some ask for an act.

The middle layer of the client: it is told messages in the order in which they came. Ticks take the short way;
orders and data are told to those who know them. It never waits, and what it wants to send it only offers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from adapters.ibkr.lifecycle import Lifecycle
from adapters.ibkr.link.notices import Act, Meaning, is_cut
from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.wire.messages import (
    AccountValue,
    BadFrame,
    ContractDetails,
    ContractDetailsEnd,
    CurrentTime,
    ErrorMessage,
    HistoricalBars,
    HistoricalEnd,
    ManagedAccounts,
    MarketRule,
    Message,
    NextValidId,
    OrderStatus,
)
from core.clock import SECOND_NS
from core.events import AccountReported, ConnectionChanged, Event, FrameRejected

_ACCOUNT_KEYS = frozenset(
    ("NetLiquidation", "TotalCashBalance", "BuyingPower", "AvailableFunds", "MaintMarginReq")
)
_MILLIS_VERSION = 197
_SKEW_MOVED_MS = 1000
COMPETING_RETRY_NS = 60 * SECOND_NS


class Dialogue(Lifecycle):
    """A client that listens."""

    def _translated(self, frames: Sequence[bytes]) -> list[Event]:
        return self._told(self._connection.codec.decode(frames))

    def _told(self, messages: Sequence[Message]) -> list[Event]:
        """Return what messages say, in order. Ticks take the short way: nothing else hears of them."""
        events: list[Event] = []
        ticks, emit, ts = self._data.ticks, events.append, self.now
        if self._data.bars_over(ts):
            self._finish_bars(messages, ts, emit)
        for message in messages:
            tick = ticks.get(type(message))
            if tick is not None:
                tick(message, ts, emit)
                continue
            events += self._events(message)
            if not self._connection.is_open():
                break  # a message ended the connection: what follows is of no session any more
        return events

    def _finish_bars(self, messages: Sequence[Message], ts: int, emit: Callable[[Event], None]) -> None:
        """Tell the bars that are over, unless it turns out that not all of them was heard."""
        cut = next((m for m in messages if type(m) is ErrorMessage and is_cut(m.code)), None)
        if cut is not None:
            self._data.cut_off(cut.text)
        self._data.finish_bars(ts, emit)

    def _events(self, message: Message) -> list[Event]:
        if not self._reminders.answered(message):
            self._recovery.feed(message)
        ts = self.now
        said = list(self._channel.events(message, ts))
        for event in said:
            self._reminders.executed(event, ts)
        events = [*self._data.events(message, ts), *said]
        own = _OWN.get(type(message))
        if own is not None:
            events += own(self, message, ts)
        return events

    # -- messages of its own -------------------------------------------------------------------

    def _accounts_known(self, said: ManagedAccounts, _ts: int) -> list[Event]:
        self._accounts = said.accounts
        return []

    def _id_offered(self, said: NextValidId, _ts: int) -> list[Event]:
        self._offered = said.order_id
        self._channel.out.offered(said.order_id)
        return []

    def _time_told(self, said: CurrentTime, ts: int) -> list[Event]:
        if self.settings.lock_step:
            self._lock_step.told(said.time_ms)
            return []
        connection = self._connection
        whole = connection.codec.server_version < _MILLIS_VERSION
        pong = connection.heartbeat.answered(
            self._monotonic(), self._clock(), said.time_ms, whole_seconds=whole
        )
        if pong is None or not self._begun or self._skew_ms is None:
            return []
        moved_ms = abs(pong.skew_ms - self._skew_ms)
        return self._skew(pong, ts) if moved_ms > _SKEW_MOVED_MS + pong.round_trip_ms // 2 else []

    def _status_told(self, said: OrderStatus, ts: int) -> list[Event]:
        self._reminders.status(said, ts)
        return []

    def _details(self, said: ContractDetails, _ts: int) -> list[Event]:
        self._contracts.details(said)
        return []

    def _details_end(self, said: ContractDetailsEnd, ts: int) -> list[Event]:
        return self._resolved(said.req_id, ts)

    def _resolved(self, req_id: int | None, ts: int) -> list[Event]:
        """Tell which contract the broker's answers mean; one that is in doubt gets no data."""
        asked = self._contracts.asking
        return self._contracted(self._contracts.end(req_id, ts), asked=asked)

    def _contracted(self, told: list[Event], *, asked: bool) -> list[Event]:
        """Ask what follows from answers about contracts; once nothing is open any more, ask for data."""
        requests = self._connection.codec.requests
        for request in self._contracts.questions(requests, self._monotonic()):
            self._sending.offer(Lane.RECOVERY, request)
        over = asked and not self._contracts.asking
        return [*told, *self._subscribed()] if self.ready and (told or over) else told

    def _rule_told(self, said: MarketRule, ts: int) -> list[Event]:
        asked = self._contracts.asking
        return self._contracted(self._contracts.told(said, ts), asked=asked)

    def _account_value(self, said: AccountValue, ts: int) -> list[Event]:
        if said.account not in ("", self.account):
            return []  # its base may be another one, and its rates then lead elsewhere
        rates = self._rates.events(said, ts)
        if said.key not in _ACCOUNT_KEYS or self._said.get(said.key + said.currency) == said.value:
            return rates
        self._said[said.key + said.currency] = said.value
        return [*rates, AccountReported(ts, said.account, said.key, said.currency, said.value)]

    def _bad_frame(self, said: BadFrame, ts: int) -> list[Event]:
        return [FrameRejected(ts, said.message_id, said.reason, said.raw[:4096].hex())]

    def _past_told(self, said: HistoricalBars | HistoricalEnd | ErrorMessage, ts: int) -> list[Event]:
        return self._data.backfill.heard(said, ts, self._monotonic())

    def _error(self, said: ErrorMessage, ts: int) -> list[Event]:
        unresolved = self._resolved(said.req_id, ts)
        order = self._channel.speaks_of(said.req_id)
        instrument = self._data.speaks_of(said.req_id)
        meaning = self._notices.meaning(said, order, instrument, ts, self._monotonic())
        act = _ACTS.get(meaning.act)
        told = [*meaning.events, *unresolved, *self._past_told(said, ts)]
        return [*told, *(act(self, meaning, said.code) if act is not None else ())]

    # -- what a message of the broker asks for ---------------------------------------------------

    def _look(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._start_look(meaning.why) if self.ready else []

    def _upstream_lost(self, meaning: Meaning, code: int) -> list[Event]:
        news = self._connection.upstream(lost=True, why=meaning.why)
        self._data.cut_off(meaning.why)
        return [ConnectionChanged(self.now, "upstream_down", code, meaning.why)] if news else []

    def _upstream_back(self, meaning: Meaning, code: int) -> list[Event]:
        self._connection.upstream(lost=False, why=meaning.why)
        state = "data_lost" if code == 1101 else "upstream_up"
        self._lines_lost = self._lines_lost or code == 1101
        told = ConnectionChanged(self.now, state, code, meaning.why)  # type: ignore[arg-type]
        missed = [] if self._lines_lost else self._data.restored(self.now)
        return [told, *missed, *(self._start_look(f"{code}: {meaning.why}") if self._begun else ())]

    def _drop(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._dropped(self._connection.drop(meaning.why), meaning.why)

    def _id_in_use(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._dropped(self._connection.drop(meaning.why, "id_in_use"), meaning.why)

    def _read_only(self, meaning: Meaning, _code: int) -> list[Event]:
        if self._observing:
            return []
        self._observing = meaning.why
        return self._observe() if self._begun else []

    def _slower(self, _meaning: Meaning, _code: int) -> list[Event]:
        self._sending.slower()
        return []

    def _doubt_data(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._data.doubt(meaning.why, self.now)

    def _renew_data(self, _meaning: Meaning, _code: int) -> list[Event]:
        self._renew_ns = self._monotonic()
        return []

    def _competing(self, _meaning: Meaning, _code: int) -> list[Event]:
        self._renew_ns = min(self._renew_ns, self._monotonic() + COMPETING_RETRY_NS)
        return []


_ACTS: dict[Act, Callable[[Dialogue, Meaning, int], list[Event]]] = {
    "look": Dialogue._look,
    "upstream_lost": Dialogue._upstream_lost,
    "upstream_back": Dialogue._upstream_back,
    "data_lost": Dialogue._upstream_back,
    "drop": Dialogue._drop,
    "id_in_use": Dialogue._id_in_use,
    "read_only": Dialogue._read_only,
    "slower": Dialogue._slower,
    "doubt_data": Dialogue._doubt_data,
    "renew_data": Dialogue._renew_data,
    "competing": Dialogue._competing,
}

_OWN: dict[type[Message], Callable[[Dialogue, Any, int], list[Event]]] = {
    ManagedAccounts: Dialogue._accounts_known,
    MarketRule: Dialogue._rule_told,
    NextValidId: Dialogue._id_offered,
    CurrentTime: Dialogue._time_told,
    OrderStatus: Dialogue._status_told,
    ContractDetails: Dialogue._details,
    ContractDetailsEnd: Dialogue._details_end,
    AccountValue: Dialogue._account_value,
    BadFrame: Dialogue._bad_frame,
    HistoricalBars: Dialogue._past_told,
    HistoricalEnd: Dialogue._past_told,
    ErrorMessage: Dialogue._error,
}
