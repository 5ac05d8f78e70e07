"""Another future: prices after a cut reflected at the last ones before it, so that what rose falls.

A price p becomes c² / p, where c is the instrument's last price by the cut: positive, as volatile, and the
other way. Sizes and volumes are doubled. Who decides the same before the cut did not look beyond it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from core.events import Bar, Event, Quote, QuoteBar, Trade

_Value = float | None
_SWAPPED = {"bid": "ask", "ask": "bid", "high": "low", "low": "high"}
_SIZES = ("size", "bid_size", "ask_size", "volume")


class Mirror:
    """Reflects events; `learn` takes those before the cut."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def learn(self, event: Event) -> None:
        """Take a price before the cut."""
        price = _price(event)
        if price:
            self._last[event.instrument] = price  # type: ignore[attr-defined]

    def reflect(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events with their prices reflected; what has no prices stays."""
        for event in events:
            fields = _FIELDS.get(type(event))
            if fields is None:
                yield event
                continue
            instrument: str = event.instrument  # type: ignore[attr-defined]
            centre = self._last.setdefault(instrument, _price(event) or 1.0)
            yield replace(event, **fields(event, centre))


def _price(event: Event) -> float:
    match event:
        case Trade(price=price, suspicious=False):
            return price
        case Bar(close=close):
            return close
        case Quote(bid=bid, ask=ask) | QuoteBar(bid_close=bid, ask_close=ask):
            return bid or ask or 0.0
    return 0.0


def _reflector(kind: type[Event]) -> Callable[[Event, float], dict[str, Any]]:
    """Return what computes the changed fields of a type: each price from its opposite, each size doubled."""
    names = kind.__struct_fields__
    sizes = [name for name in names if name in _SIZES]
    prices = [n for n in names if n not in sizes and n.split("_")[0] in _PRICED]
    sources = {name: "_".join(_SWAPPED.get(part, part) for part in name.split("_")) for name in prices}

    def changed(event: Event, centre: float) -> dict[str, Any]:
        values = {name: _reflected(getattr(event, source), centre) for name, source in sources.items()}
        for name in sizes:
            size = getattr(event, name.replace("bid", "*").replace("ask", "bid").replace("*", "ask"))
            values[name] = None if size is None else size * 2
        return values

    return changed


def _reflected(price: _Value, centre: float) -> _Value:
    return round(centre * centre / price, 6) if price else price


_PRICED = frozenset({"price", "open", "high", "low", "close", "bid", "ask"})
_FIELDS: dict[type[Event], Callable[[Event, float], dict[str, Any]]] = {
    kind: _reflector(kind) for kind in (Trade, Quote, Bar, QuoteBar)
}
