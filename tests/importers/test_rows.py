"""Parsing and merging as properties: the fast path is the slow path, and merging loses no order."""

from itertools import combinations, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.replay import delimited, merging, row_checks
from adapters.replay.delimited import count_lines, parse
from adapters.replay.lines import LineCount, cut
from adapters.replay.merging import judged, merged
from adapters.replay.rows import Draft, Rows
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
    files = [[rows_of("a", first)], [rows_of("b", second)], [rows_of("c", third)]]
    before, merging.CHUNK_ROWS = merging.CHUNK_ROWS, chunk
    try:
        out = [event for items in merged(files) for event in items]
    finally:
        merging.CHUNK_ROWS = before
    assert len(out) == len(first) + len(second) + len(third)
    order = [(event.ts, event.feed, event.size) for event in out]
    assert order == sorted(order)


def in_blocks(found: Rows, size: int) -> list[Rows]:
    """The same rows in blocks."""
    return [
        Rows(Trade, found.keys[i : i + size], [part(c, i, size) for c in found.columns], frozenset(), {})
        for i in range(0, len(found), size)
    ]


def part(column, first: int, size: int):
    return column[first : first + size] if isinstance(column, np.ndarray) else column


@given(times, times, times, st.integers(1, 7), st.integers(1, 7))
def test_merging_in_blocks_is_merging_at_once(first, second, third, size, other):
    files = [rows_of("a", first), rows_of("b", second), rows_of("c", third)]
    sizes = (size, other, size)
    blocks = [in_blocks(found, s) for found, s in zip(files, sizes, strict=True)]
    at_once = [event for items in merged([[found] for found in files]) for event in items]
    assert [event for items in merged(blocks) for event in items] == at_once


def test_the_merging_check_catches_cuts_without_regard_to_files_listed_first(monkeypatch):
    """The negative control of the test above."""
    monkeypatch.setattr(merging, "_cuts", lambda streams: [len(stream.rows) for stream in streams])
    blocks = [in_blocks(rows_of("a", [1, 3, 5]), 1), in_blocks(rows_of("b", [1, 2, 5]), 3)]
    out = [(event.ts, event.feed) for items in merged(blocks) for event in items]
    assert out != sorted(out)


@given(st.lists(st.text("ab,\r\n", max_size=9), max_size=9), st.integers(1, 8))
def test_a_text_in_parts_has_the_rows_of_the_whole(texts, size):
    data = "\n".join(texts).encode()
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    lines = LineCount()
    for one in parts:
        lines.add(one)
    assert lines.rows == count_lines(data)
    left = iter([*parts, b""])
    pieces = list(cut(lambda: next(left), lines.rows))
    assert sum(count for _, count in pieces) == lines.rows
    assert (
        b"".join(piece for piece, _ in pieces).split(b"\n")[: lines.rows] == data.split(b"\n")[: lines.rows]
    )


def draft(times: list[int]) -> Draft:
    parsed = read("\n".join(f"{time},1,N" for time in times))
    ts = parsed.columns["time"].astype(np.int64)
    return Draft(parsed, Trade, ts, (ts, "f", "X", 1.0, 1.0, "", "", False))


def reasons(blocks: list[list[int]]) -> list[list[int]]:
    """The places of rejected rows in each block."""
    return [sorted(found.rejected) for found in judged(map(draft, blocks), 0)]


def test_a_time_far_ahead_at_the_end_of_a_block_does_not_cost_the_blocks_after_it():
    blocks = [[1, 2, 99], [3, 4, 5], [6, 7, 8]]
    assert reasons(blocks) == [[2], [], []]
    assert next(found.keys.tolist() for found in judged(map(draft, blocks), 0)) == [1, 2, 2]


def test_the_check_of_times_far_ahead_catches_blocks_that_are_judged_alone(monkeypatch):
    """The negative control of the test above."""
    finish = merging.finish
    monkeypatch.setattr(
        merging, "finish", lambda held, *, previous_ts, ahead: finish(held, previous_ts=previous_ts)
    )
    assert reasons([[1, 2, 99], [3, 4, 5]]) == [[], [0, 1, 2]]


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
    original, delimited._columns_at_once = delimited._columns_at_once, lambda *args: None
    try:
        slow = read(text)
    finally:
        delimited._columns_at_once = original
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
    kept = row_checks._longest_rise(values)
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
    row_checks.check_order(parsed, parsed.columns["time"].astype(np.int64) * 10**9, 0)
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
