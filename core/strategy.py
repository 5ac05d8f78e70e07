"""The strategy API: what a user writes, live and in replay alike.

A strategy declares parameters, subscriptions and a warm-up; it is told of events by its handlers
(core.handlers) and asks for orders through its methods (core.requesting); nothing else. It must not read a
clock, a file or a random number: its state is a function of the inputs it was fed, which is what makes a
replay a proof. Views show the world as of the input being processed; a request made in a handler shows up in
them with the next input.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

import msgspec

from core.events import (
    Bar,
    Event,
    FilledBar,
    FilledQuoteBar,
    MadeBar,
    MadeQuoteBar,
    Quote,
    QuoteBar,
    Trade,
)
from core.handlers import Handlers
from core.requesting import Requesting
from core.resolutions import resolution_of

Kind = Literal["trades", "quotes", "bars", "quote_bars"]
KINDS: dict[Kind, type[Event]] = {"trades": Trade, "quotes": Quote, "bars": Bar, "quote_bars": QuoteBar}


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a strategy's declared parameters; `typing.Annotated` with `msgspec.Meta` sets limits."""


class Subscription(msgspec.Struct, frozen=True):
    """What a strategy wants to be told of. `None` means: every kind it has a handler for; the finest feed.

    `resolution` is one of a feed (`minute`) or any length of bars (`5m`, `1h`, `1d`): what the log does not
    hold is made from finer data. With `fill_forward`, a replay tells of missing seconds and minutes too, as
    a bar that repeats the last one and says so (`bar.filled`).
    """

    instrument: str
    kinds: tuple[Kind, ...] | None = None
    feed: str | None = None
    resolution: str | None = None
    fill_forward: bool = False

    def wants(self, event_type: type[Event]) -> bool:
        """Return whether events of a market data type are asked for."""
        return self.kinds is None or any(KINDS[kind] is event_type for kind in self.kinds)


class WarmUp(msgspec.Struct, frozen=True):
    """Past data fed before the start with orders refused: so many sessions, or events.

    Whole sessions are fed: as many as hold at least `events` market events of the subscriptions.
    """

    sessions: int = 0
    events: int = 0


P = TypeVar("P", bound=Parameters)


class Strategy(Handlers, Requesting, Generic[P]):
    """Base of all strategies: `class Mine(Strategy[MyParameters])`.

    Handlers that are not overridden cost nothing. Prices may be given as float or `Decimal`; a
    quantity is always positive. Every request has a `reason`, which `tape why` shows.
    """

    parameters: ClassVar[type[Parameters]] = Parameters
    warm_up: ClassVar[WarmUp] = WarmUp()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Strategy and isinstance(get_args(base)[0], type):
                cls.parameters = get_args(base)[0]

    def __init__(self, params: P) -> None:
        self.params = params

    def subscriptions(self) -> Iterable[Subscription]:
        """Return what to be told of; by default the parameter `instrument`, if there is one.

        A parameter `resolution` then says of which bars (`"minute"`, `"5m"`); without it, the finest feed.
        """
        instrument = getattr(self.params, "instrument", None)
        resolution = getattr(self.params, "resolution", None)
        return [Subscription(instrument, resolution=resolution)] if instrument else []


AnyStrategy = Strategy[Any]


HANDLERS: dict[type[Event], str] = {
    Trade: "on_trade",
    Quote: "on_quote",
    Bar: "on_bar",
    QuoteBar: "on_quote_bar",
}


def handles(strategy: AnyStrategy, event_type: type[Event]) -> bool:
    """Return whether the strategy overrides the handler of a market data type."""
    name = HANDLERS[event_type]
    return getattr(type(strategy), name) is not getattr(Strategy, name)


_DERIVED: dict[type[Event], tuple[type[Event], type[Event]]] = {
    Bar: (FilledBar, MadeBar),
    QuoteBar: (FilledQuoteBar, MadeQuoteBar),
}


def derived_keys(
    event_type: type[Event], wanted: Iterable[Subscription], made: Mapping[tuple[str, str | None], str]
) -> list[tuple[type[Event], str]]:
    """Return which derived bars subscriptions to a type ask for: their types and periods, each once.

    `made` tells of which subscriptions, by instrument and resolution, bars are made, and in which feed they
    come: a live session records them as bars. Without a name they come as made bars, and no others are told.
    """
    if event_type not in _DERIVED:
        return []
    filled_type, made_type = _DERIVED[event_type]
    found: list[tuple[type[Event], str]] = []
    for subscription in wanted:
        feed = made.get((subscription.instrument, subscription.resolution))
        if feed:
            found.append((event_type, feed))
        elif feed is not None:
            found.append((made_type, resolution_of(str(subscription.resolution)).name))
        elif subscription.fill_forward:
            found.append((filled_type, ""))
    return list(dict.fromkeys(found))
