"""The messages of market data, and a decoder for the five that come by the thousand.

The general decoder needs about three times as long for them. A decoder here takes the fields of a
frame, its message id first, and returns one message or raises; a frame that is not exactly as expected
goes to the general decoder, whose word counts. It must never accept what that one would refuse.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from adapters.ibkr.wire.messages import Message
from adapters.ibkr.wire.values import tick_number, tick_size

SIZED = frozenset({1, 2, 4, 66, 67, 68})
"""Tick types that carry a size with the price: bid, ask and last, and the same delayed."""


class TickPrice(Message, frozen=True, gc=False):
    """A price; `size` came in the same frame, for bid, ask and last. Bits of `attributes`: 1 can
    execute automatically, 2 past limit, 4 before the open.
    """

    req_id: int
    tick_type: int
    price: float | None
    size: float | None
    attributes: int


class TickSize(Message, frozen=True, gc=False):
    """A size without a price."""

    req_id: int
    tick_type: int
    size: float | None


class TickString(Message, frozen=True, gc=False):
    """A value as text, such as the time of the last trade."""

    req_id: int
    tick_type: int
    text: str


class TickGeneric(Message, frozen=True, gc=False):
    """A value as a number, such as 49: halted."""

    req_id: int
    tick_type: int
    value: float | None


class TickByTickLast(Message, frozen=True, gc=False):
    """A trade; `kind` is 1 for `Last`, 2 for `AllLast`. Bits of `attributes`: 1 past limit, 2 unreported."""

    req_id: int
    kind: int
    time_s: int
    price: float | None
    size: float | None
    attributes: int
    exchange: str
    conditions: str


class TickByTickBidAsk(Message, frozen=True, gc=False):
    """A quote. Bits of `attributes`: 1 bid past the day's low, 2 ask past its high."""

    req_id: int
    time_s: int
    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None
    attributes: int


class TickByTickMidPoint(Message, frozen=True, gc=False):
    """The middle between bid and ask."""

    req_id: int
    time_s: int
    price: float | None


class MarketDataType(Message, frozen=True, gc=False):
    """What a subscription delivers from now on: 1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""

    req_id: int | None
    kind: int


class TickReqParams(Message, frozen=True, gc=False):
    """What comes with a subscription: the smallest step of prices, and the key of its exchange map."""

    req_id: int | None
    tick_size: Decimal | None
    exchange_map: str
    snapshot_permissions: int


class SnapshotEnd(Message, frozen=True, gc=False):
    """All ticks of a snapshot have been told."""

    req_id: int | None


def tick_price(fields: Sequence[bytes]) -> TickPrice:
    """Decode message 1."""
    _, _, req_id, kind, price, size, attributes, _ = fields
    tick_type = int(kind)
    return TickPrice(
        int(req_id),
        tick_type,
        tick_number(price),
        tick_size(size) if tick_type in SIZED else None,
        int(attributes),
    )


def tick_size_alone(fields: Sequence[bytes]) -> TickSize:
    """Decode message 2."""
    _, _, req_id, kind, size, _ = fields
    return TickSize(int(req_id), int(kind), tick_size(size))


def tick_string(fields: Sequence[bytes]) -> TickString:
    """Decode message 46."""
    _, _, req_id, kind, value, _ = fields
    return TickString(int(req_id), int(kind), escaped_text(value))


def tick_generic(fields: Sequence[bytes]) -> TickGeneric:
    """Decode message 45."""
    _, _, req_id, kind, value, _ = fields
    return TickGeneric(int(req_id), int(kind), tick_number(value))


def tick_by_tick(fields: Sequence[bytes]) -> Message:
    """Decode message 99."""
    return _TICK_BY_TICK[fields[2]](fields)


def escaped_text(field: bytes) -> str:
    """Return text in which the broker writes what is not ASCII as escapes."""
    return field.decode("unicode-escape" if b"\\" in field else "latin-1")


def _last(fields: Sequence[bytes]) -> TickByTickLast:
    _, req_id, kind, time_s, price, size, attributes, exchange, conditions, _ = fields
    return TickByTickLast(
        int(req_id),
        int(kind),
        int(time_s),
        tick_number(price),
        tick_size(size),
        int(attributes),
        exchange.decode(),
        conditions.decode(),
    )


def _bid_ask(fields: Sequence[bytes]) -> TickByTickBidAsk:
    _, req_id, _, time_s, bid, ask, bid_size, ask_size, attributes, _ = fields
    return TickByTickBidAsk(
        int(req_id),
        int(time_s),
        tick_number(bid),
        tick_number(ask),
        tick_size(bid_size),
        tick_size(ask_size),
        int(attributes),
    )


def _mid_point(fields: Sequence[bytes]) -> TickByTickMidPoint:
    _, req_id, _, time_s, price, _ = fields
    return TickByTickMidPoint(int(req_id), int(time_s), tick_number(price))


_TICK_BY_TICK: dict[bytes, Callable[[Sequence[bytes]], Message]] = {
    b"1": _last,
    b"2": _last,
    b"3": _bid_ask,
    b"4": _mid_point,
}
DIRECT: dict[bytes, Callable[[Sequence[bytes]], Message]] = {
    b"1": tick_price,
    b"2": tick_size_alone,
    b"45": tick_generic,
    b"46": tick_string,
    b"99": tick_by_tick,
}
"""The decoder of each frequent message, by the first field of its frames."""
