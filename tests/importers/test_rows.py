"""Parsing and merging as properties: the fast path is the slow path, and merging loses no order."""

from itertools import combinations, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.replay import rows
from adapters.replay.rows import Rows, count_lines, merged, parse
from core.events import Trade
from tests.conftest import examples

NAMES = ("time", "price", "venue")


def read(text: str, **options):
    return parse(text.encode(), NAMES, numbers=("time", "price"), texts=("venue",), file="f", **options)


def rows_of(feed: str, times: list[int]) -> Rows:
    keys = np.array(sorted(times), dtype=np.int64)
    sizes = np.arange(len(times), dtype=np.float64)
    return Rows(Trade, keys, (keys, feed, "X", 1.0, sizes, "", "", False), frozenset(), {})


times = st.lists(st.integers(0, 6), max_size=40)


@given(times, times, times, st.integers(1, 9))
def test_merging_is_by_time_then_by_file_then_by_row(first, second, third, chunk):
    files = [rows_of("a", first), rows_of("b", second), rows_of("c", third)]
    before, rows.CHUNK_ROWS = rows.CHUNK_ROWS, chunk
    try:
        out = [event for items in merged(files) for event in items]
    finally:
        rows.CHUNK_ROWS = before
    assert len(out) == len(first) + len(second) + len(third)
    order = [(event.ts, event.feed, event.size) for event in out]
    assert order == sorted(order)


values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**12), 10**12).map(str),
    st.sampled_from(["1.", ".5", "+3", "1e5", "1E-3", " 7 "]),
)


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(values, values, st.sampled_from(["N", "Q", ""])), min_size=1, max_size=30))
def test_the_vectorised_path_reads_what_the_row_by_row_path_reads(table):
    text = "\n".join(",".join(row) for row in table)
    fast = read(text)
    original, rows._columns_at_once = rows._columns_at_once, lambda *args: None
    try:
        slow = read(text)
    finally:
        rows._columns_at_once = original
    assert fast.reasons == slow.reasons == {}
    for name in NAMES:
        assert fast.columns[name].tolist() == slow.columns[name].tolist()


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=12), min_size=1, max_size=20
    )
)
def test_any_text_gives_one_verdict_a_row(lines):
    text = "\n".join(lines)
    parsed = read(text)
    assert parsed.rows == count_lines(text.encode())
    assert all(len(column) == parsed.rows for column in parsed.columns.values())
    good = [row for row in range(parsed.rows) if row not in parsed.reasons]
    assert all(np.isfinite(parsed.columns["price"][row]) for row in good)


@given(st.lists(st.integers(0, 12), max_size=9))
def test_the_fewest_rows_are_rejected_for_their_time(values):
    kept = rows._longest_rise(values)
    rising = [
        chosen
        for size in range(len(values) + 1)
        for chosen in combinations(range(len(values)), size)
        if all(values[a] <= values[b] for a, b in pairwise(chosen))
    ]
    longest = max(map(len, rising))
    assert tuple(kept) == min(chosen for chosen in rising if len(chosen) == longest)


def test_one_time_far_ahead_costs_itself_and_not_the_rows_after_it():
    parsed = read("1,1,N\n99,2,N\n2,3,N\n0,4,N\n3,5,N")
    rows.check_order(parsed, parsed.columns["time"].astype(np.int64) * 10**9, 0)
    assert parsed.reasons == {1: "time is 97 s after the row below", 3: "time is 2 s before the row above"}


def test_quoted_fields_windows_line_ends_and_a_missing_last_newline_are_read():
    parsed = read('1,"2.5","a,b"\r\n3,4,c')
    assert parsed.reasons == {}
    assert parsed.columns["venue"].tolist() == ["a,b", "c"]
    assert parsed.columns["price"].tolist() == [2.5, 4.0]


def test_one_bad_row_among_many_costs_only_itself():
    lines = [f"{i},{i}.5,N" for i in range(1000)]
    lines[500] = "1,2"
    parsed = read("\n".join(lines))
    assert parsed.reasons == {500: "expected 3 fields, found 2"}
    assert parsed.columns["price"][[499, 501]].tolist() == [499.5, 501.5]
