"""Reading a log from any process, sealed and hot together, while it may still be written.

A reader takes no lock and writes nothing. It lists the hot journal first and the sealed directories
second: an event moves from hot to sealed only, so in this order none is missed, and what is found
twice is taken from sealed. Names say where which seqs are; a manifest is read when its directory is
come to. A segment whose sealing failed stays hot between sealed directories and is read in its place.
It reads by position: if a file vanishes under it (a seal, a compaction), it lists again and goes on at
the next seq. Sealed files are checked against their digests once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import CorruptLog, DataMissing
from core.events import BY_TYPE, MARKET_DATA, Entry
from core.ports import Coverage, MarketChunk, Selection
from eventstore.codec import decode_records
from eventstore.journal.segments import Position
from eventstore.layout import Layout
from eventstore.manifests.catalogue import Catalogue, Span
from eventstore.manifests.manifest import Extent, SealedPart
from eventstore.reading import coverage
from eventstore.reading.hot import HotSegment, hot_segments, mentions, only_hot
from eventstore.reading.merging import MAX_ROWS, Rows, as_rows
from eventstore.reading.sealed import read_sealed
from eventstore.reading.selecting import chosen

_ALL = Selection()
_MAX_RETRIES = 100


class Snapshot(msgspec.Struct, frozen=True):
    """What there is to read at one moment, in seq order: sealed directories, and what is only hot."""

    sealed: list[Span]
    hot: list[HotSegment]

    def pieces(self, end: int) -> list["Piece"]:
        """Return what to read up to seq `end`, in seq order; a hot piece ends where the next one starts."""
        sources: list[Span | HotSegment] = [*self.sealed, *self.hot]
        sources.sort(key=lambda source: source.first_seq)
        following = [source.first_seq - 1 for source in sources[1:]] + [end]
        return [
            Piece(source, source.first_seq, source.last_seq if isinstance(source, Span) else last)
            for source, last in zip(sources, following, strict=True)
        ]


class Piece(NamedTuple):
    """One place to read from, and the seqs to read there (inclusive; none if the last is the smaller)."""

    source: Span | HotSegment
    first_seq: int
    last_seq: int


class LogReader:
    """Read the log at `root`; implements `core.ports.EntryReader`. Not for use by several threads."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._layout = Layout(self.root)
        self._catalogue = Catalogue(self.root)
        self._checked: set[Path] = set()
        self._tail: tuple[int, Position | None] = (0, None)
        if not self._layout.exists():
            raise DataMissing(f"{self.root}: there is no log here; `tape import` or `tape replay` makes one")

    def snapshot(self) -> Snapshot:
        """List what there is now: hot first, sealed second. As a rule it reads no manifest."""
        for _ in range(_MAX_RETRIES):
            hot = hot_segments(self._layout)
            sealed = self._catalogue.spans()
            try:
                return Snapshot(sealed, only_hot(hot, sealed, self._catalogue.part))
            except FileNotFoundError:
                continue  # replaced by a compaction since it was listed
        raise self._vanishing()

    def last_seq(self) -> int:
        """Return the last seq that can be read now; 0 for an empty log. Cheap when called again."""
        return self._last()[0]

    def _last(self) -> tuple[int, Snapshot]:
        """Return the last seq that can be read now, and what it is read from."""
        for _ in range(_MAX_RETRIES):
            snapshot = self.snapshot()
            sealed_to = snapshot.sealed[-1].last_seq if snapshot.sealed else 0
            if not snapshot.hot:
                return sealed_to, snapshot
            try:
                return max(sealed_to, self._end_of(snapshot.hot[-1])), snapshot
            except FileNotFoundError:
                continue  # rolled and sealed since it was listed
        raise self._vanishing()

    def _vanishing(self) -> CorruptLog:
        return CorruptLog(f"{self.root}: its files keep vanishing while they are read")

    def _end_of(self, segment: HotSegment) -> int:
        number, since = self._tail
        end = segment.end(since if number == segment.header.number else None)
        self._tail = (segment.header.number, end)
        return end.next_seq - 1

    def entries(self, selection: Selection = _ALL) -> Iterator[Sequence[Entry]]:
        """Yield batches of entries in seq order, up to the last seq at the time of the call.

        Raises `CorruptLog` for damage and for a gap between files.
        """
        for rows in self._rows(selection, as_entries=True):
            yield rows.items

    def market(self, selection: Selection = _ALL) -> Iterator[MarketChunk]:
        """Yield market data in seq order, at most 65,536 rows at a time; see `entries`."""
        types = frozenset(MARKET_DATA) if selection.types is None else selection.types & set(MARKET_DATA)
        if not types:
            return
        for rows in self._rows(msgspec.structs.replace(selection, types=types), as_entries=False):
            yield MarketChunk(rows.seqs, rows.ts, rows.items)

    def coverage(self) -> list[Coverage]:
        """Return what market data there are, by type, feed and instrument."""
        for _ in range(_MAX_RETRIES):
            try:
                return self._coverage()
            except FileNotFoundError:
                continue  # replaced by a compaction since it was listed
        raise self._vanishing()

    def _coverage(self) -> list[Coverage]:
        found: list[tuple[coverage.Key, Extent]] = []
        last, snapshot = self._last()
        for piece in snapshot.pieces(last):
            if isinstance(piece.source, Span):
                found += coverage.of_part(self._catalogue.part(piece.source))
                continue
            for chunk in self.market(Selection(first_seq=piece.first_seq, last_seq=piece.last_seq)):
                found += coverage.of_chunk(chunk)
        return coverage.merge(found)

    def follow(
        self, from_seq: int, wait: Callable[[], bool], selection: Selection = _ALL
    ) -> Iterator[Sequence[Entry]]:
        """Yield batches from `from_seq` on as the log grows; end when `wait` returns `False`.

        `wait` is called whenever all that is there has been read: it sleeps, or decides to stop.
        """
        position = from_seq
        while True:
            last = self.last_seq()
            if last >= position:
                yield from self.entries(msgspec.structs.replace(selection, first_seq=position, last_seq=last))
                position = last + 1
            elif not wait():
                return

    def _rows(self, selection: Selection, *, as_entries: bool) -> Iterator[Rows]:
        """Yield rows part by part; `position` is the first seq that was not read yet."""
        position, retries = max(1, selection.first_seq), 0
        end, snapshot = self._end(selection)
        while position <= end:
            pieces = snapshot.pieces(end)
            try:
                for first, last, rows in self._parts(pieces, position, end, selection, as_entries=as_entries):
                    if first > position:
                        raise CorruptLog(
                            f"{self.root}: seqs {position}..{first - 1} are in no file: run `tape verify`"
                        )
                    for some in rows:
                        yield some
                        position = int(some.seqs[-1]) + 1
                    position = max(position, last + 1)
                    retries = 0
                if position <= end:
                    raise CorruptLog(f"{self.root}: seqs {position}..{end} are in no file: run `tape verify`")
            except FileNotFoundError as error:
                retries += 1
                if retries > _MAX_RETRIES:
                    raise CorruptLog(
                        f"{error.filename}: this file is listed but cannot be opened: run `tape verify`"
                    ) from error
                snapshot = self.snapshot()

    def _end(self, selection: Selection) -> tuple[int, Snapshot]:
        """Return the last seq to read, and what to read it from.

        Where sealed directories alone hold all that is asked for, nothing hot is looked at.
        """
        wanted = selection.last_seq
        if wanted is not None:
            first = max(1, selection.first_seq)
            sealed = self._catalogue.spans(first, wanted)
            if _tiled(sealed, first, wanted):
                return wanted, Snapshot(sealed, [])
        last, snapshot = self._last()
        return last if wanted is None else min(wanted, last), snapshot

    def _parts(
        self, pieces: Iterable[Piece], position: int, end: int, selection: Selection, *, as_entries: bool
    ) -> Iterator[tuple[int, int, Iterator[Rows]]]:
        """Yield first seq, last seq and rows of each piece that reaches into `position`..`end`."""
        for source, first, last in pieces:
            if last < max(position, first) or first > end:
                continue
            wanted = _within(selection, max(position, first), min(end, last))
            if isinstance(source, Span):
                part = self._catalogue.part(source)
                yield first, last, read_sealed(part, wanted, self._check, as_entries=as_entries)
            else:
                yield first, last, _hot_rows(source, wanted, as_entries=as_entries)

    def _check(self, part: SealedPart, name: str) -> None:
        path = part.path / name
        if path not in self._checked:
            part.check(name)
            self._checked.add(path)


def _tiled(spans: Sequence[Span], first_seq: int, last_seq: int) -> bool:
    """Return whether directories in seq order hold each of these seqs."""
    following = first_seq
    for span in spans:
        if span.first_seq > following:
            return False
        following = span.last_seq + 1
    return following > last_seq


def _within(selection: Selection, first_seq: int, last_seq: int) -> Selection:
    return msgspec.structs.replace(selection, first_seq=first_seq, last_seq=last_seq)


def _hot_rows(segment: HotSegment, selection: Selection, *, as_entries: bool) -> Iterator[Rows]:
    tags = _tags(selection)
    if tags and not segment.mentions(tags):
        return
    pending: list[Entry] = []
    last_seq = selection.last_seq or 0
    for block in segment.blocks():
        if block.last_seq < selection.first_seq or block.first_seq > last_seq:
            continue
        # A search for a few bytes costs a hundredth of what decoding does, and most blocks hold ticks alone.
        if tags and not mentions(block.payload, tags):
            continue
        pending += chosen(selection, decode_records(block.payload))
        while len(pending) >= MAX_ROWS:
            yield as_rows(pending[:MAX_ROWS], as_entries=as_entries)
            del pending[:MAX_ROWS]
    if pending:
        yield as_rows(pending, as_entries=as_entries)


def _tags(selection: Selection) -> list[bytes]:
    """Return how records of the selected types begin, one form each; nothing if any record may be one."""
    if selection.types is None or not selection.types <= BY_TYPE.keys():
        return []  # with what is not known: its tag is not either
    return [msgspec.msgpack.encode(BY_TYPE[event_type].tag) for event_type in selection.types]
