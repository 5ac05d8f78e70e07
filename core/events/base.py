"""What every event has: a stable tag, a version and a class; and the registry that knows them all.

Tags are stored in every record and in file names. They never change and are never module paths, so
code may move freely. A new field has a default; a changed meaning is a new version with an upcast.
"""

from collections.abc import Callable
from typing import Literal, TypeVar, get_args

import msgspec

EventClass = Literal["market", "broker", "timer", "operator", "effect", "session", "decision", "storage"]
EVENT_CLASSES: tuple[EventClass, ...] = get_args(EventClass)


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events.

    `ts` is the time the event speaks of in nanoseconds since 1970 UTC (a bar's *end*). It explains;
    it never orders: order is `seq`, which lives in the envelope (`Entry`).
    """

    ts: int


class EventType(msgspec.Struct, frozen=True):
    """How one event type is stored and what it is for."""

    tag: str
    version: int
    event_class: EventClass
    type: type[Event]


class Unknown(Event, frozen=True, gc=False):
    """An event of a type (or newer version) that this code does not know, kept byte for byte."""

    tag: str
    version: int
    body: bytes


BY_TYPE: dict[type[Event], EventType] = {}
BY_TAG: dict[str, EventType] = {}

E = TypeVar("E", bound=Event)


def event(tag: str, event_class: EventClass, version: int = 1) -> Callable[[type[E]], type[E]]:
    """Register an event type under its stable tag; raises `ValueError` if the tag is taken."""

    def register(cls: type[E]) -> type[E]:
        if tag in BY_TAG:
            raise ValueError(f"event tag {tag!r} is already taken by {BY_TAG[tag].type.__name__}")
        BY_TYPE[cls] = BY_TAG[tag] = EventType(tag, version, event_class, cls)
        return cls

    return register


def types_of(*classes: EventClass) -> frozenset[type[Event]]:
    """Return the event types that belong to any of the given classes."""
    return frozenset(entry.type for entry in BY_TYPE.values() if entry.event_class in classes)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event in its envelope, as the log holds it.

    `seq` is gap-free within a log. `recv` is when the log took the event in (ns UTC; absent in runs,
    invisible to `step`). `at` is the seq of the input being processed. `cause` is set on outputs
    only: the decision or send that they follow from.
    """

    seq: int
    recv: int | None
    at: int
    cause: int | None
    event: Event
