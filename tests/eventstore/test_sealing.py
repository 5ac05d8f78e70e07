"""Sealing: all of a segment becomes Parquet, or nothing does; crashes at any step lose nothing."""

import random
import shutil
from pathlib import Path

import pytest

from core.errors import CorruptLog, StoreError
from core.events import Quote, Trade
from eventstore.files import Files
from eventstore.integrity.verify import verify
from eventstore.journal.segments import read_header, walk
from eventstore.layout import Layout
from eventstore.manifests.manifest import read_manifest
from eventstore.sealed import tables as sealed_tables
from eventstore.sealing import sealing
from eventstore.sealing.client import SealWorker
from eventstore.sealing.sealing import seal
from eventstore.tables.parquet import TypedWriter
from tests.eventstore.sealed_logs import (
    left_building,
    open_log,
    read_all,
    write_everything,
    write_ticks,
    write_unsealed,
)


@pytest.fixture
def rolled(tmp_path):
    """A log with one closed segment that is not sealed, and something after it."""
    root = tmp_path / "log"
    with_everything(root)
    return root


def with_everything(root: Path) -> None:
    journal = open_log(root, sealing=False)
    write_everything(journal)
    write_ticks(journal, 3000)
    journal.roll()
    write_ticks(journal, 10)
    journal.close()


def first_segment(root: Path) -> Path:
    return Layout(root).segments()[0]


def test_a_sealed_segment_reads_back_as_it_was(rolled):
    before = read_all(rolled)
    result = seal(rolled, first_segment(rolled))
    first_segment(rolled).unlink()
    assert read_all(rolled) == before
    assert (result.first_seq, result.last_seq) == (1, before[-11].seq)
    manifest = read_manifest(Layout(rolled).sealed_path(result.first_seq, result.last_seq))
    assert manifest.chain == result.chain
    assert sum(types.all.count for types in manifest.types.values()) == result.last_seq
    trades = manifest.types["trade"]
    assert sum(extent.count for extent in trades.instruments.values()) == trades.all.count
    assert trades.instruments["IBM"].count == sum(
        e.event.instrument == "IBM" for e in before[:-10] if type(e.event).__name__ == "Trade"
    )
    assert verify(rolled, deep=True).findings == []


def test_sealing_twice_changes_nothing(rolled):
    first = seal(rolled, first_segment(rolled))
    path = Layout(rolled).sealed_path(first.first_seq, first.last_seq)
    before = {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    assert seal(rolled, first_segment(rolled)) == first
    assert {file.name: file.stat().st_mtime_ns for file in path.iterdir()} == before


def test_the_active_segment_is_not_sealed(rolled):
    with pytest.raises(StoreError, match="no successor"):
        seal(rolled, Layout(rolled).segments()[-1])


def test_a_damaged_segment_is_refused_and_leaves_nothing(rolled):
    segment = first_segment(rolled)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(CorruptLog, match=r"00000001\.evj: offset \d+"):
        seal(rolled, segment)
    assert Layout(rolled).sealed_directories() == []
    assert left_building(rolled) == []


def test_a_segment_that_lost_its_last_block_is_refused(rolled):
    segment = first_segment(rolled)
    *_, last = walk(segment, read_header(segment).store)
    segment.write_bytes(segment.read_bytes()[: last.offset])
    with pytest.raises(CorruptLog, match="its successor says that it is valid up to"):
        seal(rolled, segment)
    assert Layout(rolled).sealed_directories() == []


def test_a_table_that_came_out_wrong_is_found_before_it_is_published(rolled, monkeypatch):
    class Dropping(TypedWriter):
        """The negative control: a writer that loses the last row of a batch."""

        def write(self, batch):
            super().write(batch.slice(0, max(1, len(batch) - 1)))

    monkeypatch.setattr(sealed_tables, "TypedWriter", Dropping)
    with pytest.raises(CorruptLog, match=r"parquet: seq \d+ differs from the journal's"):
        seal(rolled, first_segment(rolled))
    assert Layout(rolled).sealed_directories() == []


class Crash(BaseException):
    """The process dies here."""


class Crashing(Files):
    """Dies before its k-th call, and from then on does nothing more."""

    def __init__(self, at_call: int) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._at_call = at_call

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name in {"create", "write", "data_sync", "sync_directory", "rename", "close", "open_read"}:

            def counted(*args):
                if len(self.calls) >= self._at_call:
                    raise Crash
                self.calls.append(name)
                return value(*args)

            return counted
        return value


def _die_while_sealing(root: Path, files: Files, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        # Nobody cleans up after a process that died.
        patch.setattr(sealing.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Crash):
            seal(root, first_segment(root), files)


@pytest.fixture
def small(tmp_path):
    return write_unsealed(tmp_path / "log", 200, 10)


def test_files_are_durable_before_the_rename_and_the_rename_after_it(small):
    complete = Crashing(10**9)
    seal(small, first_segment(small), complete)
    steps = complete.calls
    renamed = steps.index("rename")
    assert steps.count("data_sync") == 4  # two tables, the archive, the manifest
    assert steps[renamed - 1] == "sync_directory"
    assert "data_sync" not in steps[renamed:]
    assert steps[renamed + 1 :] == ["sync_directory", "sync_directory"]


def test_a_crash_at_any_step_of_sealing_loses_nothing(small, tmp_path, monkeypatch):
    expected = read_all(small)
    complete = Crashing(10**9)
    shutil.copytree(small, tmp_path / "complete")
    seal(tmp_path / "complete", first_segment(tmp_path / "complete"), complete)
    for k in range(len(complete.calls)):
        root = tmp_path / f"crash{k}"
        shutil.copytree(small, root)
        _die_while_sealing(root, Crashing(k), monkeypatch)
        assert read_all(root) == expected
        open_log(root).close()  # recovers, seals again, unlinks
        assert read_all(root)[: len(expected)] == expected
        assert verify(root).findings == []
        assert left_building(root) == []


def test_unlinking_the_journal_before_the_rename_would_lose_it(small, monkeypatch):
    """The negative control: the crash test notices a sealer that does its steps in another order."""

    class Hasty(Crashing):
        def rename(self, source: Path, target: Path) -> None:
            first_segment(small).unlink()
            raise Crash

    expected = read_all(small)
    _die_while_sealing(small, Hasty(10**9), monkeypatch)
    with pytest.raises(CorruptLog, match="are in no file"):
        assert read_all(small) == expected


def test_the_worker_seals_in_its_own_process(rolled):
    before = read_all(rolled)
    worker = SealWorker(rolled)
    try:
        worker.offer(first_segment(rolled))
        results = worker.drain(30.0)
        assert [(r.first_seq, r.last_seq) for r in results] == [(1, before[-11].seq)]
        assert worker.failures == []
        worker.offer(rolled / "hot" / "00000009.evj")
        assert worker.drain(30.0) == []
        assert [failure.journal for failure in worker.failures] == [str(rolled / "hot" / "00000009.evj")]
    finally:
        worker.close()
    assert read_all(rolled) == before


def test_a_worker_that_died_is_reported_and_the_journal_keeps_everything(rolled):
    worker = SealWorker(rolled, python="/bin/false")
    worker.offer(first_segment(rolled))
    assert worker.drain(10.0) == []
    assert "ended" in worker.failures[0].message
    worker.close()
    assert first_segment(rolled).exists()


def test_sealed_ticks_take_at_most_eight_bytes(tmp_path, capsys):
    rng = random.Random(20250702)
    ts, price, ticks = 0, 10_000, []
    for _ in range(60_000):
        ts += rng.choice((0, 0, 1, 3, 17)) * 1_000_000
        price += rng.choice((-1, 0, 0, 0, 1))
        venue, size = rng.choice("PQZKJ"), float(rng.choice((100, 200, 300, rng.randrange(1, 3000))))
        if rng.random() < 0.2:
            ticks.append(Trade(ts, "f", "IBM", price / 100, size, venue))
        elif rng.random() < 0.5:
            ticks.append(Quote(ts, "f", "IBM", price / 100, size, None, None, venue))
        else:
            ticks.append(Quote(ts, "f", "IBM", None, None, price / 100 + 0.01, size, venue))
    journal = open_log(tmp_path / "log")
    journal.extend(ticks)
    journal.close()
    tables = [
        path
        for path in Layout(tmp_path / "log").sealed.glob("*/*.parquet")
        if path.stem in {"trade", "quote"}
    ]
    bytes_a_tick = sum(path.stat().st_size for path in tables) / len(ticks)
    with capsys.disabled():
        print(f" [{bytes_a_tick:.2f} bytes a tick sealed]", end="")
    assert 1 < bytes_a_tick <= 8
