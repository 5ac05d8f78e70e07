"""How a table's times run: from new to old, and over changes of clocks. Pure."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np

from adapters.replay.calendar import changes_of, utc_ns
from adapters.replay.parsed import IntColumn
from adapters.replay.tables.columns import Layout
from adapters.replay.tables.files import Block
from adapters.replay.tables.times import Times, read_time
from core.clock import DAY_NS, HOUR_NS

FALLS_MIN = 3
"""So many times, each before the last and none after it, tell that a file goes from new to old."""


def runs_backwards(layout: Layout, rows: Sequence[Sequence[str]], time_format: str | None) -> bool:
    """Return whether the first rows of each instrument go from new to old."""
    place = layout.texts.get("instrument")
    last: dict[str, int] = {}
    falls = 0
    for row in rows:
        text = " ".join(row[at] for at in layout.times) if len(row) > max(layout.times) else ""
        time = read_time(text, time_format)
        if time is None:
            continue
        name = row[place] if place is not None and len(row) > place else ""
        before = last.setdefault(name, time.ns)
        if time.ns > before:
            return False
        falls += time.ns < before
        last[name] = time.ns
    return falls >= FALLS_MIN


def turned(block: Block) -> Block:
    """Return a block with its last row first."""
    order = np.arange(block.parsed.rows)[::-1]
    times, shown = block.times, block.shown
    ordered = Times(times.ns[order], times.wall[order], times.bad[order])
    return Block(block.parsed.only(order), ordered, lambda row: shown(int(order[row])))


Repeated = dict[str, tuple[int, bool]]
"""By instrument, the last time in a repeated hour so far, and whether it was its second reading."""


def of_wall(block: Block, timezone: ZoneInfo, before: Repeated, length_ns: int) -> IntColumn:
    """Return a block's wall-clock times in UTC; rejects rows whose time a change of clocks skips.

    Of a repeated hour, the second reading begins where an instrument's times run back. `before` holds what
    the blocks before have of it, and takes what this one has. Bars of an hour (`length_ns`, 0 for what has no
    length) have but one time in it: it comes twice.
    """
    wall, ts = block.times.ns, utc_ns(block.times.ns, timezone)
    changes = changes_of(wall, timezone)
    if changes is None:
        return ts
    block.parsed.reject(
        changes.skipped & block.times.wall,
        lambda row: f"field ts: {block.shown(row)!r} does not exist: clocks of {timezone.key} went forward",
    )
    names = block.parsed.columns.get("instrument", np.full(len(wall), "", dtype=object))
    for name in sorted(set(names[changes.repeated].tolist())):
        mine = np.flatnonzero(changes.repeated & (names == name))
        readings = _second(wall[mine].tolist(), before.get(name), twice=length_ns >= HOUR_NS)
        before[name] = int(wall[mine[-1]]), readings[-1]
        again = mine[readings]
        ts[again] = changes.second_ns[again]
    return ts


def _second(walls: Sequence[int], last: tuple[int, bool] | None, *, twice: bool) -> list[bool]:
    """Return which of the times in a repeated hour, in file order, are its second reading.

    `twice` says that a time which comes twice is one of each, and no row that is there twice.
    """
    found: list[bool] = []
    before, again = last or (walls[0] - 1, False)
    for wall in walls:
        near = abs(wall - before) < DAY_NS  # else it is another year's change
        before, again = wall, near and (wall < before or (twice and wall == before) or again)
        found.append(again)
    return found
