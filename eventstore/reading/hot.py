"""Reading the hot journal while it may be written: up to the last whole valid block, never beyond.

A segment with a successor is valid up to exactly the length its successor states; the last one is valid
as far as its blocks hold. What ends the last one early (a writer at work, a torn tail, damage) is for
recovery and `verify` to judge; a reader takes the good prefix. Segments may vanish at any moment,
because sealing unlinks them: `FileNotFoundError` means "look again".
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from core.errors import CorruptLog
from eventstore.journal.blocks import Block
from eventstore.journal.segments import (
    SEGMENT_HEADER_BYTES,
    Position,
    SegmentHeader,
    Walk,
    first_position,
    read_header,
)
from eventstore.layout import Layout, segment_number
from eventstore.manifests.manifest import SealedPart


class HotSegment(msgspec.Struct, frozen=True):
    """A segment of the hot journal; `valid_length` is `None` for the last one."""

    path: Path
    header: SegmentHeader
    valid_length: int | None

    @property
    def first_seq(self) -> int:
        """The first seq that it holds or will hold."""
        return self.header.first_seq

    def mentions(self, tags: Sequence[bytes]) -> bool:
        """Return whether there may be a record with one of these encoded tags; nothing is checked."""
        return mentions(self.path.read_bytes(), tags)

    def blocks(self) -> Iterator[Block]:
        """Yield its blocks; raises `CorruptLog` if a closed segment ends early."""
        data = self.path.read_bytes()
        if self.valid_length is not None:
            data = data[: self.valid_length]
        walk = Walk(self.path, self.header.store, data=data)
        yield from walk
        if self.valid_length is not None and walk.position.offset != self.valid_length:
            raise CorruptLog(
                f"{self.path}: offset {walk.position.offset}: {walk.damage or 'the file ends'}; it was "
                f"valid up to {self.valid_length}: run `tape verify`"
            )

    def end(self, since: Position | None = None) -> Position:
        """Return where its valid blocks end, looking from a known position on."""
        walk = Walk(self.path, self.header.store, position=since or first_position(self.header))
        for _ in walk:
            pass
        return walk.position


def mentions(data: bytes | memoryview, tags: Sequence[bytes]) -> bool:
    """Return whether there may be a record with one of these encoded tags: each record holds its own."""
    searched = bytes(data)
    return any(tag in searched for tag in tags)


def hot_segments(layout: Layout) -> list[HotSegment]:
    """Return the segments of the hot journal in order, as of now."""
    found = [(path, header) for path in layout.segments() if (header := _header(path))]
    ends = {header.previous_number: header.previous_length for _, header in found}
    return [HotSegment(path, header, ends.get(header.number)) for path, header in found]


class Sealed(Protocol):
    """A sealed directory, as far as its name tells; it holds whole segments."""

    @property
    def first_seq(self) -> int:
        """The first seq it holds."""

    @property
    def last_seq(self) -> int:
        """The last seq it holds."""


_S = TypeVar("_S", bound=Sealed)


def only_hot(
    segments: Sequence[HotSegment], sealed: Sequence[_S], part: Callable[[_S], SealedPart]
) -> list[HotSegment]:
    """Return the segments that are not sealed, each with its length if a sealed successor states it.

    `sealed` are in seq order; the manifest is read, by `part`, of such a successor alone. Sealing goes
    segment by segment and one of them may have failed, so the last sealed seq says nothing about the
    segments before it.
    """
    firsts = [span.first_seq for span in sealed]
    found = []
    for segment in segments:
        following = bisect_right(firsts, segment.first_seq)
        if following and segment.first_seq <= sealed[following - 1].last_seq:
            continue
        if segment.valid_length is None and following < len(sealed):
            successors = part(sealed[following]).manifest.segments
            ends = {each.previous_number: each.previous_length for each in successors}
            found.append(HotSegment(segment.path, segment.header, ends.get(segment.header.number)))
        else:
            found.append(segment)
    return found


def _header(path: Path) -> SegmentHeader | None:
    try:
        header = read_header(path)
    except FileNotFoundError:
        return None  # sealed and unlinked since it was listed
    except CorruptLog:
        # A writer makes the file before its header: too short is not damage in a reader's eyes. It may
        # have become whole since.
        if not path.exists() or path.stat().st_size < SEGMENT_HEADER_BYTES:
            return None
        header = _whole_header(path)
    if header.number != segment_number(path):
        raise CorruptLog(f"{path}: offset 24: the header says segment {header.number}: it was renamed")
    return header


def _whole_header(path: Path) -> SegmentHeader:
    try:
        return read_header(path)
    except CorruptLog as error:
        raise CorruptLog(f"{error}: run `tape verify`") from error
