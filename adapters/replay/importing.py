"""The one import pipeline: sets of files in, events on a log out, each row once.

A format reader describes its files as `ImportSet`s: slices of rows with the digest of their file, and
how to make the items (events or `RowRejected`) of these rows in a fixed order. This module decides what
is new, continues what was interrupted, appends in chunks and counts. A row's identity is (feed, digest
of its file, row number), so identical rows are real and the same file again changes nothing. It never
opens a log and never decides a file's meaning.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from adapters.replay.gaps import Gap, GapFinder
from adapters.replay.held_bars import HeldBars, Spans
from adapters.replay.history import FileSlice, History, Interrupted
from core.errors import UsageError
from core.events import (
    Event,
    ImportFinished,
    ImportResumed,
    ImportStarted,
    InstrumentDefined,
    RowRejected,
    SessionScheduled,
)
from core.ports import EntryReader, Recorder

CHUNK_ITEMS = 10_000
REJECTIONS_SHOWN_MAX = 1_000

Progress = Callable[[int, int | None], None]
"""Called with the rows done and the rows in all, if known."""


class ImportWriter(Recorder, Protocol):
    """What an import needs of a log's single writer."""

    def extend(self, events: Sequence[Event]) -> range:
        """Append inputs that were received together; return their seqs."""


class Definitions(NamedTuple):
    """Definitions that the items after them refer to, where they are known only while reading."""

    events: Sequence[Event]


class ImportSet(msgspec.Struct, frozen=True):
    """Files that are merged and appended together.

    `format` states, in words that never change, all options that give rows their meaning. `items` must
    give exactly one item a row, the same ones each time, in lists; `definitions`, and `Definitions` between
    the lists, are what these rows refer to.
    """

    feed: str
    format: str
    slices: tuple[FileSlice, ...]
    definitions: Callable[[], Sequence[Event]]
    items: Callable[[Sequence[FileSlice]], Iterator[list[Event] | Definitions]]
    held: HeldBars | None = None
    """What `items` asks which bars the log holds already."""

    @property
    def rows(self) -> int:
        """The number of rows in all slices."""
        return sum(part.rows for part in self.slices)


class ImportResult(msgspec.Struct):
    """What an import did; `read` = `accepted` + `duplicates` + `rejected`.

    `duplicates` are rows that were in the log before, `resumed` those of them that an interrupted import
    had appended. `rejections` holds the first of the rejected rows. Seqs are 0 if nothing was appended.
    """

    feed: str = ""
    format: str = ""
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    resumed: int = 0
    files: list[str] = msgspec.field(default_factory=list)
    instruments: list[str] = msgspec.field(default_factory=list)
    dates: list[str] = msgspec.field(default_factory=list)
    actions: int = 0
    """Splits and dividends that were read with the rows (and are not counted with them)."""
    gaps: list[Gap] = msgspec.field(default_factory=list)
    rejections: list[RowRejected] = msgspec.field(default_factory=list)
    first_seq: int = 0
    last_seq: int = 0
    any_good: bool = False
    """Whether a row of these files is in the log as an event."""

    @property
    def is_refused(self) -> bool:
        """Whether there were rows, and every one was rejected, by this import or an earlier one."""
        return self.read > 0 and not self.any_good


def digest_of(data: bytes) -> str:
    """Return the digest that names a file's content."""
    return blake2b(data, digest_size=16).hexdigest()


def import_sets(
    writer: ImportWriter, reader: EntryReader, sets: Iterable[ImportSet], progress: Progress | None = None
) -> ImportResult:
    """Append what the log does not hold yet of `sets`, each set finished durably before the next is taken.

    Raises `UsageError` if a file is in the log under another meaning, or if an interrupted import cannot
    be continued with the files given.
    """
    total = sum(part.rows for part in sets) if isinstance(sets, Sequence) else None
    run = _Run(writer, reader, total, progress)
    for part in sets:
        run.take(part)
    return run.result()


class _Run:
    def __init__(
        self, writer: ImportWriter, reader: EntryReader, total: int | None, progress: Progress | None
    ) -> None:
        self._writer = writer
        self._history = History.of(reader)
        self._reader = reader
        self._total = total
        self._progress = progress
        self._gaps = GapFinder()
        self._spans: Spans | None = None
        self._result = ImportResult()

    def result(self) -> ImportResult:
        result = self._result
        result.gaps = self._gaps.finish()
        result.instruments = sorted(self._gaps.instruments)
        result.dates = sorted(self._gaps.dates)
        result.read = result.accepted + result.duplicates + result.rejected
        return result

    def take(self, part: ImportSet) -> None:
        result = self._result
        result.feed, result.format = part.feed, part.format
        result.files += [piece.name for piece in part.slices if piece.name not in result.files]
        self._history.refuse_other_meaning(part.feed, part.format, part.slices)
        new = self._history.uncovered(part.feed, part.slices)
        result.duplicates += part.rows - sum(piece.rows for piece in new)
        self._advance()
        for interrupted in self._history.interrupted(part.feed, new):
            self._resume(part, interrupted)
        new = self._history.uncovered(part.feed, part.slices)
        if new:
            self._start(part, new)
        result.any_good |= self._history.any_good(part.feed, part.slices)

    def _start(self, part: ImportSet, slices: Sequence[FileSlice]) -> None:
        digest = set_digest(part.feed, part.format, slices)
        files = msgspec.json.encode(slices).decode()
        definitions = part.definitions()
        ts = min((event.ts for event in definitions), default=0)
        started = ImportStarted(ts, digest=digest, feed=part.feed, format=part.format, files=files)
        first = self._writer.append(started)
        self._seen(first)
        self._look(part, first)
        self._append(part, slices, digest, definitions, done=0, last=None)

    def _resume(self, part: ImportSet, interrupted: Interrupted) -> None:
        by_digest = {piece.digest: piece.name for piece in part.slices}
        for piece in interrupted.slices:
            if piece.digest not in by_digest:
                raise UsageError(
                    f"{piece.name}: an import of this file was interrupted (log seq {interrupted.seq}) and "
                    f"its content has changed or is not among the files given; import the original files "
                    f"again to finish it, or import into a new log with --log DIR"
                )
        slices = [FileSlice(by_digest[p.digest], p.digest, p.first, p.rows) for p in interrupted.slices]
        done, last = interrupted.count(self._reader)
        self._result.resumed += done
        self._result.duplicates += done
        definitions = part.definitions()
        ts = last.ts if last is not None else min((event.ts for event in definitions), default=0)
        self._look(part, interrupted.seq)
        self._seen(self._writer.append(ImportResumed(ts, digest=interrupted.digest, done=done)))
        self._append(part, slices, interrupted.digest, definitions, done=done, last=last)

    def _look(self, part: ImportSet, before: int) -> None:
        if part.held is not None:
            if self._spans is None:
                self._spans = Spans(self._reader.coverage())
            part.held.look(self._reader, self._spans, before)

    def _append(
        self,
        part: ImportSet,
        slices: Sequence[FileSlice],
        digest: str,
        definitions: Sequence[Event],
        *,
        done: int,
        last: Event | None,
    ) -> None:
        self._gaps.next_set()
        self._define(definitions)
        read = rejected = 0
        first_ts: int | None = None
        last_ts: int | None = None
        for items in part.items(slices):
            if isinstance(items, Definitions):
                self._define(items.events)
                continue
            # The first `done` items are in the log: make them again, compare the last, append none.
            skip = max(0, min(len(items), done - read))
            if skip and read + skip == done and items[skip - 1] != last:
                raise UsageError(
                    f"{slices[0].name}: its interrupted import was made by another version "
                    f"of the importer: its row {done} reads differently now; import into a new log "
                    f"with --log DIR"
                )
            read += len(items)
            rejected += self._take(items, skip)
            times = [item.ts for item in items if type(item) is not RowRejected]
            if times:
                first_ts, last_ts = times[0] if first_ts is None else first_ts, times[-1]
        expected = sum(piece.rows for piece in slices)
        assert read == expected, f"{slices[0].name}: {read} items from {expected} rows"
        finished = ImportFinished(
            last_ts or min((event.ts for event in definitions), default=0),
            digest=digest,
            read=read,
            accepted=read - rejected,
            rejected=rejected,
            first_ts=first_ts,
            last_ts=last_ts,
        )
        self._seen(self._writer.append(finished))
        self._writer.commit(sync=True)
        if part.held is not None:
            part.held.finish()
        self._history.finished(part.feed, part.format, slices, digest, good=read > rejected)

    def _define(self, definitions: Sequence[Event]) -> None:
        for event in definitions:
            if isinstance(event, SessionScheduled):
                self._gaps.schedule(event)
            elif isinstance(event, InstrumentDefined):
                self._gaps.listed(event)
            if self._history.define(event):
                self._seen(self._writer.append(event))

    def _take(self, items: list[Event], skip: int) -> int:
        """Append all but the first `skip` items; return how many of all of them are rejected rows."""
        rejections = [item for item in items if type(item) is RowRejected]
        new = items[skip:] if skip else items
        for first in range(0, len(new), CHUNK_ITEMS):
            chunk = new[first : first + CHUNK_ITEMS]
            seqs = self._writer.extend(chunk)
            self._seen(seqs[0])
            self._seen(seqs[-1])
            self._writer.commit(sync=False)
        bad = rejections if not skip else [item for item in new if type(item) is RowRejected]
        room = REJECTIONS_SHOWN_MAX - len(self._result.rejections)
        self._result.rejections += islice(bad, max(0, room))
        self._result.rejected += len(bad)
        self._result.accepted += len(new) - len(bad)
        self._gaps.observe(items)
        self._advance()
        return len(rejections)

    def _seen(self, seq: int) -> None:
        self._result.first_seq = self._result.first_seq or seq
        self._result.last_seq = seq

    def _advance(self) -> None:
        if self._progress is not None:
            done = self._result.accepted + self._result.rejected + self._result.duplicates
            self._progress(done, self._total)


def set_digest(feed: str, format_: str, slices: Sequence[FileSlice]) -> str:
    """Return the digest of an import: feed, meaning, and which rows of which content."""
    rows = [[piece.digest, piece.first, piece.rows] for piece in slices]
    return digest_of(msgspec.json.encode([feed, format_, rows]))


__all__ = [
    "Definitions",
    "FileSlice",
    "Gap",
    "ImportResult",
    "ImportSet",
    "ImportWriter",
    "Progress",
    "digest_of",
    "import_sets",
    "set_digest",
]
