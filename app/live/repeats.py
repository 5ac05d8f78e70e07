"""What comes again and again, told once and then counted: a refusal at each tick must not bury the rest.

Pure. Times are seconds of any clock that does not go back. It knows events, not where they are shown.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from core.events import BrokerMessage, ConnectionChanged, Event, OrderIntended, RiskRefused, SendFailed

FIRST_S, LONGEST_S = 5.0, 900.0
"""When repeats are counted for the first time, and at the latest; each time after twice as long."""
OVER_S = 60.0
"""After so long without a repeat the next one is told in full."""

_KINDS: dict[type[Event], Callable[[Any], Hashable | None]] = {
    RiskRefused: lambda e: ("refused", e.strategy, e.instrument, e.rule),
    SendFailed: lambda e: ("not sent", e.message),
    BrokerMessage: lambda e: ("message", e.code, e.text),
    ConnectionChanged: lambda e: ("connection", e.state, e.reason) if e.state == "connecting" else None,
}


def kind_of(event: Event) -> Hashable | None:
    """Return what repeats of an event have in common; `None` for one that is always told."""
    kind = _KINDS.get(type(event))
    return None if kind is None else kind(event)


class _Spell:
    """Repeats of one kind: how many were not told, the last one, when to say so."""

    __slots__ = ("count", "due_s", "last", "last_s", "wait_s")

    def __init__(self, event: Event, now_s: float) -> None:
        self.count, self.last, self.last_s = 0, event, now_s
        self.wait_s = FIRST_S
        self.due_s = now_s + FIRST_S


class Repeats:
    """Says which events to tell, and now and then how many were not."""

    def __init__(self) -> None:
        self._spells: dict[Hashable, _Spell] = {}

    def tells(self, event: Event, now_s: float) -> bool:
        """Take an event; return whether to tell it."""
        kind = kind_of(event)
        if kind is None:
            return True
        spell = self._spells.get(kind)
        if spell is None or (not spell.count and now_s - spell.last_s >= OVER_S):
            self._spells[kind] = _Spell(event, now_s)
            return True
        spell.count += 1
        spell.last, spell.last_s = event, now_s
        return False

    def due(self, now_s: float) -> list[tuple[int, Event]]:
        """Return how many of a kind were not told since the last time, and the latest of them."""
        found: list[tuple[int, Event]] = []
        for kind, spell in list(self._spells.items()):
            if spell.count and now_s >= spell.due_s:
                found.append((spell.count, spell.last))
                spell.count = 0
                spell.wait_s = min(spell.wait_s * 2, LONGEST_S)
                spell.due_s = now_s + spell.wait_s
            elif not spell.count and now_s - spell.last_s >= OVER_S:
                del self._spells[kind]
        return found


def collapsed(events: Iterable[Event], limit: int) -> list[tuple[int, Event]]:
    """Return the latest events, oldest first, those of one kind as one with their number; at most `limit`.

    What was asked for and refused is told by the refusal.
    """
    given = list(events)
    refused = {event.order for event in given if isinstance(event, RiskRefused) and event.version == 1}
    found: dict[Hashable, list[Any]] = {}
    for number, event in enumerate(reversed(given)):
        if isinstance(event, OrderIntended) and event.order in refused:
            continue
        kind = kind_of(event)
        kind = number if kind is None else kind
        if kind in found:
            found[kind][0] += 1
        elif len(found) < limit:
            found[kind] = [1, event]
    return [(count, event) for count, event in reversed(found.values())]
