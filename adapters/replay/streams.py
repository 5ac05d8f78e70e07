"""Which parts of a log belong together in time: spans of seqs that can be read one after another.

A recorded session is one stream: its order is `seq`. Imports are spans of their own: two files of the
same day were appended one after the other and must be merged by time. Spans that follow each other
in time share a stream, so that 250 daily files are one stream and not 250.
"""

from collections.abc import Iterable, Sequence

import msgspec

from core.events import (
    Entry,
    Event,
    ImportFinished,
    ImportResumed,
    ImportStarted,
    SessionEnded,
    SessionStarted,
)

FRAMES = frozenset[type[Event]]({ImportStarted, ImportResumed, ImportFinished, SessionStarted, SessionEnded})


class Span(msgspec.Struct, frozen=True):
    """Consecutive seqs of one import or session. `feed` is empty for a session, which may hold many.

    `first_ts` and `last_ts` bound its market data, where they are known (finished imports).
    """

    first_seq: int
    last_seq: int
    feed: str = ""
    first_ts: int | None = None
    last_ts: int | None = None


class Stream(msgspec.Struct, frozen=True):
    """Spans in time order, one feed (or recorded sessions)."""

    feed: str
    spans: tuple[Span, ...]


def spans_of(frames: Iterable[Sequence[Entry]], last_seq: int) -> list[Span]:
    """Return the spans that the framing events of a log cut it into; `last_seq` ends the last one."""
    starts: list[tuple[int, str]] = [(1, "")]
    times: dict[int, tuple[int | None, int | None]] = {}
    feeds: dict[str, str] = {}
    for batch in frames:
        for entry in batch:
            event = entry.event
            if isinstance(event, ImportStarted):
                feeds[event.digest] = event.feed
                starts.append((entry.seq, event.feed))
            elif isinstance(event, ImportResumed):
                starts.append((entry.seq, feeds.get(event.digest, "")))
            elif isinstance(event, SessionStarted):
                starts.append((entry.seq, ""))
            elif isinstance(event, ImportFinished):
                times[starts[-1][0]] = (event.first_ts, event.last_ts)
    ends = [first - 1 for first, _ in starts[1:]] + [last_seq]
    return [
        Span(first, last, feed, *times.get(first, (None, None)))
        for (first, feed), last in zip(starts, ends, strict=True)
        if last >= first
    ]


def join(spans: Sequence[Span]) -> list[Stream]:
    """Return the fewest streams: a span joins the first stream of its feed that ends before it begins."""
    streams: list[list[Span]] = []
    for span in sorted(spans, key=lambda s: (s.first_ts if s.first_ts is not None else -1, s.first_seq)):
        for stream in streams:
            if _follows(stream[-1], span):
                stream.append(span)
                break
        else:
            streams.append([span])
    return [Stream(stream[0].feed, tuple(_contiguous(stream))) for stream in streams]


def _follows(earlier: Span, later: Span) -> bool:
    if earlier.feed != later.feed:
        return False
    if not later.feed:
        return later.first_seq > earlier.last_seq  # recorded sessions: by seq alone
    known = earlier.last_ts is not None and later.first_ts is not None
    return known and earlier.last_ts <= later.first_ts  # type: ignore[operator]


def _contiguous(spans: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].last_seq + 1 == span.first_seq:
            before = joined[-1]
            joined[-1] = Span(before.first_seq, span.last_seq, before.feed, before.first_ts, span.last_ts)
        else:
            joined.append(span)
    return joined
