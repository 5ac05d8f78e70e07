"""Compaction: many sealed directories become one; crashes at any step and readers lose nothing."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import CorruptLog
from core.events import Unknown
from eventstore.files import Files
from eventstore.integrity.verify import verify
from eventstore.journal.journal import Journal
from eventstore.journal.policy import Policy
from eventstore.layout import Layout, sealed_name
from eventstore.manifests import manifest
from eventstore.manifests.catalogue import Catalogue, hidden, stable_listing
from eventstore.manifests.manifest import SealedPart, read_manifest
from eventstore.reading.reader import LogReader
from eventstore.sealing import compacting
from eventstore.sealing.client import SealWorker
from eventstore.sealing.compacting import compact, plan
from eventstore.sql.connection import connect
from eventstore.tables.parquet import TypedWriter
from tests.eventstore.sealed_logs import (
    START_NS,
    left_building,
    open_log,
    read_all,
    write_everything,
    write_ticks,
)
from tests.eventstore.test_sealing import Crash, Crashing


def _write(root: Path, directories: int, ticks: int, *, everything: bool = False) -> Path:
    journal = open_log(root)
    for _ in range(directories):
        if everything:
            write_everything(journal)
        write_ticks(journal, ticks)
        journal.roll()
        journal.commit(sync=True)
    journal.close()
    return root


@pytest.fixture
def small(tmp_path):
    return _write(tmp_path / "log", 4, 60)


def _names(root: Path) -> list[str]:
    return [path.name for path in Layout(root).sealed_directories()]


def test_a_compacted_log_reads_as_before_and_verifies(tmp_path):
    root = _write(tmp_path / "log", 5, 500, everything=True)
    expected, before = read_all(root), verify(root)
    coverage = LogReader(root).coverage()
    parts = Catalogue(root).parts()
    assert compact(root) == len(parts) - 1
    assert _names(root) == [sealed_name(1, parts[-1].last_seq)]
    assert read_all(root) == expected
    assert LogReader(root).coverage() == coverage
    after = verify(root, deep=True)
    assert after.findings == []
    assert (after.events, after.last_seq, after.chain) == (before.events, before.last_seq, before.chain)
    assert left_building(root) == []
    with connect(root) as log:
        assert log.query("SELECT count(*), max(seq) FROM events").rows == [(len(expected),) * 2]


def test_a_compacted_directory_says_what_one_sealed_at_once_would(tmp_path):
    root = _write(tmp_path / "log", 4, 700)
    parts = [part.manifest for part in Catalogue(root).parts()]
    compact(root)
    [wide] = [part.manifest for part in Catalogue(root).parts()]
    assert wide.sessions == sorted({date for part in parts for date in part.sessions})
    assert wide.segments[0].previous_hash == wide.previous_hash == parts[0].previous_hash
    assert [(s.number, s.chain) for s in wide.segments] == [
        (s.number, s.chain) for part in parts for s in part.segments
    ]
    trades = [part.types["trade"] for part in parts if "trade" in part.types]
    assert wide.types["trade"].all.count == sum(types.all.count for types in trades)
    assert wide.types["trade"].instruments["IBM"].last_seq == trades[-1].instruments["IBM"].last_seq


def test_the_journal_goes_on_after_a_compaction(small):
    expected = read_all(small)
    compact(small)
    journal = open_log(small)
    write_ticks(journal, 30)
    journal.close()
    assert read_all(small)[: len(expected)] == expected
    assert verify(small, deep=True).findings == []


def _parts(*events: int) -> list[SealedPart]:
    """Parts with so many events each, as far as `plan` looks at them."""
    parts, seq = [], 1
    for count in events:
        last = seq + count - 1
        told = manifest.Manifest(
            format=1,
            store="s",
            first_seq=seq,
            last_seq=last,
            previous_hash=str(seq),
            chain=str(last + 1),
            segments=[],
            types={},
            sessions=[],
            files={},
            schema_version=1,
            writer="",
        )
        parts.append(SealedPart(Path(sealed_name(seq, last)), told))
        seq = last + 1
    return parts


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([10, 10, 10], []),
        ([10, 10, 10, 10], [4]),
        ([90, 10, 10, 10], []),
        ([200, 10, 10, 10, 10], [4]),
        ([40, 20, 10, 10], [4]),
        ([500, 500, 500, 500, 500], []),
        ([300] * 8, []),
        ([240] * 9, [4, 4]),
        ([100] * 25, [10, 10, 5]),
        ([1000, 1, 1, 1, 1], [4]),
    ],
    ids=str,
)
def test_sizes_alone_say_what_is_worth_merging(sizes, groups):
    found = plan(_parts(*sizes), max_events=1000)
    assert [len(group) for group in found] == groups
    for group in found:
        events = [part.last_seq - part.first_seq + 1 for part in group]
        assert sum(events) <= 1000
        assert max(events) * 2 <= sum(events)


def test_an_event_is_rewritten_few_times_however_often_a_log_is_closed():
    sizes, rewritten = [], 0
    for _ in range(1000):
        sizes.append(10)
        for group in plan(_parts(*sizes), max_events=100_000):
            first = next(i for i, part in enumerate(_parts(*sizes)) if part.first_seq == group[0].first_seq)
            merged = sum(part.last_seq - part.first_seq + 1 for part in group)
            sizes[first : first + len(group)] = [merged]
            rewritten += merged
    assert len(sizes) < 30
    assert rewritten / 10_000 < 10


def test_neighbours_that_do_not_follow_each_other_are_left_alone():
    parts = _parts(10, 10, 10, 10, 10, 10, 10, 10)
    assert [len(group) for group in plan([*parts[:4], *parts[5:]])] == [4]


def test_types_that_cannot_be_read_as_tables_are_left_alone(tmp_path):
    root = tmp_path / "log"
    journal = open_log(root)
    for _ in range(4):
        journal.append(Unknown(START_NS, "later", 3, b"\x81\xa2ts\xcf" + START_NS.to_bytes(8, "big")))
        journal.roll()
        journal.commit(sync=True)
    journal.close()
    before = _names(root)
    assert compact(root) == 0
    assert _names(root) == before


def test_a_crash_at_any_step_of_a_compaction_loses_nothing(small, tmp_path, monkeypatch):
    expected = read_all(small)
    complete = Crashing(10**9)
    shutil.copytree(small, tmp_path / "complete")
    compact(tmp_path / "complete", complete)
    outcomes = set()
    for k in range(len(complete.calls)):
        root = tmp_path / f"crash{k}"
        shutil.copytree(small, root)
        with monkeypatch.context() as patch:
            patch.setattr(compacting.shutil, "rmtree", lambda *_, **__: None)
            with pytest.raises(Crash):
                compact(root, Crashing(k))
        outcomes.add((len(_names(root)), len(hidden(Layout(root).sealed_directories()))))
        assert read_all(root) == expected
        assert verify(root).findings == []
        open_log(root).close()  # recovers and wipes the build area
        compact(root)
        assert hidden(Layout(root).sealed_directories()) == []
        assert read_all(root)[: len(expected)] == expected
        assert verify(root, deep=True).findings == []
        assert left_building(root) == []
    assert len(outcomes) >= 4, "crashes before, while and after the narrower directories go"


def test_everything_is_durable_before_the_first_narrower_directory_goes(small):
    complete = Crashing(10**9)
    count = len(_names(small))
    compact(small, complete)
    steps = complete.calls
    renames = [i for i, step in enumerate(steps) if step == "rename"]
    assert len(renames) == 1 + count
    assert "data_sync" not in steps[renames[0] :]
    assert steps[renames[0] - 1] == "sync_directory"
    assert "sync_directory" in steps[renames[0] : renames[1]]
    assert steps[-2:] == ["sync_directory", "sync_directory"]


def test_removing_the_narrower_directories_before_the_rename_would_lose_them(small, monkeypatch):
    """The negative control: the crash test notices a compaction that does its steps in another order."""

    class Hasty(Files):
        def rename(self, source: Path, target: Path) -> None:
            for path in Layout(small).sealed_directories():
                shutil.rmtree(path)
            raise Crash

    expected = read_all(small)
    with pytest.raises(Crash):
        compact(small, Hasty())
    with pytest.raises((CorruptLog, AssertionError)):
        assert read_all(small) == expected


def test_a_table_that_came_out_wrong_is_found_before_it_is_published(small, monkeypatch):
    class Dropping(TypedWriter):
        def write(self, batch):
            super().write(batch.slice(0, max(1, len(batch) - 1)))

    before = _names(small)
    monkeypatch.setattr(compacting, "TypedWriter", Dropping)
    with pytest.raises(CorruptLog, match=r"parquet: seq \d+ differs from the journal's"):
        compact(small)
    assert _names(small) == before
    assert left_building(small) == []


def test_a_damaged_directory_is_named_and_nothing_is_removed(small):
    victim = Layout(small).sealed_directories()[2] / "quote.parquet"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    victim.write_bytes(data)
    before = _names(small)
    with pytest.raises(CorruptLog, match=r"quote\.parquet: the file changed"):
        compact(small)
    assert _names(small) == before


def test_what_a_wider_directory_does_not_hold_is_not_removed(small, tmp_path):
    """Only what is provably elsewhere goes: here the wider directory belongs to another log."""
    other = _write(tmp_path / "other", 4, 60)
    compact(other)
    wide = Layout(other).sealed_directories()[0]
    shutil.copytree(wide, Layout(small).sealed / wide.name)
    before = _names(small)
    with pytest.raises(CorruptLog, match="does not hold the same events"):
        compact(small)
    assert _names(small) == before


def test_a_slow_reader_goes_on_through_a_compaction(small):
    expected = [entry.seq for entry in read_all(small)]
    batches = LogReader(small).entries()
    first = next(batches)
    compact(small)
    assert [entry.seq for batch in [first, *batches] for entry in batch] == expected


def test_views_made_before_a_compaction_answer_after_it(small):
    with connect(small) as log:
        before = log.query("SELECT count(*), max(seq) FROM events").rows
        compact(small)
        assert log.query("SELECT count(*), max(seq) FROM events").rows == before
        assert log.arrow("SELECT seq FROM trades").num_rows > 0


def test_a_listing_that_a_compaction_cuts_in_two_is_made_again(small, monkeypatch):
    """The pass misses the wider directory and sees the narrower ones go; the control believes it."""
    layout, listing = Layout(small), Layout.sealed_directories
    early = listing(layout)
    compact(small)
    wide = listing(layout)
    torn = iter([early[:2], wide, wide])
    monkeypatch.setattr(Layout, "sealed_directories", lambda _: next(torn))
    assert stable_listing(layout) == wide
    assert early[:2] != wide


@pytest.mark.slow
def test_readers_see_each_event_once_while_logs_are_compacted(tmp_path):
    """I6: count = distinct = max(seq) at every moment, by the reader and by SQL."""
    root = _write(tmp_path / "log", 24, 40)
    last, problems, polls = LogReader(root).last_seq(), [], 0
    done = threading.Event()

    def work() -> None:
        try:
            while compact(root, max_events=200) or compact(root, max_events=800) or compact(root):
                pass
        except (CorruptLog, OSError) as error:
            problems.append(error)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.is_set() or polls < 3:
        seqs = [entry.seq for batch in LogReader(root).entries() for entry in batch]
        assert seqs == list(range(1, last + 1))
        with connect(root) as log:
            found = log.query("SELECT count(*), count(DISTINCT seq), max(seq) FROM events").rows
        assert found == [(last, last, last)]
        assert verify(root).findings == []
        polls += 1
    worker.join()
    assert problems == []
    assert len(_names(root)) <= 3


def test_the_worker_compacts_when_the_log_is_closed(tmp_path):
    root = tmp_path / "log"
    sealer = SealWorker(root)
    journal = Journal.open(root, sealer=sealer, policy=Policy(roll_events=50))
    write_ticks(journal, 400, batch=50)
    last = journal.last_seq
    journal.close()
    sealer.close()
    assert sealer.failures == []
    assert len(_names(root)) == 1
    assert [entry.seq for entry in read_all(root)][:last] == list(range(1, last + 1))
    assert verify(root, deep=True).findings == []


def test_a_worker_that_ran_out_of_time_leaves_everything_as_it_was(tmp_path):
    root = tmp_path / "log"
    sealer = SealWorker(root)
    journal = Journal.open(root, sealer=sealer, policy=Policy(roll_events=50, compact_at_close_s=0.0))
    write_ticks(journal, 400, batch=50)
    journal.close()
    sealer.close()
    assert len(_names(root)) >= 4
    assert verify(root, deep=True).findings == []


def test_compacting_never_imports_pandas_or_duckdb(small):
    code = f"""
import sys
from pathlib import Path
from eventstore.sealing.compacting import compact
assert compact(Path({str(small)!r})) > 0
assert not {{"pandas", "duckdb"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def test_a_manifest_lists_where_each_frame_is(small):
    compact(small)
    [directory] = Layout(small).sealed_directories()
    told = json.loads((directory / "seal.json").read_text())
    ends = [segment["offset"] + segment["size"] for segment in told["segments"]]
    assert [segment["offset"] for segment in told["segments"]] == [0, *ends[:-1]]
    assert ends[-1] == (directory / "journal.evj.zst").stat().st_size
    assert read_manifest(directory).files["journal.evj.zst"].size == ends[-1]
