"""Fault 11: a table of directory states and the exact verdict that each must get."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import pytest
from msgspec.structs import replace

from core.errors import CorruptLog, LostDurableData, StoreError, UnsupportedFormat, UsageError
from core.events import LossAccepted, Recovered, SegmentSealed
from eventstore import catalogue, inspection
from eventstore.accepting import accept_loss
from eventstore.inspection import inspect
from eventstore.journal import Journal
from eventstore.layout import MANIFEST_NAME, Layout
from eventstore.manifest import encode_manifest, read_manifest
from eventstore.reader import LogReader
from eventstore.sealing import seal
from eventstore.verdict import Damage
from eventstore.verify import verify
from eventstore.watermark import BadMark, Mark, read_mark
from tests.faults.journals import (
    UnsyncedFiles,
    append_bytes,
    crash,
    event_of,
    make_sample,
    read_all,
)

SEGMENTS, EVENTS = 4, 5


def make_log(root: Path) -> Layout:
    """A log of four hot segments with five events each."""
    journal = Journal.open(root, files=UnsyncedFiles())
    for n in range(1, SEGMENTS * EVENTS + 1):
        journal.append(event_of(n))
        journal.commit(sync=True)
        if n % EVENTS == 0 and n < SEGMENTS * EVENTS:
            journal.roll()
    journal.close()
    return Layout(root)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def seal_and_unlink(layout: Layout, *numbers: int) -> None:
    for number in numbers:
        seal(layout.root, layout.segment_path(number), UnsyncedFiles())
        layout.segment_path(number).unlink()


def newer_format(layout: Layout) -> None:
    data = bytearray(layout.segment_path(4).read_bytes())
    data[8:10] = (2).to_bytes(2, "little")
    data[124:128] = crc32(data[:124]).to_bytes(4, "little")
    layout.segment_path(4).write_bytes(data)


def tear(layout: Layout) -> None:
    """Take some bytes off the last block, which was durable."""
    path = layout.segment_path(SEGMENTS)
    path.write_bytes(path.read_bytes()[:-9])


def told_otherwise(directory: Path, **changes: object) -> None:
    """Let a sealed directory say something else, in a manifest that is whole by itself."""
    manifest = replace(read_manifest(directory), **changes)
    (directory / MANIFEST_NAME).write_bytes(encode_manifest(manifest))


def another_chain(layout: Layout) -> None:
    seal(layout.root, layout.segment_path(1), UnsyncedFiles())
    (directory,) = layout.sealed_directories()
    (segment,) = read_manifest(directory).segments
    told_otherwise(directory, segments=[replace(segment, chain="00" * 16)])


def edited_manifest(layout: Layout) -> None:
    seal(layout.root, layout.segment_path(1), UnsyncedFiles())
    path = layout.sealed_directories()[0] / MANIFEST_NAME
    path.write_text(path.read_text().replace('"count": ', '"count": 1', 1))


def foreign_segment(layout: Layout) -> None:
    other = make_sample(layout.root.parent / "other", [3])
    shutil.copy(other.segment, layout.segment_path(5))
    data = bytearray(layout.segment_path(5).read_bytes())
    data[32:40] = (5).to_bytes(8, "little")
    data[124:128] = crc32(data[:124]).to_bytes(4, "little")
    layout.segment_path(5).write_bytes(data)


def foreign_mark(layout: Layout) -> None:
    other = make_sample(layout.root.parent / "other", [3])
    shutil.copy(Layout(other.root).hwm, layout.hwm)


def stale_mark(layout: Layout) -> None:
    old = make_old_mark(layout)
    layout.hwm.write_bytes(old)


def make_old_mark(layout: Layout) -> bytes:
    data = bytearray(layout.hwm.read_bytes())
    data[32:40] = (3).to_bytes(8, "little")
    data[60:64] = crc32(data[:60]).to_bytes(4, "little")
    return bytes(data)


def another_history(layout: Layout) -> None:
    """Let the second sealed directory say that it follows something else."""
    seal_and_unlink(layout, 1, 2)
    told_otherwise(layout.sealed_directories()[1], previous_hash="00" * 16)


def header_only_successor(layout: Layout) -> None:
    crash(Journal.open(layout.root, files=UnsyncedFiles()))


@dataclass(frozen=True)
class Row:
    """What is done to the log, and what opening it must say: an error, or how many events there are."""

    name: str
    act: Callable[[Layout], object]
    error: type[StoreError] | None = None
    message: str = ""
    last_seq: int = SEGMENTS * EVENTS


def seg(number: int) -> Callable[[Layout], Path]:
    return lambda layout: layout.segment_path(number)


ROWS = [
    Row("untouched", lambda lay: None),
    Row(
        "first segment missing", lambda lay: seg(1)(lay).unlink(), CorruptLog, r"missing; restore .*00000001"
    ),
    Row(
        "middle segment missing",
        lambda lay: seg(3)(lay).unlink(),
        CorruptLog,
        r"missing; restore .*00000003\.evj, or .*sealed.*-00000000000015 if it was sealed",
    ),
    Row("last segment missing", lambda lay: seg(4)(lay).unlink(), LostDurableData, "seq 20 of segment 4"),
    Row(
        "last segment and mark missing",
        lambda lay: (seg(4)(lay).unlink(), lay.hwm.unlink()),
        last_seq=15,
    ),
    Row(
        "segment duplicated under another number",
        lambda lay: shutil.copy(seg(2)(lay), lay.segment_path(5)),
        CorruptLog,
        r"00000005\.evj: holds segment 2: the file was renamed",
    ),
    Row(
        "two segments swapped",
        lambda lay: (
            seg(2)(lay).rename(lay.hot / "x"),
            seg(3)(lay).rename(seg(2)(lay)),
            (lay.hot / "x").rename(seg(3)(lay)),
        ),
        CorruptLog,
        "the file was renamed",
    ),
    Row("segment of another log", foreign_segment, CorruptLog, r"00000005\.evj: belongs to another log"),
    Row("0-byte middle segment", lambda lay: seg(2)(lay).write_bytes(b""), CorruptLog, "00000002.*offset 0"),
    Row("0-byte new last segment", lambda lay: lay.segment_path(5).write_bytes(b"")),
    Row(
        "0-byte last segment that held events",
        lambda lay: seg(4)(lay).write_bytes(b""),
        LostDurableData,
        "ends at seq 15",
    ),
    Row("half a header in a new last segment", lambda lay: lay.segment_path(5).write_bytes(b"\x89TAPE\r\n")),
    Row("header-only last segment", header_only_successor),
    Row("newer format", newer_format, UnsupportedFormat, "format version 2.*upgrade truetape"),
    Row(
        "truncated middle segment",
        lambda lay: seg(2)(lay).write_bytes(seg(2)(lay).read_bytes()[:-1]),
        CorruptLog,
        r"00000002\.evj: offset \d+: damaged at seq 10",
    ),
    Row("grown middle segment", lambda lay: seg(2)(lay).write_bytes(seg(2)(lay).read_bytes() + b"junk")),
    Row(
        "flipped bit in a closed segment",
        lambda lay: flip(seg(2)(lay), 300),
        CorruptLog,
        r"00000002\.evj: off",
    ),
    Row(
        "flipped bit in a header", lambda lay: flip(seg(3)(lay), 40), CorruptLog, "header's checksum differs"
    ),
    Row(
        "flipped bit in a header's version",
        lambda lay: flip(seg(3)(lay), 8),
        CorruptLog,
        r"checksum differs; its format version reads 0, not 1",
    ),
    Row(
        "flipped bit in a block's version",
        lambda lay: flip(seg(2)(lay), 132),
        CorruptLog,
        r"offset 128: damaged at seq \d+: the header's checksum differs; its version reads 0, not 1",
    ),
    Row(
        "flipped bit in the last segment",
        lambda lay: flip(seg(4)(lay), 200),
        CorruptLog,
        "damaged at seq 16.*later block shows that it was durable",
    ),
    Row("garbage after the last block", lambda lay: append_bytes(seg(4)(lay), b"\xe5tB\xb1" * 9)),
    Row("foreign mark", foreign_mark, CorruptLog, "HWM: the mark of another log"),
    Row("stale mark", stale_mark),
    Row("torn mark", lambda lay: lay.hwm.write_bytes(b"TAPEHWM1" + bytes(56))),
    Row("0-byte mark", lambda lay: lay.hwm.write_bytes(b"")),
    Row("no mark", lambda lay: lay.hwm.unlink()),
    Row("a mark of zeros", lambda lay: lay.hwm.write_bytes(bytes(64))),
    Row("flipped bit in the mark", lambda lay: flip(lay.hwm, 33)),
    Row("grown mark", lambda lay: lay.hwm.write_bytes(lay.hwm.read_bytes() + b"junk")),
    Row(
        "flipped bit in the mark, torn tail",
        lambda lay: (flip(lay.hwm, 33), tear(lay)),
        LostDurableData,
        r"HWM: the high-water mark has a checksum that differs.*00000004\.evj.*seq 19",
    ),
    Row(
        "a block cut off that the mark knows of",
        tear,
        LostDurableData,
        r"00000004\.evj: offset \d+: damaged at seq 20: only \d+ of \d+ payload bytes.*seq 20 of segment 4",
    ),
    Row("no mark, torn tail", lambda lay: (lay.hwm.unlink(), tear(lay)), last_seq=19),
    Row("a mark of zeros, torn tail", lambda lay: (lay.hwm.write_bytes(bytes(64)), tear(lay)), last_seq=19),
    Row(
        "the mark is a directory",
        lambda lay: (lay.hwm.unlink(), lay.hwm.mkdir()),
        StoreError,
        "HWM.*directory",
    ),
    Row("foreign names in hot", lambda lay: (lay.hot / "notes.txt").write_text("x")),
    Row("left-overs in tmp", lambda lay: (lay.tmp / "a").mkdir()),
    Row("one segment sealed", lambda lay: seal_and_unlink(lay, 1)),
    Row("all but the last sealed", lambda lay: seal_and_unlink(lay, 1, 2, 3)),
    Row("sealed and hot both", lambda lay: seal(lay.root, seg(1)(lay), UnsyncedFiles()), last_seq=21),
    Row("sealed out of turn", lambda lay: seal_and_unlink(lay, 2)),
    Row(
        "a sealed directory missing",
        lambda lay: (seal_and_unlink(lay, 1, 2), shutil.rmtree(lay.sealed_directories()[0])),
        CorruptLog,
        r"seqs 1\.\.5 are missing before",
    ),
    Row(
        "the last sealed directory missing",
        lambda lay: (seal_and_unlink(lay, 1, 2), shutil.rmtree(lay.sealed_directories()[1])),
        CorruptLog,
        r"missing; restore .*00000002",
    ),
    Row(
        "a sealed directory missing before one whose manifest is not read",
        lambda lay: (seal_and_unlink(lay, 1, 2, 3), shutil.rmtree(lay.sealed_directories()[0])),
        CorruptLog,
        r"seqs 1\.\.5 are missing before 00000000000006",
    ),
    Row(
        "a sealed directory missing between others",
        lambda lay: (seal_and_unlink(lay, 1, 2, 3), shutil.rmtree(lay.sealed_directories()[1])),
        CorruptLog,
        r"seqs 6\.\.10 are missing before 00000000000011",
    ),
    Row("edited seal.json", edited_manifest, CorruptLog, r"seal\.json: its own digest does not fit"),
    Row("seal.json of another chain", another_chain, CorruptLog, r"00000001\.evj: offset \d+: damaged"),
    Row(
        "sealed directory renamed",
        lambda lay: (
            seal_and_unlink(lay, 1),
            lay.sealed_directories()[0].rename(lay.sealed_path(1, 6)),
        ),
        CorruptLog,
        "directory's name",
    ),
    Row(
        "sealed directory without manifest",
        lambda lay: (seal_and_unlink(lay, 1), (lay.sealed_directories()[0] / MANIFEST_NAME).unlink()),
        CorruptLog,
        "missing",
    ),
    Row("empty directory", lambda lay: (shutil.rmtree(lay.root), lay.root.mkdir()), last_seq=0),
    Row("no directory", lambda lay: shutil.rmtree(lay.root), last_seq=0),
]


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
