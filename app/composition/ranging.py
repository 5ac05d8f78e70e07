"""The ranges that exits go by, and what the log has of them from before a live session.

A session that begins, or begins again, knows the ranges of the time before from the log: market data before
its start, in the seqs before its first. A proof reads the same. Reads the log, writes nothing.
"""

from collections.abc import Iterable

from core.clock import DAY_NS
from core.events import Bar, Entry, Event, Trade
from core.exits.ranges import TrueRanges
from core.exits.rules import ExitRules
from core.ports import EntryReader, Selection
from core.resolutions import resolution_of
from projections.sessions import Sessions

_CLOSED_NS = 5 * DAY_NS
"""How long an exchange may be closed: bars are looked for behind it."""


def ranges_of(exits: ExitRules) -> TrueRanges:
    """Return the ranges that exits go by, knowing nothing yet."""
    return TrueRanges(exits.atr_length, resolution_of(exits.atr_bar).length_ns)


def warmed(
    exits: ExitRules,
    reader: EntryReader,
    sessions: Sessions,
    instruments: Iterable[str],
    before_seq: int,
    start_ts: int,
) -> TrueRanges | None:
    """Return the ranges as they are at `start_ts` by the log's entries before `before_seq`; `None` if unused.

    Of bars those of some days are read, of trades the last of the session before and of this one: about twice
    the length of a range each, and a day at the most.
    """
    if not exits.by_range:
        return None
    ranges = ranges_of(exits)
    span = 2 * (ranges.length + 1) * ranges.bar_ns
    for name in sorted(set(instruments)):
        chosen = (reader, name, before_seq - 1)
        found = _read(*chosen, Bar, start_ts - 2 * span - _CLOSED_NS, start_ts)
        for end in _ends(sessions, name, start_ts):
            found += _read(*chosen, Trade, end - min(span, DAY_NS), end)
        for entry in sorted(found, key=_place):
            event = entry.event
            if isinstance(event, Trade):
                ranges.on_trade(event)
            elif isinstance(event, Bar):
                ranges.on_bar(event)
    return ranges


def _place(entry: Entry) -> tuple[int, int]:
    # A bar belongs before a trade at the moment at which it ends.
    return entry.event.ts - isinstance(entry.event, Bar), entry.seq


def _ends(sessions: Sessions, instrument: str, start_ts: int) -> list[int]:
    """Return the times that trades may have gone on to: close and end of the session before, the start."""
    exchange = sessions.instrument(instrument).exchange
    before = [session for session in sessions.sessions(exchange) if session.end < start_ts]
    return [*((before[-1].close, before[-1].end) if before else ()), start_ts]


def _read(
    reader: EntryReader, instrument: str, last_seq: int, kind: type[Event], begin_ts: int, end_ts: int
) -> list[Entry]:
    chosen = Selection(
        types=frozenset({kind}),
        instruments=frozenset({instrument}),
        last_seq=last_seq,
        begin_ts=begin_ts,
        end_ts=end_ts,
    )
    return [entry for batch in reader.entries(chosen) for entry in batch]
