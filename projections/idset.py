"""A set of ids that stays small: most end in a running number, and such a number is one byte.

Ids are told apart exactly. Nothing is ever removed. Ids come in by the thousand and are hardly ever asked
for, so they are only packed (a few bytes each) until somebody asks.
"""

from collections.abc import Collection

import msgspec

_GAP_MAX = 32_768  # a number further ahead than this is no running number: it is kept as text
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[str])


class IdsState(msgspec.Struct):
    """Snapshot of `Ids`: marks by prefix, and the ids that do not end in a running number, sorted."""

    numbered: dict[str, bytes] = {}
    others: list[str] = []


class Ids:
    """Ids such as `sma-1-17`: byte 17 of the prefix `sma-1`. Anything else is kept as it is."""

    __slots__ = ("_numbered", "_others", "_packed")

    def __init__(self, state: IdsState | None = None) -> None:
        state = state or IdsState()
        self._numbered = {prefix: bytearray(marks) for prefix, marks in state.numbered.items()}
        self._others = set(state.others)
        self._packed: list[bytes] = []  # not yet among the others

    def update(self, names: Collection[str]) -> None:
        """Add ids."""
        self._packed.append(_ENCODER.encode(names))

    def __contains__(self, name: str) -> bool:
        if self._packed:
            self._sort_in()
        prefix, number = _split(name)
        marks = self._numbered.get(prefix)
        if marks is not None and 0 <= number < len(marks) and marks[number]:
            return True
        return name in self._others

    def state(self) -> IdsState:
        """Return a snapshot."""
        self._sort_in()
        numbered = {prefix: bytes(marks) for prefix, marks in self._numbered.items()}
        return IdsState(numbered, sorted(self._others))

    def _sort_in(self) -> None:
        for packed in self._packed:
            for name in _DECODER.decode(packed):
                self._mark(name)
        self._packed.clear()

    def _mark(self, name: str) -> None:
        prefix, number = _split(name)
        marks = self._numbered.get(prefix, b"")
        if number < 0 or number > len(marks) + _GAP_MAX:
            self._others.add(name)
            return
        marks = self._numbered.setdefault(prefix, bytearray())
        if number >= len(marks):
            marks.extend(bytes(number + 1 - len(marks)))
        marks[number] = 1


def _split(name: str) -> tuple[str, int]:
    """Return prefix and number, if the two read as `name` again; a number of -1 if they do not."""
    prefix, dash, digits = name.rpartition("-")
    try:
        number = int(digits)
    except ValueError:
        return name, -1
    return (prefix, number) if dash and str(number) == digits else (name, -1)
