"""Who is told of an instrument's market data: the handlers of the strategies that subscribe to it."""

from collections.abc import Mapping, Sequence

from core.events import Event
from core.lanes import Book, Handler, Lane, together
from core.step import Step
from core.strategy import HANDLERS, derived_keys, handles


def lane_of(
    instrument: str,
    step: Step,
    book: Book,
    resting: Sequence[object],
    made: Mapping[tuple[str, str | None], str],
) -> Lane:
    """Return an instrument's lane: to what watches by itself first, then to strategies as they are seated.

    `made`: which subscriptions are told of made bars, see `core.strategy.derived_keys`.
    """
    watching = step.watching
    routes = {name: [watching[name]] if name in watching else [] for name in HANDLERS.values()}
    derived: dict[tuple[type[Event], str], list[Handler]] = {}
    for seat in step.seats.values():
        wanted = [s for s in seat.strategy.subscriptions() if s.instrument == instrument]
        for event_type, name in HANDLERS.items():
            if not handles(seat.strategy, event_type):
                continue
            heard = [s for s in wanted if s.wants(event_type)]
            for key in derived_keys(event_type, heard, made):
                derived.setdefault(key, []).append(getattr(seat.strategy, name))
            if any(made.get((s.instrument, s.resolution)) != "" for s in heard):
                routes[name].append(getattr(seat.strategy, name))
    handlers = {name: together(found) for name, found in routes.items()}
    others = {key: together(found) for key, found in derived.items()}
    return Lane(book, resting, handlers, others)
