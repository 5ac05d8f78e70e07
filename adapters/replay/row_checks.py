"""The checks that rows of all formats have to pass: prices and sizes, bars in themselves, the order of times.

Each rejects rows in place, with a reason. One bad time costs its own row, not those after it. Pure.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from adapters.replay.parsed import NO_TIMES, IntColumn, Parsed

_LONG_NS = 10_000 * 10**9


def check_not_negative(parsed: Parsed, names: Sequence[str]) -> None:
    """Reject rows where a price, size or volume is negative."""
    for name in names:
        column = parsed.columns[name]
        parsed.reject(column < 0, lambda row: f"negative {name} {column[row]:g}")  # noqa: B023


def check_not_zero(parsed: Parsed, name: str) -> None:
    """Reject rows where the price is zero: a gap in the source, not a price."""
    parsed.reject(parsed.columns[name] == 0, lambda _: f"{name} is 0")


def check_bars(parsed: Parsed, open_: str, high: str, low: str, close: str) -> None:
    """Reject bars whose high is below the low, or whose open or close lies outside of both."""
    c = parsed.columns
    parsed.reject(c[high] < c[low], lambda row: f"{high} {c[high][row]:g} < {low} {c[low][row]:g}")
    for name in (open_, close):
        outside = (c[name] < c[low]) | (c[name] > c[high])
        parsed.reject(
            outside,
            lambda row: f"{name} {c[name][row]:g} outside {c[low][row]:g}..{c[high][row]:g}",  # noqa: B023
        )


def check_overlap(
    parsed: Parsed, start: IntColumn, end: IntColumn, previous_end: int, ahead: IntColumn = NO_TIMES
) -> None:
    """Reject bars that start before the last good one ended, or that do not end after their start."""
    parsed.reject(end <= start, lambda _: "bar does not end after its start")
    check_order(parsed, end, previous_end, ahead)
    rows = np.flatnonzero(parsed.good())
    before = np.concatenate(([previous_end], end[rows][:-1])) if len(rows) else rows
    if not np.any(start[rows] < before):
        return
    # A rejected bar covers nothing, so each verdict may change the next: decide in order.
    last = previous_end
    for row in rows.tolist():
        if start[row] < last:
            parsed.reasons[row] = f"bar overlaps the one above by {(last - start[row]) / 1e9:g} s"
        else:
            last = int(end[row])


def check_order(parsed: Parsed, ts: IntColumn, previous_ts: int, ahead: IntColumn = NO_TIMES) -> None:
    """Reject the fewest rows without which time never falls, nor lies before `previous_ts`.

    So one row with a time far ahead costs itself, not all rows after it; rows `ahead` have a say, but no
    verdict yet. Among equals the first rows stay.
    """
    rows = np.flatnonzero(parsed.good())
    times = np.concatenate([ts[rows], ahead])
    if not np.any(times[: len(rows)] < previous_ts) and not np.any(np.diff(times) < 0):
        return
    later = np.flatnonzero(times >= previous_ts)
    kept = later[_longest_rise(times[later].tolist())]
    places = np.searchsorted(kept, np.arange(len(rows)))
    for index, (row, place) in enumerate(zip(rows.tolist(), places.tolist(), strict=True)):
        if place < len(kept) and kept[place] == index:
            continue
        above = int(times[kept[place - 1]]) if place else previous_ts
        if ts[row] < above:
            parsed.reasons[row] = f"time is {_span(above - int(ts[row]))} before the row above"
        else:
            parsed.reasons[row] = f"time is {_span(int(ts[row] - times[kept[place]]))} after the row below"


def _span(ns: int) -> str:
    return f"{ns / 1e9:g} s" if ns < _LONG_NS else str(timedelta(seconds=ns // 10**9))


def _longest_rise(values: Sequence[int]) -> list[int]:
    """Return the places of the longest subsequence that never falls; of several the first in place."""
    # From the right: `ends[k]` is the largest value that k + 1 values, never falling, can begin with.
    ends: list[int] = []
    lengths = []
    for value in reversed(values):
        place = bisect_right(ends, -value)
        ends[place : place + 1] = [-value]
        lengths.append(place + 1)
    lengths.reverse()
    kept: list[int] = []
    left = len(ends)
    for place, length in enumerate(lengths):
        if length == left and (not kept or values[place] >= values[kept[-1]]):
            kept.append(place)
            left -= 1
    return kept
