"""Fewer points that look the same: of each bucket the first, the lowest, the highest and the last stay.

So no extreme is lost, whatever the number of points (Jugel et al., "M4: A Visualization-Oriented Time Series
Data Aggregation", VLDB 2014). Pure.
"""

import numpy as np
from numpy.typing import NDArray


def thinned(
    places: NDArray[np.float64], values: NDArray[np.float64], buckets: int, span: float
) -> NDArray[np.int64]:
    """Return the indices of the points to keep, ascending: at most four a bucket of `span / buckets`.

    `places` ascend from 0 to `span`; `values` are finite.
    """
    if len(places) <= 4 * buckets:
        return np.arange(len(places), dtype=np.int64)
    number = np.minimum((places / span * buckets).astype(np.int64), buckets - 1)
    edges = np.flatnonzero(np.diff(number)) + 1
    firsts = np.concatenate(([0], edges))
    lasts = np.concatenate((edges - 1, [len(places) - 1]))
    kept = [firsts, lasts]
    order = np.lexsort((np.arange(len(values)), values, number))
    kept += [order[firsts], order[lasts]]
    return np.unique(np.concatenate(kept)).astype(np.int64)
