"""Fault 14: reading while another process appends, rolls and seals. Invariants I6 and I10.

Whatever a reader sees at one moment is a prefix: count = distinct = max(seq), and it never shrinks.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from eventstore.codec import decode_records
from eventstore.layout import Layout
from eventstore.manifests.catalogue import Catalogue
from eventstore.reading.hot import hot_segments
from eventstore.reading.reader import LogReader
from eventstore.sql import database
from eventstore.sql.connection import connect
from tests.eventstore.sealed_logs import open_log, write_ticks, write_unsealed

PROJECT = Path(__file__).parents[2]
SECONDS = 5.0


@pytest.fixture
def live(tmp_path) -> Iterator[Path]:
    root = tmp_path / "log"
    child = subprocess.Popen(
        [sys.executable, str(PROJECT / "tests" / "faults" / "rolling_child.py"), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    yield root
    child.stdin.close()
    failures = child.stdout.read()
    child.wait(60)
    child.stdout.close()
    assert (child.returncode, failures) == (0, "0\n")


def _by_sql(root: Path) -> tuple[int, int, int]:
    with connect(root) as log:
        rows = log.query("SELECT count(*), count(DISTINCT seq), coalesce(max(seq), 0) FROM events").rows
    return rows[0]


def _by_entries(root: Path) -> tuple[int, int, int]:
    seqs = [entry.seq for batch in LogReader(root).entries() for entry in batch]
    return len(seqs), len(set(seqs)), max(seqs, default=0)


def _by_market(root: Path) -> tuple[int, int, int]:
    """Market data leave holes where the log speaks of itself: compare with what lies between."""
    chunks = [chunk.seqs for chunk in LogReader(root).market()]
    seqs = np.concatenate(chunks) if chunks else np.zeros(0, np.int64)
    assert (np.diff(seqs) > 0).all()
    holes = int(seqs[-1]) - len(seqs) if len(seqs) else 0
    assert holes <= len(Layout(root).sealed_directories()) + 5
    return len(seqs), len(np.unique(seqs)), len(seqs)


@pytest.mark.slow
def test_a_reader_sees_a_growing_prefix_while_the_log_is_written_rolled_and_sealed(live):
    polls, sealed, highest = 0, set(), dict.fromkeys((_by_sql, _by_entries, _by_market), 0)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline or len(sealed) < 3:
        for read in highest:
            count, distinct, last = read(live)
            assert count == distinct == last
            assert last >= highest[read]
            highest[read] = last
            polls += 1
        sealed.add(len(Layout(live).sealed_directories()))
    assert polls > 6
    assert min(highest.values()) > 4000


def _seqs_of(tables: database.Tables) -> list[int]:
    sealed = [seq for part in tables.sealed for seq in range(part.first_seq, part.last_seq + 1)]
    return sorted([*sealed, *(entry.seq for group in tables.hot.values() for entry in group)])


def _broken_snapshot(layout: Layout, between: Callable[[Layout], None]) -> database.Tables:
    """The negative control: sealed listed first, hot read second."""
    sealed = Catalogue(layout.root).parts()
    between(layout)
    last = sealed[-1].last_seq if sealed else 0
    groups = {}
    for segment in hot_segments(layout):
        for block in segment.blocks():
            for entry in decode_records(block.payload):
                if entry.seq > last:
                    groups.setdefault(type(entry.event), []).append(entry)
    return database.Tables(sealed, groups)


@pytest.mark.parametrize("broken", [False, True], ids=["hot first", "sealed first"])
def test_what_is_sealed_between_two_steps_of_a_reader_is_seen_once(tmp_path, monkeypatch, broken):
    root = tmp_path / "log"
    journal = open_log(root)
    write_ticks(journal, 100)
    last = journal.last_seq

    def roll_and_seal(_: Layout) -> None:
        journal.roll()
        journal.commit(sync=True)

    if broken:
        tables = _broken_snapshot(Layout(root), roll_and_seal)
        assert _seqs_of(tables) != list(range(1, max(_seqs_of(tables)) + 1)), "the control must fail"
    else:
        parts = Catalogue.parts

        def late(self: Catalogue, *seqs: int):
            roll_and_seal(Layout(root))
            return parts(self, *seqs)

        monkeypatch.setattr(Catalogue, "parts", late)
        tables = database.snapshot(Layout(root))
        assert _seqs_of(tables) == list(range(1, last + 1))
        assert tables.hot == {}
    journal.close()


def test_a_slow_reader_goes_on_where_files_vanish_under_it(tmp_path):
    root = write_unsealed(tmp_path / "log", 200, 200)
    batches = LogReader(root).entries()
    first = next(batches)
    open_log(root).close()  # seals and unlinks what the reader has listed
    seqs = [entry.seq for batch in [first, *batches] for entry in batch]
    assert seqs == list(range(1, 401))
