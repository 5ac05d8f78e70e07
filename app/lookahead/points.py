"""Where to cut: right after decisions and right before them, spread over the whole period. Pure."""

from collections.abc import Sequence

import numpy as np

from app.lookahead.copying import Inputs


def choose(inputs: Inputs, decided: Sequence[int], points: int) -> list[int]:
    """Return at most `points` numbers of inputs after which to cut, ascending.

    `decided` are the inputs at which decisions were made (from 1). Every other cut is right after a decision,
    the ones between right before another; where there are too few decisions, inputs fill up.
    """
    ends = np.flatnonzero(inputs.cuttable) + 1
    ends = ends[(ends >= inputs.begin) & (ends < len(inputs.seqs))]
    if not len(ends):
        return []
    after = _snapped(ends, np.unique(np.array(decided, np.int64)))
    chosen: set[int] = set()
    for number, end in enumerate(_spread(after, points)):
        before = ends[: np.searchsorted(ends, end)]
        chosen.add(int(before[-1]) if number % 2 and len(before) else int(end))
    for end in _spread(ends.tolist(), points):
        if len(chosen) >= points:
            break
        chosen.add(int(end))
    return sorted(chosen)


def _snapped(
    ends: "np.ndarray[tuple[int], np.dtype[np.int64]]", decided: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Sequence[int]:
    """Return the first end at or after each decision: a decision on a slice of bars is made at its end."""
    where = np.searchsorted(ends, decided)
    found: list[int] = np.unique(ends[where[where < len(ends)]]).tolist()
    return found


def _spread(values: Sequence[int], count: int) -> Sequence[int]:
    if len(values) <= count:
        return list(values)
    return [values[int((index + 0.5) * len(values) / count)] for index in range(count)]
