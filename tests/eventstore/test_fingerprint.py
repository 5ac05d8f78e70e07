"""Hashes over columns: the same whatever the batches, and whether streams are moved on together or alone."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eventstore.runs.fingerprint import Hashing, TableFingerprint
from eventstore.tables import columns

NAMES = ("order", "note")
texts = st.lists(st.none() | st.sampled_from(["", "a", "bc"]), min_size=1, max_size=4)
pieces = st.lists(texts, min_size=2, max_size=3)
steps = st.lists(st.tuples(pieces, st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4)


class Confused(Hashing):
    """Broken: takes streams for alike that took the same array once, whatever they took before."""

    def after(self, stream, column):
        for _, known, after in self._known.values():
            if known is column:
                return after
        return super().after(stream, column)


def digests(given_steps, make):
    """Hash two tables of two columns, which take arrays from a common pool, in step."""
    tables = [TableFingerprint(tag, 1, NAMES) for tag in ("one", "one")]
    for lists, first, second in given_steps:
        longest = max(map(len, lists))
        pool = [columns.encode([*texts, *[None] * (longest - len(texts))], pa.string()) for texts in lists]
        hashing = make()
        for table, place in zip(tables, (first, second), strict=True):
            picked = (pool[place % len(pool)], pool[(place + 1) % len(pool)])
            table.update(dict(zip(NAMES, picked, strict=True)), hashing)
    return [table.digest() for table in tables]


@given(steps)
def test_streams_that_are_moved_on_together_hash_as_if_alone(given_steps):
    assert digests(given_steps, Hashing) == digests(given_steps, lambda: None)


def test_streams_that_differ_are_not_taken_for_one():
    given_steps = [([["a"], ["bc"]], 0, 1), ([["a"], ["bc"]], 0, 0)]
    alone = digests(given_steps, lambda: None)
    assert digests(given_steps, Hashing) == alone
    assert digests(given_steps, Confused) != alone


@given(st.lists(st.integers(-9, 9), max_size=9), st.integers(0, 9))
def test_batches_may_be_cut_anywhere(numbers, cut):
    def hashed(*parts):
        table = TableFingerprint("t", 1, ["n", "at"])
        for part in parts:
            table.update({"n": columns.encode(part, pa.int64()), "at": np.array(part, np.int64)})
        return table.digest()

    assert hashed(numbers[:cut], numbers[cut:]) == hashed(numbers)
    assert hashed(numbers) != hashed([*numbers, 0])
