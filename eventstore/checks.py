"""What an event must satisfy before it may enter a log: values that read back as they were meant.

NaN and infinity are refused, sizes are not negative, and a mistyped field (a numpy scalar, `None`
where a string belongs) is refused here, because once stored it could never be read again.
It must stay cheap: the market-data types are checked by hand-written comparisons, the rest generically.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from core.errors import InvalidEvent
from core.events import BY_TAG, BY_TYPE, Bar, Event, InstrumentDefined, Quote, QuoteBar, Trade, Unknown
from core.price_steps import parse_steps

_INF = float("inf")
_MAX_INT64 = (1 << 63) - 1
_FLOATS = {float}
_NO_SIDE = (None,) * 5
_NOT_NEGATIVE = frozenset({"size", "bid_size", "ask_size", "volume"})
_ORDER_QUANTITIES = frozenset({"order_intended", "modify_intended", "filled", "fill_corrected"})
_encoder = msgspec.msgpack.Encoder()
_plain_decoder = msgspec.msgpack.Decoder()


def check(event: Event) -> None:
    """Raise `InvalidEvent` if `event` must never reach a log; names type, field and value."""
    if not QUICK.get(type(event), _check_fully)(event):
        _check_fully(event)


def check_references(seq: int, at: int | None, cause: int | None) -> None:
    """Raise `InvalidEvent` if `at` or `cause` is no seq up to `seq`: nothing follows from the future."""
    if (at is not None and not 1 <= at <= seq) or (cause is not None and not 1 <= cause <= seq):
        raise InvalidEvent(f"seq {seq}: at={at}, cause={cause}: expected seqs between 1 and {seq}")


def _check_trade(e: Any) -> bool:
    return (
        type(e.price) is float
        and -_INF < e.price < _INF
        and type(e.size) is float
        and 0.0 <= e.size < _INF
        and type(e.ts) is int
        and -_MAX_INT64 <= e.ts <= _MAX_INT64
        and type(e.feed) is str
        and type(e.instrument) is str
        and type(e.venue) is str
        and type(e.conditions) is str
        and type(e.suspicious) is bool
    )


def _check_quote(e: Any) -> bool:
    bid, bid_size, ask, ask_size = e.bid, e.bid_size, e.ask, e.ask_size
    return (
        (bid is None or (type(bid) is float and -_INF < bid < _INF))
        and (bid_size is None or (type(bid_size) is float and 0.0 <= bid_size < _INF))
        and (ask is None or (type(ask) is float and -_INF < ask < _INF))
        and (ask_size is None or (type(ask_size) is float and 0.0 <= ask_size < _INF))
        and type(e.ts) is int
        and -_MAX_INT64 <= e.ts <= _MAX_INT64
        and type(e.feed) is str
        and type(e.instrument) is str
        and type(e.venue) is str
        and type(e.conditions) is str
        and type(e.suspicious) is bool
    )


def _check_bar(e: Any) -> bool:
    prices = (e.open, e.high, e.low, e.close)
    return _all_finite(prices) and _all_finite((e.volume,)) and e.volume >= 0 and _bar_envelope(e)


def _check_quote_bar(e: Any) -> bool:
    bid = (e.bid_open, e.bid_high, e.bid_low, e.bid_close, e.bid_size)
    ask = (e.ask_open, e.ask_high, e.ask_low, e.ask_close, e.ask_size)
    return (
        (bid == _NO_SIDE or (_all_finite(bid) and e.bid_size >= 0))
        and (ask == _NO_SIDE or (_all_finite(ask) and e.ask_size >= 0))
        and _bar_envelope(e)
    )


def _all_finite(values: tuple[Any, ...]) -> bool:
    # A NaN or an infinity makes the sum of absolute values NaN or infinite: one comparison for all.
    return set(map(type, values)) == _FLOATS and sum(map(abs, values)) < _INF


def _bar_envelope(e: Any) -> bool:
    return (
        type(e.ts) is int
        and type(e.start) is int
        and -_MAX_INT64 <= e.start <= e.ts <= _MAX_INT64
        and type(e.feed) is str
        and type(e.instrument) is str
    )


def _check_fully(event: Event) -> bool:
    """Check any event by its declared fields; raises `InvalidEvent`."""
    if type(event) is Unknown:
        return _check_unknown(event)
    if type(event) not in BY_TYPE:
        raise InvalidEvent(
            f"{type(event).__name__} is not a registered event type: declare it with @event(tag, class)"
        )
    _check_types(event)
    if type(event) is InstrumentDefined:
        _check_steps(event)
    not_negative = _not_negative(type(event))
    for name in event.__struct_fields__:
        _check_value(event, name, getattr(event, name), not_negative)
    return True


def _check_value(event: Event, name: str, value: Any, not_negative: frozenset[str]) -> None:
    place = f"{type(event).__name__}.{name}"
    if isinstance(value, float) and not -_INF < value < _INF:
        raise InvalidEvent(f"{place} is {value!r}: expected a finite number, or None where nothing is known")
    if isinstance(value, Decimal) and not value.is_finite():
        raise InvalidEvent(f"{place} is {value}: expected a finite amount")
    if type(value) is int and not -_MAX_INT64 <= value <= _MAX_INT64:
        raise InvalidEvent(f"{place} is {value}: expected a 64-bit integer")
    if name in not_negative and value is not None and value < 0:
        raise InvalidEvent(f"{place} is {value}: expected zero or more")


def _check_steps(event: InstrumentDefined) -> None:
    try:
        if event.price_steps:
            parse_steps(event.price_steps)
    except ValueError as error:
        raise InvalidEvent(f"InstrumentDefined.price_steps of {event.instrument}: {error}") from error


def _check_types(event: Event) -> None:
    # What does not survive a round trip now would make the log unreadable later.
    try:
        _body_decoder(type(event)).decode(_encoder.encode(event))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise InvalidEvent(f"{event!r} cannot be stored: {error}") from error


def _check_unknown(event: Unknown) -> bool:
    known = BY_TAG.get(event.tag)
    if known is not None and event.version <= known.version:
        raise InvalidEvent(f"{event.tag} v{event.version} is known: append the event itself, not Unknown")
    try:
        ts = body_ts(_plain_decoder.decode(event.body))
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidEvent(
            f"the body of {event.tag} v{event.version} is no msgpack value: {error}"
        ) from error
    if ts != event.ts:
        raise InvalidEvent(f"{event.tag} v{event.version} says ts {event.ts}, its body says {ts}")
    return True


def body_ts(body: Any) -> int | None:
    """Return the time in a decoded body (element 0 of an array, key `ts` of a map), if there is one."""
    first = body[0] if isinstance(body, list) and body else body.get("ts") if isinstance(body, dict) else None
    return first if isinstance(first, int) else None


@cache
def _body_decoder(kind: type[Event]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


@cache
def _not_negative(kind: type[Event]) -> frozenset[str]:
    return _NOT_NEGATIVE | {"quantity"} if BY_TYPE[kind].tag in _ORDER_QUANTITIES else _NOT_NEGATIVE


QUICK: dict[type[Event], Callable[[Any], bool]] = {
    Trade: _check_trade,
    Quote: _check_quote,
    Bar: _check_bar,
    QuoteBar: _check_quote_bar,
}
"""Checks that accept most events of a type at once; `False` decides nothing: `check` does."""
