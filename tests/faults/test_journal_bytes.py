"""Faults 1 to 4: truncated, flipped, holed, swapped and half-written segments.

Each check is a function that is run twice: on the real code, where it must pass, and on a deliberately
broken variant, where it must fail.
"""

import itertools
from pathlib import Path

import msgspec
import pytest

from core.errors import CorruptLog, StoreError
from core.events import Recovered, Unknown
from eventstore.journal import blocks, inspection, segments
from eventstore.journal.blocks import HEADER_BYTES, Block, decode_header
from eventstore.journal.inspection import inspect
from eventstore.journal.journal import Journal
from eventstore.journal.segments import SEGMENT_HEADER_BYTES
from eventstore.journal.watermark import BadMark
from eventstore.layout import Layout
from tests.faults.journals import CLOCK_NS, Sample, UnsyncedFiles, crash, entries_of, make_sample, read_all


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return make_sample(tmp_path / "log", [3, 1, 5, 2, 4])


@pytest.fixture
def small(tmp_path: Path) -> Sample:
    return make_sample(tmp_path / "log", [1, 1, 1])


def careless_decode(salt: int, data: memoryview, offset: int, seq: int, chain: bytes) -> Block | str:
    """A reader that believes a header and checks neither payload CRC nor length nor chain."""
    header = decode_header(salt, data[offset:])
    if isinstance(header, str):
        return header
    start, end = offset + HEADER_BYTES, offset + HEADER_BYTES + header.payload_bytes
    last = seq + header.records - 1
    return Block(offset, end, seq, last, header.synced_seq, header.wall_ns, chain, data[start:end])


def check_every_truncation(sample: Sample, *, marked: bool) -> None:
    """I1 and I2: the exact whole-block prefix, or a refusal where the mark says that more was durable."""
    if not marked:
        Layout(sample.root).hwm.unlink(missing_ok=True)
    for length in range(len(sample.data) + 1):
        sample.segment.write_bytes(sample.data[:length])
        expected = sample.prefix(length)
        try:
            found = inspect(sample.root)
        except CorruptLog:
            assert marked, f"cut at {length}: refused without evidence"
            assert len(expected) < len(sample.entries)
            continue
        assert entries_of(found) == expected, f"cut at {length}"
        assert not marked or len(expected) == len(sample.entries), f"cut at {length}: durable events lost"


@pytest.mark.parametrize("marked", [False, True])
def test_a_truncated_segment_gives_the_whole_blocks_or_a_refusal(sample: Sample, marked: bool) -> None:
    check_every_truncation(sample, marked=marked)


def test_the_truncation_check_catches_a_reader_without_checksums(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "decode_block", careless_decode)
    with pytest.raises((AssertionError, CorruptLog)):
        check_every_truncation(sample, marked=False)


def test_the_truncation_check_catches_a_recovery_without_high_water_mark(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "look_at_mark", lambda _: BadMark("is missing", None))
    with pytest.raises(AssertionError, match="durable events lost"):
        check_every_truncation(sample, marked=True)


def test_a_torn_tail_is_quarantined_not_fatal(sample: Sample) -> None:
    Layout(sample.root).hwm.unlink()
    for length in range(0, len(sample.data), 97):
        sample.segment.write_bytes(sample.data[:length])
        before = sample.prefix(length)
        journal = Journal.open(sample.root, clock=lambda: CLOCK_NS, files=UnsyncedFiles())
        valid = max([end for end in sample.ends if end <= length], default=128)
        torn = length - valid if length > 128 else 0
        journal.append(before[0].event if before else sample.entries[0].event)
        journal.close()
        assert (journal.recovered.dropped_bytes if journal.recovered else 0) == torn
        after = read_all(sample.root)
        assert after[: len(before)] == before
        assert isinstance(after[len(before)].event, Recovered) == bool(torn)
        if torn:
            kept = (Layout(sample.root).quarantine / f"00000001-{valid}.torn").read_bytes()
            assert kept == sample.data[valid:length]
        if valid > 128:
            assert sample.segment.read_bytes() == sample.data[:length], "old bytes are never edited"
        for path in Layout(sample.root).segments():
            path.unlink()
        Layout(sample.root).hwm.unlink()


def check_damage(sample: Sample, image: bytes, what: str, *, marked: bool) -> None:
    """I8: the same events, a typed refusal, or a drop of the last block, which no later one vouches for."""
    sample.segment.write_bytes(image)
    try:
        found = entries_of(inspect(sample.root))
    except StoreError as error:
        refusal: StoreError | None = error
    else:
        refusal = None
    if refusal is not None:
        assert str(sample.segment) in str(refusal) or "durable" in str(refusal), what
        return
    assert found == sample.entries[: len(found)], f"{what}: wrong values"
    if image != sample.data:
        assert not marked, f"{what}: not refused"
        assert len(found) == sample.seqs[-2], f"{what}: a block that a later one vouches for was dropped"


def flips(data: bytes) -> list[tuple[str, bytes]]:
    images = []
    for offset, byte in enumerate(data):
        values = {byte ^ (1 << bit) for bit in range(8)} | {0x00, 0xFF}
        for value in values - {byte}:
            image = bytearray(data)
            image[offset] = value
            images.append((f"byte {offset} {byte:#x} -> {value:#x}", bytes(image)))
    return images


@pytest.mark.parametrize("marked", [True, False])
def test_no_flipped_bit_goes_unnoticed(small: Sample, marked: bool) -> None:
    if not marked:
        Layout(small.root).hwm.unlink()
    images = flips(small.data)
    assert len(images) >= 8 * len(small.data)
    check_every_flip(small, marked=marked)


def check_every_flip(sample: Sample, *, marked: bool) -> None:
    for what, image in flips(sample.data):
        check_damage(sample, image, what, marked=marked)


def test_the_flip_check_catches_a_reader_without_checksums(
    small: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "decode_block", careless_decode)
    with pytest.raises((AssertionError, CorruptLog)):
        check_every_flip(small, marked=True)


def test_the_flip_check_catches_a_recovery_that_ignores_synced_seq(
    small: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    Layout(small.root).hwm.unlink()
    monkeypatch.setattr(inspection, "_was_durable", lambda *_: False)
    with pytest.raises(AssertionError, match="vouches"):
        check_every_flip(small, marked=False)


def test_a_flip_in_the_high_water_mark_never_costs_an_event(small: Sample) -> None:
    hwm = Layout(small.root).hwm
    for what, image in flips(hwm.read_bytes()):
        hwm.write_bytes(image)
        assert read_all(small.root) == small.entries, what


def holes_and_swaps(data: bytes) -> list[tuple[str, bytes]]:
    images = []
    for size in (512, 4096):
        for start in range(0, len(data), 512):
            hole = bytes(min(size, len(data) - start))
            images.append((f"hole of {size} at {start}", data[:start] + hole + data[start + size :]))
    sectors = [data[i : i + 512] for i in range(0, len(data), 512)]
    for a, b in itertools.combinations(range(len(sectors) - 1), 2):
        swapped = list(sectors)
        swapped[a], swapped[b] = swapped[b], swapped[a]
        images.append((f"sectors {a} and {b} swapped", b"".join(swapped)))
    return images


def test_zero_holes_and_swapped_sectors_are_refused(tmp_path: Path) -> None:
    sample = make_sample(tmp_path / "log", [9] * 16)
    assert len(sample.data) > 8 * 1024
    for what, image in holes_and_swaps(sample.data):
        if image != sample.data:
            check_damage(sample, image, what, marked=True)


def unsynced_images(root: Path) -> tuple[Sample, list[tuple[str, bytes]]]:
    """Every way in which a power cut can take sectors of a group that was written but not synced."""
    sample = make_sample(root, [4, 3])
    journal = Journal.open(root, clock=lambda: CLOCK_NS, files=UnsyncedFiles())
    segment = Layout(root).segments()[-1]
    start = len(segment.read_bytes())
    for n in range(8, 60):
        journal.append(sample.entries[n % 7].event)
        if n % 10 == 0:
            journal.commit(sync=False)
    journal.commit(sync=False)
    data = segment.read_bytes()
    crash(journal)
    assert journal.durable_seq == 7
    bounds = [start, *range((start // 512 + 1) * 512, len(data), 512), len(data)]
    images = []
    for lost in itertools.product((False, True), repeat=len(bounds) - 1):
        image = bytearray(data)
        for gone, (a, b) in zip(lost, itertools.pairwise(bounds), strict=True):
            if gone:
                image[a:b] = bytes(b - a)
        images.append((f"sectors lost: {lost}", bytes(image)))
    return Sample(root, segment, data, sample.entries, [], []), images


def test_an_unsynced_group_that_lost_any_sectors_is_a_torn_tail(tmp_path: Path) -> None:
    check_every_lost_sector(tmp_path / "log")


def check_every_lost_sector(root: Path) -> None:
    sample, images = unsynced_images(root)
    assert len(images) >= 128
    for what, image in images:
        sample.segment.write_bytes(image)
        assert read_all(sample.root)[:7] == sample.entries, what


def test_the_unsynced_check_catches_a_recovery_that_takes_any_later_block_for_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def any_block(rest: memoryview, store: bytes, seq: int) -> bool:
        return bytes(rest).find(blocks.MAGIC, 1) >= 0

    monkeypatch.setattr(inspection, "_was_durable", any_block)
    with pytest.raises(CorruptLog):
        check_every_lost_sector(tmp_path / "log")


@pytest.mark.parametrize("tail", ["own block", "foreign block", "zeros", "garbage"])
def test_what_only_looks_like_a_block_is_no_proof(tmp_path: Path, tail: str) -> None:
    sample = make_sample(tmp_path / "log", [3, 2])
    other = make_sample(tmp_path / "other", [50, 9, 4])
    journal = Journal.open(sample.root, clock=lambda: CLOCK_NS, files=UnsyncedFiles())
    segment = Layout(sample.root).segments()[-1]
    block = other.data[other.ends[1] :]
    if tail == "own block":
        # A record that holds a valid block of this very store, torn after it: only payload, no proof.
        payload = sample.data[sample.ends[0] + HEADER_BYTES :]
        salted = blocks.salt(journal.store)
        inner = b"".join(blocks.encode_block(salted, 2, 90, 89, 0, bytes(16), payload)[:1]) + payload
        journal.append(Unknown(1, "blob", 1, msgspec.msgpack.encode([1, inner, bytes(200)])))
        journal.commit(sync=False)
        image = segment.read_bytes()[:-100]
    else:
        journal.append(sample.entries[0].event)
        journal.commit(sync=False)
        rest = {"foreign block": block, "zeros": bytes(9000), "garbage": bytes(range(256)) * 9}[tail]
        # Torn within the block's header, so that its length is not known.
        image = segment.read_bytes()[: SEGMENT_HEADER_BYTES + 22] + rest
    crash(journal)
    segment.write_bytes(image)
    assert read_all(sample.root) == sample.entries


def test_an_unsalted_checksum_would_take_a_foreign_block_for_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (blocks, inspection, segments):
        monkeypatch.setattr(module, "salt", lambda _: 0)
    monkeypatch.setattr("eventstore.journal.writer.salt", lambda _: 0)
    with pytest.raises(CorruptLog):
        test_what_only_looks_like_a_block_is_no_proof(tmp_path, "foreign block")
