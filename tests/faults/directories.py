"""What may have become of a log's directory, and what opening it must say: a table of states and verdicts."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from msgspec.structs import replace

from core.errors import CorruptLog, LostDurableData, StoreError, UnsupportedFormat
from eventstore.journal.journal import Journal
from eventstore.layout import MANIFEST_NAME, Layout
from eventstore.manifests.manifest import encode_manifest, read_manifest
from eventstore.sealing.sealing import seal
from tests.faults.journals import (
    UnsyncedFiles,
    append_bytes,
    crash,
    event_of,
    make_sample,
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
