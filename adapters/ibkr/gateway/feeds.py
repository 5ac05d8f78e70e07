"""Market data on the wire: what a client subscribed to, told as ticks when prices change.

A quote of one venue changes the best price of a side or does not; only changes are told. A side that shows
nothing is price -1 and size 0. Delayed data use their own tick types. Reads prices from the quotes, keeps
each instrument's archive, and never decides what a price is.
"""

from collections.abc import Callable

import msgspec

from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.archive import Archive, Best
from adapters.ibkr.gateway.clients import Client, Stream
from adapters.ibkr.gateway.contracts import Contract
from core.clock import SECOND_NS
from core.events import Bar, Event, HaltChanged, Quote, QuoteBar, Trade
from projections.quotes import Quotes

BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE, HIGH, LOW, VOLUME, CLOSE, OPEN = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    14,
)
LAST_TIMESTAMP, RT_VOLUME, HALTED = 45, 48, 49
_BOTH, _MIDDLE = -1, -2  # no types of ticks: what a tick-by-tick stream showed last
_DELAYED = {
    BID: 66,
    ASK: 67,
    LAST: 68,
    BID_SIZE: 69,
    ASK_SIZE: 70,
    LAST_SIZE: 71,
    HIGH: 72,
    LOW: 73,
    VOLUME: 74,
    CLOSE: 75,
    OPEN: 76,
    LAST_TIMESTAMP: 88,
    HALTED: 90,
}
TICK_BY_TICK = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}


class Subscription(msgspec.Struct):
    """A stream and its client."""

    client: Client
    stream: Stream


class Feeds:
    """All subscriptions, by instrument."""

    def __init__(self, quotes: Quotes) -> None:
        self.archives: dict[str, Archive] = {}
        self.closes: dict[str, float] = {}
        self.sent = 0
        self._quotes = quotes
        self._by_instrument: dict[str, list[Subscription]] = {}
        self._best: dict[str, Best] = {}
        self.on_bars: Callable[[str, Event], None] = lambda _instrument, _event: None
        self._routes: dict[type[Event], Callable[..., None]] = {
            Trade: self._trade,
            Quote: self._quote,
            Bar: self._bar,
            QuoteBar: self._quote,
            HaltChanged: self._halt,
        }

    def archive(self, instrument: str) -> Archive:
        """Return an instrument's past."""
        found = self.archives.get(instrument)
        if found is None:
            found = self.archives[instrument] = Archive()
        return found

    @property
    def lines(self) -> int:
        """How many subscriptions there are."""
        return sum(len(found) for found in self._by_instrument.values())

    # -- subscribing ---------------------------------------------------------------------------

    def subscribe(self, client: Client, stream: Stream, contract: Contract) -> None:
        """Add a subscription and tell its client what is known now."""
        client.streams[stream.req_id] = stream
        self._by_instrument.setdefault(stream.instrument, []).append(Subscription(client, stream))
        if stream.kind == "ticks":
            self.first(client, stream, contract)

    def unsubscribe(self, client: Client, req_id: int) -> Stream | None:
        """Remove a client's subscription; return it if there was one."""
        stream = client.streams.pop(req_id, None)
        if stream is not None:
            left = [s for s in self._by_instrument[stream.instrument] if s.stream is not stream]
            self._by_instrument[stream.instrument] = left
        return stream

    def drop(self, client: Client) -> None:
        """Remove all of a client's subscriptions."""
        for req_id in list(client.streams):
            self.unsubscribe(client, req_id)

    def first(self, client: Client, stream: Stream, contract: Contract) -> None:
        """Tell a client the state of an instrument as it subscribes."""
        client.post([81, stream.req_id, contract.tick_size, "9c0001", 3])
        client.post([58, 1, stream.req_id, stream.data_type])
        book, archive = self._quotes.book(stream.instrument), self.archive(stream.instrument)
        self._sides(client, stream, (book.bid, book.bid_size, book.ask, book.ask_size))
        last = book.last
        if last is not None:
            self._price(client, stream, LAST, last.price, last.size)
            self._string(client, stream, LAST_TIMESTAMP, str(last.ts // SECOND_NS))
        day = (
            (HIGH, archive.high),
            (LOW, archive.low),
            (OPEN, archive.open),
            (CLOSE, self.closes.get(stream.instrument)),
        )
        for kind, value in day:
            if value is not None:
                self._price(client, stream, kind, value, 0.0)
        if archive.volume:
            self._size(client, stream, VOLUME, archive.volume)
        self._generic(client, stream, HALTED, 1 if book.halted else 0)

    # -- events --------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Tell subscribers what an event changed; it is folded into the quotes already."""
        route = self._routes.get(type(event))
        if route is not None:
            route(event)

    def _trade(self, trade: Trade) -> None:
        archive = self.archive(trade.instrument)
        archive.on_trade(trade)
        for subscription in self._by_instrument.get(trade.instrument, ()):
            client, stream = subscription.client, subscription.stream
            if stream.kind == "ticks":
                if not trade.suspicious:
                    self._last(client, stream, trade, archive.volume)
            elif stream.kind in ("Last", "AllLast") and (stream.kind == "AllLast" or not trade.suspicious):
                mask = 2 if trade.suspicious else 0
                head: Fields = [99, stream.req_id, TICK_BY_TICK[stream.kind], trade.ts // SECOND_NS]
                client.post([*head, trade.price, trade.size, mask, trade.venue, trade.conditions])
                self.sent += 1
        self.on_bars(trade.instrument, trade)

    def _last(self, client: Client, stream: Stream, trade: Trade, volume: float) -> None:
        self._price(client, stream, LAST, trade.price, trade.size)
        self._string(client, stream, LAST_TIMESTAMP, str(trade.ts // SECOND_NS))
        self._size(client, stream, VOLUME, volume)
        if stream.generic & {"233", "RTVolume"}:
            shown = f"{trade.price};{trade.size:g};{trade.ts // 1_000_000};{volume:g};{trade.price};true"
            self._string(client, stream, RT_VOLUME, shown)

    def _bar(self, bar: Bar) -> None:
        archive = self.archive(bar.instrument)
        archive.on_bar(bar)
        for subscription in self._by_instrument.get(bar.instrument, ()):
            if subscription.stream.kind == "ticks":
                client, stream = subscription.client, subscription.stream
                self._price(client, stream, LAST, bar.close, bar.volume)
                self._size(client, stream, VOLUME, archive.volume)
            elif subscription.stream.kind in ("Last", "AllLast"):
                client, stream = subscription.client, subscription.stream
                head: Fields = [99, stream.req_id, TICK_BY_TICK[stream.kind], (bar.ts - 1) // SECOND_NS]
                client.post([*head, bar.close, bar.volume, 0, "", ""])
                self.sent += 1
        self.on_bars(bar.instrument, bar)

    def _quote(self, event: Quote | QuoteBar) -> None:
        instrument = event.instrument
        book = self._quotes.book(instrument)
        bid, ask = book.bid, book.ask
        best = (bid, book.bid_size, ask, book.ask_size)
        if isinstance(event, QuoteBar):
            self.archive(instrument).on_quote_bar(event)
        elif self._best.get(instrument) != best:
            self.archive(instrument).on_quote(event.ts, best)
        if self._best.get(instrument) == best:
            return
        self._best[instrument] = best
        for subscription in self._by_instrument.get(instrument, ()):
            client, stream = subscription.client, subscription.stream
            if stream.kind == "ticks":
                self._sides(client, stream, best)
            elif stream.kind in ("BidAsk", "MidPoint"):
                self._tick_by_tick_quote(client, stream, event.ts)
        self.on_bars(instrument, event)

    def _halt(self, event: HaltChanged) -> None:
        for subscription in self._by_instrument.get(event.instrument, ()):
            if subscription.stream.kind == "ticks":
                self._generic(subscription.client, subscription.stream, HALTED, 1 if event.halted else 0)

    # -- ticks ---------------------------------------------------------------------------------

    def _sides(self, client: Client, stream: Stream, best: Best) -> None:
        bid, bid_size, ask, ask_size = best
        for kind, price, size in ((BID, bid, bid_size), (ASK, ask, ask_size)):
            shown = (-1.0, 0.0) if price is None else (price, size)
            if stream.shown.get(kind) != shown:
                stream.shown[kind] = shown
                self._price(client, stream, kind, *shown)

    def _tick_by_tick_quote(self, client: Client, stream: Stream, ts: int) -> None:
        bid, bid_size, ask, ask_size = self._best[stream.instrument]
        head: Fields = [99, stream.req_id, TICK_BY_TICK[stream.kind], ts // SECOND_NS]
        sides = (-1 if bid is None else bid, -1 if ask is None else ask)
        if stream.kind == "MidPoint":
            told = None if bid is None or ask is None else (round((bid + ask) / 2, 8), 0.0)
            if told is not None and stream.shown.get(_MIDDLE) != told:
                stream.shown[_MIDDLE] = told
                client.post([*head, told[0]])
                self.sent += 1
        elif not (stream.ignore_size and stream.shown.get(_BOTH) == sides):
            stream.shown[_BOTH] = sides
            client.post([*head, *sides, bid_size, ask_size, 0])
            self.sent += 1

    def _price(self, client: Client, stream: Stream, kind: int, price: float, size: float) -> None:
        mask = 1 if kind in (BID, ASK) and price >= 0 else 0
        client.post([1, 6, stream.req_id, _typed(kind, stream), price, size, mask])
        self.sent += 1

    def _size(self, client: Client, stream: Stream, kind: int, size: float) -> None:
        client.post([2, 6, stream.req_id, _typed(kind, stream), size])
        self.sent += 1

    def _string(self, client: Client, stream: Stream, kind: int, value: str) -> None:
        client.post([46, 6, stream.req_id, _typed(kind, stream), value])
        self.sent += 1

    def _generic(self, client: Client, stream: Stream, kind: int, value: float) -> None:
        client.post([45, 6, stream.req_id, _typed(kind, stream), value])
        self.sent += 1

    def streams(self, client: Client) -> list[Stream]:
        """Return a client's streaming subscriptions."""
        return [stream for stream in client.streams.values() if stream.kind == "ticks"]


def _typed(kind: int, stream: Stream) -> int:
    return _DELAYED.get(kind, kind) if stream.data_type in (3, 4) else kind
