"""Fault 11: a table of directory states and the exact verdict that each must get."""

from pathlib import Path

import pytest

from core.errors import CorruptLog, StoreError, UsageError
from core.events import LossAccepted, Recovered, SegmentSealed
from eventstore.integrity.accepting import accept_loss
from eventstore.integrity.verify import verify
from eventstore.journal import inspection
from eventstore.journal.inspection import inspect
from eventstore.journal.journal import Journal
from eventstore.journal.verdict import Damage
from eventstore.journal.watermark import BadMark, Mark, read_mark
from eventstore.layout import Layout
from eventstore.manifests import catalogue
from eventstore.manifests.manifest import read_manifest
from eventstore.reading.reader import LogReader
from eventstore.sealing.sealing import seal
from tests.faults.directories import (
    EVENTS,
    ROWS,
    SEGMENTS,
    Row,
    another_history,
    flip,
    make_log,
    seal_and_unlink,
    tear,
)
from tests.faults.journals import (
    UnsyncedFiles,
    append_bytes,
    event_of,
    read_all,
)


def check_row(row: Row, root: Path) -> None:
    layout = make_log(root)
    row.act(layout)
    if row.error is None:
        journal = Journal.open(root, files=UnsyncedFiles())
        housekeeping = 1 if journal.recovered else 0
        assert journal.last_seq == row.last_seq + housekeeping
        journal.append(event_of(1))
        journal.close()
        assert LogReader(root).last_seq() == row.last_seq + housekeeping + 1
        return
    with pytest.raises(row.error, match=row.message) as caught:
        Journal.open(root, files=UnsyncedFiles())
    assert isinstance(caught.value, StoreError)
    # A refusal changes nothing: it is the same the second time, and the lock is free.
    with pytest.raises(row.error, match=row.message):
        Journal.open(root, files=UnsyncedFiles())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_directory_state_gets_its_exact_verdict(row: Row, tmp_path: Path) -> None:
    check_row(row, tmp_path / "log")


def test_the_table_catches_a_recovery_that_does_not_check_what_a_segment_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection._Inspection, "_check_place", lambda *_: None)
    row = next(row for row in ROWS if row.name == "middle segment missing")
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_row(row, tmp_path / "log")


def test_the_table_catches_a_recovery_that_takes_any_damaged_mark_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "look_at_mark", lambda layout: read_mark(layout) or BadMark("", None))
    row = next(row for row in ROWS if row.name == "flipped bit in the mark, torn tail")
    with pytest.raises(pytest.fail.Exception):
        check_row(row, tmp_path / "log")


@pytest.mark.parametrize("name", ["flipped bit in the mark", "grown mark", "0-byte mark", "no mark"])
def test_a_damaged_mark_is_named_in_the_log_kept_and_written_anew(name: str, tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    whole = layout.hwm.read_bytes()
    next(row for row in ROWS if row.name == name).act(layout)
    damaged = layout.hwm.read_bytes() if layout.hwm.exists() else b""
    journal = Journal.open(layout.root, files=UnsyncedFiles())
    assert journal.recovered is not None
    assert (journal.recovered.segment, journal.recovered.dropped_bytes) == (SEGMENTS, 0)
    assert journal.recovered.mark
    journal.close()
    assert read_mark(layout) == Mark(journal.store, SEGMENTS + 1, SEGMENTS * EVENTS + 1)
    kept = [path.read_bytes() for path in layout.quarantine.iterdir()]
    assert kept == ([damaged] if damaged else [])
    assert read_all(layout.root)[-1].event == journal.recovered
    layout.hwm.write_bytes(whole)
    reopened = Journal.open(layout.root, files=UnsyncedFiles())
    assert reopened.recovered is None, "the mark of before is merely stale"
    reopened.close()


def test_a_tail_that_no_mark_vouches_for_can_be_accepted_as_lost(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    flip(layout.hwm, 33)
    tear(layout)
    assert accept_loss(layout.root, "both are gone").last_seq == 19
    entries = read_all(layout.root)
    assert isinstance(entries[19].event, LossAccepted)
    assert (entries[19].event.file, len(entries)) == ("HWM", 20)
    assert sorted(path.suffix for path in layout.quarantine.iterdir()) == ["", ".torn"]


def test_another_history_among_what_is_sealed_is_found_by_a_whole_inspection(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    another_history(layout)
    with pytest.raises(CorruptLog, match="follows hash 0000"):
        inspect(layout.root)
    assert [finding.message for finding in verify(layout.root).findings if "follows hash" in finding.message]
    assert inspect(layout.root, whole=False).last_seq == SEGMENTS * EVENTS, "a writer reads the last only"


def test_a_writer_reads_no_manifest_but_that_of_the_last_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = make_log(tmp_path / "log")
    seal_and_unlink(layout, 1, 2, 3)
    read: list[str] = []
    monkeypatch.setattr(
        catalogue, "read_manifest", lambda path: (read.append(path.name), read_manifest(path))[1]
    )
    Journal.open(layout.root, files=UnsyncedFiles()).close()
    assert read == [layout.sealed_directories()[-1].name]
    journal = Journal.open(layout.root, files=UnsyncedFiles())
    read.clear()
    seal(layout.root, layout.segment_path(4), UnsyncedFiles())
    assert read == [], "its successor is hot, and no directory holds its seqs"
    journal.close()
    assert inspect(layout.root).last_seq == SEGMENTS * EVENTS
    assert len(read) == len(layout.sealed_directories()) == 4


def test_a_segment_that_is_hot_between_sealed_ones_is_seen_with_its_neighbours(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    seal_and_unlink(layout, 1, 3)
    assert inspect(layout.root, whole=False) == inspect(layout.root)
    flip(layout.segment_path(2), 300)
    for whole in (True, False):
        with pytest.raises(Damage, match=r"00000002\.evj") as damage:
            inspect(layout.root, whole=whole)
        assert [path.name for path in damage.value.prefix.discarded] == [
            "00000004.evj",
            layout.sealed_directories()[1].name,
        ]


def test_the_good_prefix_stays_readable_after_damage(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    flip(layout.segment_path(3), 300)
    with pytest.raises(Damage, match="can be read up to seq") as damage:
        inspect(layout.root)
    assert damage.value.path == layout.segment_path(3)
    assert 10 <= damage.value.prefix.last_seq < 15


def test_accepting_a_loss_says_so_in_the_log_and_keeps_the_rest_in_quarantine(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    before = read_all(layout.root)
    flip(layout.segment_path(3), 300)
    prefix = accept_loss(layout.root, "disk replaced")
    journal = Journal.open(layout.root, files=UnsyncedFiles())
    assert journal.recovered is None
    assert journal.append(event_of(1)) == prefix.last_seq + 2
    journal.close()
    entries = read_all(layout.root)
    assert entries[: prefix.last_seq] == before[: prefix.last_seq]
    loss = entries[prefix.last_seq].event
    assert isinstance(loss, LossAccepted)
    assert (loss.file, loss.reason) == ("hot/00000003.evj", "disk replaced")
    assert loss.first_lost_seq == prefix.last_seq + 1
    assert (layout.quarantine / "00000004.evj").exists()


def test_the_loss_of_a_last_block_names_its_file_and_offset(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    tear(layout)
    assert accept_loss(layout.root, "cut off").last_seq == 19
    (tail,) = layout.quarantine.iterdir()
    loss = read_all(layout.root)[19].event
    assert isinstance(loss, LossAccepted)
    assert (loss.file, tail.name) == ("hot/00000004.evj", f"00000004-{loss.offset}.torn")


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_missing_segment_can_be_accepted_as_lost(tmp_path: Path, number: int) -> None:
    layout = make_log(tmp_path / "log")
    layout.segment_path(number).unlink()
    prefix = accept_loss(layout.root, "deleted by hand")
    assert prefix.last_seq == (number - 1) * EVENTS
    entries = read_all(layout.root)
    assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
    assert isinstance(entries[prefix.last_seq].event, LossAccepted)


def test_there_is_no_loss_to_accept_in_a_whole_log(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    with pytest.raises(UsageError, match="nothing is damaged"):
        accept_loss(layout.root, "just in case")
    with pytest.raises(UsageError, match="needs a reason"):
        accept_loss(layout.root, "  ")
    assert len(read_all(layout.root)) == 20


def test_a_seal_that_was_interrupted_before_its_record_is_finished_at_open(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    result = seal(layout.root, layout.segment_path(1), UnsyncedFiles())
    Journal.open(layout.root, files=UnsyncedFiles()).close()
    assert not layout.segment_path(1).exists()
    entries = [e for batch in LogReader(layout.root).entries() for e in batch]
    assert [e.seq for e in entries] == list(range(1, 22))
    assert entries[-1].event == SegmentSealed(entries[-1].event.ts, 1, 5, result.chain)


def test_a_torn_tail_is_recorded_once(tmp_path: Path) -> None:
    layout = make_log(tmp_path / "log")
    append_bytes(layout.segment_path(4), b"torn")
    for _ in range(3):
        Journal.open(layout.root, files=UnsyncedFiles()).close()
    events = [e.event for e in read_all(layout.root)]
    assert [e for e in events if isinstance(e, Recovered)] == [
        Recovered(events[-1].ts, 4, inspect_end(layout), 4)
    ]


def inspect_end(layout: Layout) -> int:
    return next(s.end.offset for s in inspect(layout.root).hot if s.number == 4)
