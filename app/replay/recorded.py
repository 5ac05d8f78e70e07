"""The recorded sessions of a log: which there are of some dates, where each begins and ends, what it ran.

Feeding one through its strategies again is `app.live.proving`'s; a plain replay only asks what there is.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.composition.seating import StrategySpec
from core.clock import iso
from core.errors import DataMissing
from core.events import Event, ImportResumed, ImportStarted, SessionEnded, SessionScheduled, SessionStarted
from core.ports import Selection, entries_of
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader

_DAYS = frozenset[type[Event]]({SessionScheduled})
_STARTS = frozenset[type[Event]]({SessionStarted})
_FRAMES = frozenset[type[Event]]({SessionStarted, SessionEnded, ImportStarted, ImportResumed})
_MODES = frozenset(("demo", "live", "observe"))


class Recorded(msgspec.Struct, frozen=True):
    """A session in the log: what it started with, and its first and last seq."""

    started: SessionStarted
    first_seq: int
    last_seq: int


def recorded_sessions(reader: LogReader, first: str, last: str) -> list[Recorded]:
    """Return the recorded sessions of these session dates, oldest first.

    A session belongs to the dates of all exchange sessions that it had a part of; one that ran while no
    exchange was open (a holiday, a weekend) to its dates in UTC. One whose process was killed has no end of
    its own: it goes up to the next session or import.
    """
    if not any(entries_of(reader, _STARTS)):  # as in a log of imports alone
        return []
    told = list(entries_of(reader, _DAYS | _FRAMES))
    days = [entry.event for entry in told if isinstance(entry.event, SessionScheduled)]
    frames = [entry for entry in told if type(entry.event) in _FRAMES]
    found: list[Recorded] = []
    for place, entry in enumerate(frames):
        event = entry.event
        if not isinstance(event, SessionStarted) or event.mode not in _MODES:
            continue
        after = frames[place + 1] if place + 1 < len(frames) else None
        ended = after is not None and isinstance(after.event, SessionEnded)
        end = reader.last_seq() if after is None else after.seq if ended else after.seq - 1
        until = after.event.ts if after is not None and ended else _last_ts(reader, entry.seq, end, event.ts)
        dates = [day.date for day in days if day.begin <= until and event.ts < day.end]
        dates = dates or [iso(event.ts)[:10], iso(until)[:10]]
        if min(dates) <= last and max(dates) >= first:
            found.append(Recorded(event, entry.seq, end))
    return found


def session_of(reader: LogReader, run: RunReader) -> Recorded:
    """Return the recorded session that a run is the proof of."""
    first, last = run.summary["content"]
    for batch in reader.entries(Selection(first_seq=first, last_seq=first)):
        for entry in batch:
            if isinstance(entry.event, SessionStarted):
                return Recorded(entry.event, first, last)
    raise DataMissing(f"run {run.id} is the proof of a session that is not in this log")


def specs_of(started: SessionStarted) -> list[StrategySpec]:
    """Return the strategies that a session ran, as they were asked for."""
    told: Sequence[dict[str, Any]] = msgspec.json.decode(started.strategies)
    return [StrategySpec(s["spec"], s["parameters"], s["id"]) for s in told]


def _last_ts(reader: LogReader, first_seq: int, last_seq: int, ts: int) -> int:
    """Return the time that a session without an end had come to."""
    from adapters.replay.recorded import INPUTS  # noqa: PLC0415  # a plain replay meets none that broke off

    chosen = Selection(first_seq=first_seq, last_seq=last_seq, types=INPUTS)
    return max((e.event.ts for batch in reader.entries(chosen) for e in batch), default=ts)
