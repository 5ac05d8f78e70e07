"""What a log already holds of imports: rows covered, imports interrupted, definitions made.

Read once from the log when an import begins, then kept up to date by the import itself. Never writes.
"""

from collections.abc import Iterable, Sequence

import msgspec

from core.errors import UsageError
from core.events import (
    DEFINITIONS,
    CorporateAction,
    Event,
    FeedDefined,
    HaltChanged,
    ImportFinished,
    ImportResumed,
    ImportStarted,
    InstrumentDefined,
    RowRejected,
    SessionScheduled,
    SessionStarted,
    SignalReceived,
)
from core.ports import EntryReader, Selection, entries_of

_FRAMES = frozenset[type[Event]]({ImportStarted, ImportResumed, ImportFinished, SessionStarted})
_OTHER_ITEMS = frozenset[type[Event]]({RowRejected, HaltChanged, CorporateAction, SignalReceived})


class FileSlice(msgspec.Struct, frozen=True):
    """`rows` rows of a file from line `first` on; `digest` is the blake2b of the file's bytes."""

    name: str
    digest: str
    first: int
    rows: int


class Covered(msgspec.Struct):
    """Which lines (first, past the last) of one file are in the log, under which meaning, and whether any
    import that took some of them accepted a row."""

    format: str
    spans: list[tuple[int, int]]
    good: bool = False


class Interrupted(msgspec.Struct):
    """An import that was started and not finished; `spans` are the seqs while it was the one running."""

    seq: int
    digest: str
    feed: str
    format: str
    slices: list[FileSlice]
    spans: list[tuple[int, int]]

    def count(self, reader: EntryReader) -> tuple[int, Event | None]:
        """Return how many items it had appended, and the last one.

        Counted by type, because the log's own events (sealed, recovered) may stand between them.
        """
        done, last_seq, last = 0, 0, None
        for first, end in self.spans:
            for chunk in reader.market(
                Selection(first_seq=first, last_seq=end, feeds=frozenset({self.feed}))
            ):
                if len(chunk.events):
                    done += len(chunk.events)
                    last_seq, last = int(chunk.seqs[-1]), chunk.events[-1]
            for batch in reader.entries(Selection(first_seq=first, last_seq=end, types=_OTHER_ITEMS)):
                done += len(batch)
                if batch and batch[-1].seq > last_seq:
                    last_seq, last = batch[-1].seq, batch[-1].event
        return done, last


class History:
    """The imports and definitions of one log."""

    def __init__(self) -> None:
        self._covered: dict[tuple[str, str], Covered] = {}
        self._open: dict[str, Interrupted] = {}
        self._defined: dict[tuple[str, ...], Event] = {}

    @classmethod
    def of(cls, reader: EntryReader) -> "History":
        """Read the history from a log; it fetches a few events an import, never the market data."""
        history = cls()
        for entry in entries_of(reader, DEFINITIONS):
            history._defined[_definition_key(entry.event)] = entry.event
        running: Interrupted | None = None
        began = 0
        for entry in entries_of(reader, _FRAMES):
            if running is not None and entry.seq - 1 > began:
                running.spans.append((began + 1, entry.seq - 1))
            running = history._frame(entry.seq, entry.event)
            began = entry.seq
        if running is not None and reader.last_seq() > began:
            running.spans.append((began + 1, reader.last_seq()))
        return history

    def _frame(self, seq: int, event: Event) -> Interrupted | None:
        """Take an event that starts, resumes or ends an import; return the import that runs after it."""
        match event:
            case ImportStarted():
                pieces = msgspec.json.decode(event.files, type=list[FileSlice])
                started = Interrupted(seq, event.digest, event.feed, event.format, pieces, [])
                self._open[event.digest] = started
                return started
            case ImportResumed():
                return self._open.get(event.digest)
            case ImportFinished():
                done = self._open.get(event.digest)
                if done is not None:
                    self.finished(done.feed, done.format, done.slices, done.digest, good=event.accepted > 0)
        return None

    def finished(
        self, feed: str, format_: str, slices: Iterable[FileSlice], digest: str, *, good: bool
    ) -> None:
        """Note that all rows of an import are in the log, and whether any was accepted."""
        self._open.pop(digest, None)
        for piece in slices:
            covered = self._covered.setdefault((feed, piece.digest), Covered(format_, []))
            covered.spans = sorted([*covered.spans, (piece.first, piece.first + piece.rows)])
            covered.good |= good

    def any_good(self, feed: str, slices: Iterable[FileSlice]) -> bool:
        """Return whether a row of any of these files was ever accepted."""
        found = [self._covered.get((feed, piece.digest)) for piece in slices]
        return any(covered is not None and covered.good for covered in found)

    def interrupted(self, feed: str, slices: Sequence[FileSlice]) -> list[Interrupted]:
        """Return the interrupted imports of a feed that hold rows of `slices`."""
        digests = {piece.digest for piece in slices}
        return [
            held
            for held in self._open.values()
            if held.feed == feed and not digests.isdisjoint(piece.digest for piece in held.slices)
        ]

    def uncovered(self, feed: str, slices: Sequence[FileSlice]) -> list[FileSlice]:
        """Return what is left of `slices` without the rows that finished imports hold."""
        left: list[FileSlice] = []
        for piece in slices:
            line, end = piece.first, piece.first + piece.rows
            covered = self._covered.get((feed, piece.digest))
            for first, past in [*(covered.spans if covered else ()), (end, end)]:
                if line < min(first, end):
                    left.append(FileSlice(piece.name, piece.digest, line, min(first, end) - line))
                line = max(line, past)
        return left

    def refuse_other_meaning(self, feed: str, format_: str, slices: Sequence[FileSlice]) -> None:
        """Raise `UsageError` if a file is in this feed already, but was read with other options."""
        earlier = [
            (held.format, piece.digest)
            for held in self._open.values()
            if held.feed == feed
            for piece in held.slices
        ]
        for piece in slices:
            covered = self._covered.get((feed, piece.digest))
            formats = {form for form, digest in earlier if digest == piece.digest}
            if covered is not None:
                formats.add(covered.format)
            for other in sorted(formats - {format_}):
                raise UsageError(
                    f"{piece.name}: feed {feed!r} already holds this file, read as {other!r}; now it would "
                    f"be read as {format_!r}; use the same options again, or give these rows a feed of "
                    f"their own with --feed NAME"
                )

    def define(self, event: Event) -> bool:
        """Return whether a definition is new or changed, and remember it."""
        key = _definition_key(event)
        known = self._defined.get(key)
        if known is not None and same_definition(known, event):
            return False
        self._defined[key] = event
        return True


def same_definition(one: Event, other: Event) -> bool:
    """Return whether two definitions say the same, whenever they were made."""
    return type(one) is type(other) and msgspec.structs.replace(one, ts=other.ts) == other


def _definition_key(event: Event) -> tuple[str, ...]:
    match event:
        case FeedDefined():
            return ("feed", event.feed)
        case InstrumentDefined():
            return ("instrument", event.instrument)
        case SessionScheduled():
            return ("session", event.exchange, event.date)
    raise TypeError(f"{type(event).__name__} is not a definition")
