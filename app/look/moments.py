"""Moments in a book: what `--at` says, and which entries belong to a moment.

A log is cut by seq. A run numbers its own events and takes those of the log by time, so that it is cut where
the replay was when it took the input. Pure, but for the entry that a seq names.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from app.look.books import Book
from app.look.seqs import parse_seq
from core.clock import from_datetime
from core.errors import UsageError
from core.events import BY_TYPE, Bar, Entry, Event, QuoteBar, Unknown
from core.ports import RUN_BASE


class Moment(msgspec.Struct, frozen=True):
    """A point in a book: everything up to `seq`, or everything whose clock is not after `ts`.

    `input_seq` is the seq of the log's event that was being processed then, where it is known, `tag` is
    what kind of event is at `seq`.
    """

    seq: int | None
    ts: int
    input_seq: int | None = None
    tag: str = ""


def parse_moment(text: str, book: Book) -> Moment:
    """Read `--at`: a seq, or a time in ISO 8601 (without an offset: UTC).

    Raises `UsageError` for what is neither, `DataMissing` for a seq that there is not.
    """
    seq = parse_seq(text)
    if seq is None:
        return Moment(None, parse_time(text))
    entry = book.entry(seq)
    return Moment(entry.seq, entry.event.ts, entry.at if entry.at < RUN_BASE else None, tag_of(entry.event))


def tag_of(event: Event) -> str:
    """Return the tag of an event's type, of one that this version does not know, too."""
    return event.tag if isinstance(event, Unknown) else BY_TYPE[type(event)].tag


def parse_time(text: str) -> int:
    """Return ns since 1970 UTC for an ISO 8601 time, up to nanoseconds; without an offset it is UTC."""
    match = re.fullmatch(
        r"(.+?:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?|(\d{4}-\d\d-\d\d)",
        text.strip(),
        re.ASCII,
    )
    if not match:
        raise UsageError(f"{text!r} is neither a seq nor a time such as 2025-07-02T14:30:00.25Z")
    try:
        moment = datetime.fromisoformat((match[1] or match[4]) + (match[3] or ""))
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time; expected such as 2025-07-02T14:30:00.25Z, or a date"
        ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return from_datetime(aware) + int((match[2] or "").ljust(9, "0"))


def until(entries: Iterable[Entry], moment: Moment | None) -> Iterator[Entry]:
    """Yield the entries up to a moment, in order.

    Of a log a seq cuts by seq. Of a run it cuts after the last slice that began at or before that input:
    run events carry the input's seq in `at`, and replay goes by time. A time cuts by clock, which is
    the running maximum of `ts`.
    """
    clock = 0
    for entry in entries:
        clock = max(clock, entry.event.ts)
        if moment is None:
            yield entry
        elif moment.seq is None:
            if clock <= moment.ts:
                yield entry
        elif (moment.seq > RUN_BASE) == (entry.seq > RUN_BASE):
            if entry.seq <= moment.seq:
                yield entry
        elif entry.seq < RUN_BASE:
            if entry.event.ts <= moment.ts:
                yield entry
        elif (clock, entry.at if entry.at < RUN_BASE else 0) <= (moment.ts, moment.seq):
            yield entry


def last_of_log(book: Book, moment: Moment) -> int | None:
    """Return the last seq that belongs to a moment in the log, `None` where the moment goes by time."""
    in_log_order = book.run is None or "session" in book.run.summary
    return moment.seq if moment.seq is not None and moment.seq < RUN_BASE and in_log_order else None


def comes_later(seq: int, event: Event, moment: Moment) -> bool:
    """Return whether a replay took an event of the moment's own instant after the moment's input.

    Ticks that share a time are taken one by one; bars with one end are folded together.
    """
    if moment.input_seq is None or event.ts != moment.ts or isinstance(event, Bar | QuoteBar):
        return False
    return seq > moment.input_seq
