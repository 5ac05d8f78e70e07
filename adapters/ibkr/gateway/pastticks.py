"""Past ticks of an archive: so many from a time on or up to one, of one session, whole seconds only. Pure.

Interactive Brokers gives ticks by the second, so an answer is completed to whole seconds: it may hold more
than was asked for, and whoever asks on from its last second misses none. Sessions are not mixed.
"""

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Literal

import msgspec

from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.archive import Archive
from core.clock import SECOND_NS
from core.events import SessionScheduled

Kind = Literal["TRADES", "BID_ASK", "MIDPOINT"]
Row = tuple[int, Fields]
MOST = 1000
MESSAGES: dict[Kind, int] = {"MIDPOINT": 96, "BID_ASK": 97, "TRADES": 98}


class TicksWanted(msgspec.Struct, frozen=True):
    """Which ticks: `count` between `begin` and `end` (exclusive), the first ones or the last ones."""

    kind: Kind
    begin: int
    end: int
    count: int
    first: bool
    rth: bool = False
    ignore_size: bool = False


def past_ticks(
    archive: Archive, wanted: TicksWanted, session: Callable[[int], SessionScheduled | None]
) -> list[Fields]:
    """Return ticks as messages carry them: time in seconds, a mask, and the values of their kind."""
    rows = [row for row in _rows(archive, wanted) if not wanted.rth or _regular(session(row[0]), row[0])]
    if not wanted.first:
        rows.reverse()
    if not rows:
        return []
    home = session(rows[0][0])
    mine = list(takewhile(lambda row: session(row[0]) == home, rows))
    taken = mine[: wanted.count]
    last = taken[-1][0] // SECOND_NS
    taken += takewhile(lambda row: row[0] // SECOND_NS == last, mine[wanted.count :])
    if not wanted.first:
        taken.reverse()
    return [fields for _, fields in taken]


def _regular(session: SessionScheduled | None, ts: int) -> bool:
    return session is not None and session.open <= ts < session.close


def _rows(archive: Archive, wanted: TicksWanted) -> Iterator[Row]:
    if wanted.kind == "TRADES":
        return archive.prints(wanted.begin, wanted.end)
    return _quotes(archive, wanted)


def _quotes(archive: Archive, wanted: TicksWanted) -> Iterator[Row]:
    shown: tuple[float, ...] = ()
    for ts, bid, bid_size, ask, ask_size in archive.quotes(wanted.begin, wanted.end):
        second = ts // SECOND_NS
        if wanted.kind == "MIDPOINT":
            middle = round((bid + ask) / 2, 8)
            if middle == middle and (middle,) != shown:  # noqa: PLR0124  # NaN: a side shows nothing
                shown = (middle,)
                yield ts, [second, 0, middle, 0]
            continue
        sides = tuple(-1.0 if side != side else side for side in (bid, ask))  # noqa: PLR0124
        if not (wanted.ignore_size and sides == shown):
            yield ts, [second, 0, *sides, bid_size, ask_size]
        shown = sides
