"""What has been appended and not written: encoded records, cut into the payloads of blocks.

Events are checked and encoded as they come, so that one that must not be stored is refused to whoever
appended it, and a commit has nothing left to do but to write. It must never touch files or clocks.
"""

from collections.abc import Callable, Sequence
from typing import Any

from core.errors import InvalidEvent
from core.events import BY_TYPE, Event
from eventstore.checks import QUICK, check, check_references
from eventstore.codec import encode_bodies, encode_into, record, write_record
from eventstore.journal.blocks import CUT_BYTES, CUT_EVENTS, MAX_RECORD_BYTES

_Kind = tuple[str, int, Callable[[Any], bool]]


class _Kinds(dict[type[Event], _Kind]):
    """Tag, version and check by type, in one look-up; types that need more care give an empty tag."""

    def __missing__(self, event_type: type[Event]) -> _Kind:
        known, quick = BY_TYPE.get(event_type), QUICK.get(event_type)
        if known is None or quick is None:
            return ("", 0, _never)
        self[event_type] = (known.tag, known.version, quick)
        return self[event_type]


def _never(_: object) -> bool:
    return False


_kinds = _Kinds()


class RecordBuffer:
    """Encoded records in `data`; each of `cuts` is the end of a block's payload and its record count."""

    def __init__(self, last_seq: int) -> None:
        self.data = bytearray()
        self.cuts: list[tuple[int, int]] = []
        self.last_seq = last_seq
        self._uncut = 0
        self._cut_end = 0

    def append(self, event: Event, at: int | None, cause: int | None, recv: int) -> int:
        """Add an event and return its seq; raises `InvalidEvent` and adds nothing if it is refused."""
        seq = self.last_seq + 1
        if at is None:
            at = seq
        else:
            check_references(seq, at, cause)
        data = self.data
        before = len(data)
        tag, version, quick = _kinds[type(event)]
        if quick(event):
            try:
                write_record((tag, version, seq, recv, at, cause, event), data, -1)
            except (TypeError, ValueError, OverflowError) as error:
                del data[before:]
                raise InvalidEvent(f"{event!r} cannot be stored: {error}") from error
        else:
            check(event)
            encode_into(data, record(seq, recv, at, cause, event))
        after = len(data)
        if after - before > MAX_RECORD_BYTES:
            del data[before:]
            raise InvalidEvent(f"{type(event).__name__}: larger than {MAX_RECORD_BYTES} bytes as a record")
        self.last_seq = seq
        self._uncut += 1
        if self._uncut >= CUT_EVENTS or after - self._cut_end >= CUT_BYTES:
            self.cut()
        return seq

    def extend(self, events: Sequence[Event], recv: int) -> range:
        """Add inputs; raises `InvalidEvent` and adds nothing if any of them is refused."""
        first = self.last_seq + 1
        pieces: list[tuple[bytearray, int]] = []
        for start in range(0, len(events), CUT_EVENTS):
            piece = events[start : start + CUT_EVENTS]
            pieces.append((_encode(piece, first + start, recv), len(piece)))
        if any(len(encoded) > CUT_BYTES for encoded, _ in pieces):
            return self._extend_singly(events, recv)
        for encoded, count in pieces:
            self._add(encoded, count)
        return range(first, first + len(events))

    def cut(self) -> None:
        """End the current block here."""
        if self._uncut:
            self._cut_end = len(self.data)
            self.cuts.append((self._cut_end, self._uncut))
            self._uncut = 0

    def clear(self) -> None:
        """Forget the records, which are written now."""
        self.data.clear()
        self.cuts.clear()
        self._uncut = self._cut_end = 0

    def _add(self, encoded: bytearray, count: int) -> None:
        if self._uncut + count > CUT_EVENTS or len(self.data) + len(encoded) - self._cut_end > CUT_BYTES:
            self.cut()
        self.data += encoded
        self.last_seq += count
        self._uncut += count
        if self._uncut >= CUT_EVENTS:
            self.cut()

    def _extend_singly(self, events: Sequence[Event], recv: int) -> range:
        """Append large events one by one, so that blocks stay within their limit; all or nothing."""
        first = self.last_seq + 1
        before = (len(self.data), len(self.cuts), self.last_seq, self._uncut, self._cut_end)
        try:
            for event in events:
                self.append(event, None, None, recv)
        except InvalidEvent:
            length, cuts, self.last_seq, self._uncut, self._cut_end = before
            del self.data[length:], self.cuts[cuts:]
            raise
        return range(first, first + len(events))


def _encode(events: Sequence[Event], first: int, recv: int) -> bytearray:
    records: list[Any] = []
    add = records.append
    for seq, event in enumerate(events, first):
        tag, version, quick = _kinds[type(event)]
        if quick(event):
            add((tag, version, seq, recv, seq, None, event))
        else:
            check(event)
            add(record(seq, recv, seq, None, event))
    encoded = bytearray()
    encode_bodies(encoded, records)
    return encoded
