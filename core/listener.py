"""The listener API: user code that is told of events, outside the decisions.

A listener hears of an event after it is durable, and nothing that it does reaches trading: it asks for no
orders, and it may be slow, raise or die. What must decide is a `Strategy`.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple, TypeVar

from core.errors import UsageError
from core.events import BY_TYPE, Entry, Event

_MARK = "_truetape_told_of"
F = TypeVar("F", bound=Callable[..., Any])


class Told(NamedTuple):
    """A method of a listener and what it is told of; no instruments means all of them."""

    method: str
    types: tuple[type[Event], ...]
    instruments: frozenset[str]


def on(*types: type[Event], instruments: Iterable[str] = ()) -> Callable[[F], F]:
    """Mark a method of a `Listener`: it is called with each event of these types, in log order.

    With `instruments`, only events that name one of them. Raises `UsageError` for what is no event type.
    """
    if isinstance(instruments, str):
        raise UsageError(f"@on(instruments={instruments!r}): expected a list such as [{instruments!r}]")
    if not types or not all(kind in BY_TYPE for kind in types):
        raise UsageError("@on(…): expected event types such as truetape.Filled; docs/events.md has them all")
    names = frozenset(instruments)
    for kind in types:
        if names and "instrument" not in kind.__struct_fields__:
            raise UsageError(f"@on({kind.__name__}, instruments=…): this event names no instrument")

    def mark(method: F) -> F:
        told = [*getattr(method, _MARK, ()), (types, names)]
        setattr(method, _MARK, told)
        return method

    return mark


class Listener:
    """Base of listeners: mark methods with `@on`. Made without arguments, in a process of its own.

    `entry` is the event being told, in its envelope: `self.entry.seq` is its place in the log.
    """

    told: ClassVar[tuple[Told, ...]] = ()
    entry: Entry

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        marked = {name: getattr(getattr(cls, name), _MARK, ()) for name in dir(cls)}
        cls.told = tuple(Told(name, types, names) for name in sorted(marked) for types, names in marked[name])

    def on_start(self) -> None:
        """Get ready: called once, before the first event."""

    def on_stop(self) -> None:
        """Finish: called once, after the last event, if the listener still runs."""


class Interest:
    """What listeners want to be told of, to be asked for every event: by type, then by instrument."""

    def __init__(self, told: Iterable[Told]) -> None:
        by_type: dict[type[Event], frozenset[str] | None] = {}
        for one in told:
            for kind in one.types:
                known = by_type.get(kind, frozenset())
                by_type[kind] = known | one.instruments if known is not None and one.instruments else None
        self._by_type = by_type

    @property
    def types(self) -> frozenset[type[Event]]:
        """The event types that anybody wants."""
        return frozenset(self._by_type)

    def wants(self, event: Event) -> bool:
        """Return whether an event is to be told of."""
        names = self._by_type.get(type(event), _NOBODY)
        return names is None or (bool(names) and getattr(event, "instrument", None) in names)


_NOBODY: frozenset[str] = frozenset()


class Delivery:
    """Calls a listener's methods; what they raise is counted and reported, never passed on.

    After `errors_max` errors the listener is switched off: it is called no more.
    """

    def __init__(self, listener: Listener, errors_max: int) -> None:
        self._listener = listener
        self._errors_max = errors_max
        self.errors = 0
        self._calls: dict[type[Event], list[tuple[Callable[[Event], object], frozenset[str]]]] = {}
        for one in type(listener).told:
            for kind in one.types:
                method = getattr(listener, one.method)
                self._calls.setdefault(kind, []).append((method, one.instruments))

    @property
    def off(self) -> bool:
        """Whether it raised too often."""
        return self.errors >= self._errors_max

    def deliver(self, entry: Entry) -> list[str]:
        """Tell of one event; return what was raised, in words."""
        raised: list[str] = []
        self._listener.entry = entry
        for method, names in self._calls.get(type(entry.event), ()):
            if self.off or (names and getattr(entry.event, "instrument", None) not in names):
                continue
            raised += self.call(method, entry.event)
        return raised

    def call(self, method: Callable[..., object], *args: object) -> list[str]:
        """Call one method; return what it raised, in words: with method, file and line."""
        try:
            method(*args)
        except Exception as error:  # noqa: BLE001  (the code of others: whatever it raises is reported)
            self.errors += 1
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
            name = getattr(method, "__name__", "?")
            return [f"{type(error).__name__} in {name} at {where}: {error}"]
        return []
