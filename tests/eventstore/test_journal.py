"""The journal's policy: what is synced when, when it rolls, how it works with a sealer."""

from pathlib import Path

import pytest

from core.errors import InvalidEvent
from core.events import Entry, Recovered, SegmentSealed, Unknown
from eventstore.files import Files
from eventstore.journal import inspection
from eventstore.journal.blocks import CUT_EVENTS, MAX_PAYLOAD_BYTES, MAX_RECORD_BYTES
from eventstore.journal.inspection import inspect
from eventstore.journal.journal import Journal
from eventstore.journal.policy import Policy, SealResult
from eventstore.journal.segments import Walk
from eventstore.journal.verdict import Lost, Recovery
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from eventstore.sealing.sealing import seal
from tests.faults.journals import UnsyncedFiles, crash, event_of, read_all

SECOND = 1_000_000_000


class CountingFiles(UnsyncedFiles):
    """Counts writes to segments and syncs."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0
        self.writes: list[int] = []

    def data_sync(self, fd: int) -> None:
        self.syncs += 1

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        self.writes.append(len(data))
        return super().write(fd, data)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


class StubbornSealer:
    """Seals in this process when told to; may be told to fail."""

    def __init__(self, root: Path) -> None:
        self.root, self.offered, self.ready = root, list[Path](), False

    def offer(self, path: Path) -> None:
        self.offered.append(path)

    def poll(self) -> list[SealResult]:
        if not self.ready:
            return []
        offered, self.offered = self.offered, []
        return [seal(self.root, path, UnsyncedFiles()) for path in offered]

    def drain(self, timeout_s: float) -> list[SealResult]:
        return self.poll()

    def compact(self, timeout_s: float) -> None:
        """Nothing to it here: eventstore/sealing/compacting.py has tests of its own."""


def fill(journal: Journal, count: int) -> None:
    for _ in range(count):
        journal.append(event_of(journal.last_seq + 1))


def test_a_commit_is_one_write_and_a_synced_one_is_one_sync(tmp_path: Path) -> None:
    files = CountingFiles()
    journal = Journal.open(tmp_path / "log", files=files)
    files.syncs, files.writes = 0, []
    fill(journal, 50)
    journal.commit(sync=True)
    assert files.syncs == 1
    assert len(files.writes) == 2, "the block and the high-water mark"
    journal.close()


def test_market_data_are_synced_within_a_second(tmp_path: Path) -> None:
    files, clock = CountingFiles(), Clock()
    journal = Journal.open(tmp_path / "log", files=files, monotonic=clock)
    files.syncs = 0
    assert journal.sync_due_s is None
    fill(journal, 3)
    journal.commit(sync=False)
    assert (files.syncs, journal.durable_seq, journal.sync_due_s) == (0, 0, 1.0)
    clock.now += SECOND // 2
    fill(journal, 1)
    journal.commit(sync=False)
    assert (files.syncs, journal.sync_due_s) == (0, 0.5)
    clock.now += SECOND // 2
    journal.commit(sync=False)
    assert (files.syncs, journal.durable_seq, journal.sync_due_s) == (1, 4, None)
    journal.close()


def test_a_synced_commit_covers_earlier_market_data(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    fill(journal, 3)
    journal.commit(sync=False)
    fill(journal, 1)
    journal.commit(sync=True)
    assert journal.durable_seq == 4
    journal.close()


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [(Policy(roll_events=10), 0), (Policy(roll_bytes=600), 0), (Policy(roll_after_s=5), 5)],
)
def test_a_segment_is_closed_by_count_size_or_age(tmp_path: Path, policy: Policy, seconds: int) -> None:
    clock = Clock()
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles(), monotonic=clock, policy=policy)
    clock.now += seconds * SECOND
    journal.commit(sync=True)
    assert len(Layout(journal.root).segments()) == 1, "an empty segment never rolls"
    fill(journal, 10)
    journal.commit(sync=False)
    assert len(Layout(journal.root).segments()) == 2
    assert journal.durable_seq == 10, "a closed segment is durable"
    journal.roll()
    assert len(Layout(journal.root).segments()) == 2
    journal.close()
    assert len(Layout(journal.root).segments()) == 1, "an empty segment is removed at close"
    assert len(read_all(journal.root)) == 10


def test_a_large_batch_is_one_write_of_bounded_blocks(tmp_path: Path) -> None:
    files = CountingFiles()
    journal = Journal.open(tmp_path / "log", files=files)
    files.writes = []
    events = [event_of(n) for n in range(1, 2 * CUT_EVENTS + 101)]
    journal.append(events[0])
    assert journal.extend(events[1:]) == range(2, len(events) + 1)
    journal.commit(sync=False)
    assert len(files.writes) == 1
    segment = inspect(journal.root).hot[0]
    counts = [b.last_seq - b.first_seq + 1 for b in Walk(segment.path, segment.header.store)]
    assert sum(counts) == len(events)
    assert max(counts) <= CUT_EVENTS
    journal.close()
    assert [e.event for e in read_all(journal.root)] == events


def test_large_events_make_small_blocks(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles(), clock=lambda: 5)
    big = [
        Unknown(n, "blob", 1, b"\x92" + bytes([n]) + b"\xc6\x00\x30\x00\x00" + bytes(3 << 20))
        for n in (1, 2, 3)
    ]
    journal.append(big[0])
    journal.extend(big[1:])
    journal.commit(sync=True)
    segment = inspect(journal.root).hot[0]
    sizes = [len(b.payload) for b in Walk(segment.path, segment.header.store)]
    assert max(sizes) < MAX_PAYLOAD_BYTES
    assert len(sizes) == 2
    journal.close()
    assert read_all(journal.root) == [Entry(n, 5, n, None, e) for n, e in enumerate(big, 1)]


def test_an_event_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    size = MAX_RECORD_BYTES + 1
    huge = Unknown(1, "blob", 1, b"\x92\x01\xc6" + size.to_bytes(4, "big") + bytes(size))
    with pytest.raises(InvalidEvent, match="larger than"):
        journal.append(huge)
    with pytest.raises(InvalidEvent, match="larger than"):
        journal.extend([event_of(1), huge])
    assert (journal.last_seq, journal.append(event_of(1))) == (0, 1)
    journal.close()
    assert [e.event for e in read_all(journal.root)] == [event_of(1)]


def test_every_start_opens_a_new_segment_that_fixes_the_one_before(tmp_path: Path) -> None:
    chains = []
    for _ in range(3):
        journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
        fill(journal, 2)
        journal.commit(sync=True)
        chains.append(journal.chain)
        journal.close()
    hot = inspect(tmp_path / "log").hot
    assert [s.header.epoch for s in hot] == [1, 2, 3]
    assert [s.header.previous_hash for s in hot[1:]] == chains[:2]
    assert [s.header.previous_length for s in hot[1:]] == [s.end.offset for s in hot[:2]]
    assert len({s.header.store for s in hot}) == 1


def test_starting_and_stopping_leaves_no_empty_segments(tmp_path: Path) -> None:
    for _ in range(3):
        Journal.open(tmp_path / "log", files=UnsyncedFiles()).close()
    assert Layout(tmp_path / "log").segments() == []
    crash(Journal.open(tmp_path / "log", files=UnsyncedFiles()))
    crash(Journal.open(tmp_path / "log", files=UnsyncedFiles()))
    assert len(Layout(tmp_path / "log").segments()) == 1


def test_the_build_area_is_wiped_by_the_holder_only(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    left = Layout(journal.root).tmp / "half"
    left.mkdir()
    (left / "trade.parquet").write_bytes(b"x")
    with pytest.raises(Exception, match="held by process"):
        Journal.open(tmp_path / "log", files=UnsyncedFiles())
    assert left.exists()
    journal.close()
    Journal.open(tmp_path / "log", files=UnsyncedFiles()).close()
    assert not left.exists()


def test_a_sealed_segment_is_recorded_durably_and_then_unlinked(tmp_path: Path) -> None:
    sealer = StubbornSealer(tmp_path / "log")
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles(), sealer=sealer)
    layout = Layout(journal.root)
    fill(journal, 5)
    journal.roll()
    assert sealer.offered == [layout.segment_path(1)]
    journal.commit(sync=False)
    assert layout.segment_path(1).exists()
    sealer.ready = True
    journal.commit(sync=False)
    assert not layout.segment_path(1).exists()
    assert journal.durable_seq == 6
    assert [type(e.event) for e in read_all(journal.root)] == [SegmentSealed]
    entries = [e for batch in LogReader(journal.root).entries() for e in batch]
    assert [e.seq for e in entries] == [1, 2, 3, 4, 5, 6]
    journal.close()
    assert LogReader(journal.root).last_seq() == journal.last_seq


def test_segments_that_were_not_sealed_are_offered_at_the_next_start(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    for _ in range(3):
        fill(journal, 4)
        journal.roll()
    crash(journal)
    sealer = StubbornSealer(tmp_path / "log")
    sealer.ready = True
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles(), sealer=sealer)
    assert sealer.offered == [Layout(journal.root).segment_path(n) for n in (1, 2, 3)]
    journal.commit(sync=False)
    journal.close()
    assert [d.name[-2:] for d in Layout(journal.root).sealed_directories()] == ["04", "08", "12", "15"]
    assert LogReader(journal.root).last_seq() == journal.last_seq == 16


def test_a_file_that_a_reader_keeps_open_is_unlinked_later(tmp_path: Path) -> None:
    class InUse(UnsyncedFiles):
        busy = True

        def unlink(self, path: Path) -> None:
            if self.busy:
                raise PermissionError(13, "in use", str(path))
            super().unlink(path)

    files, sealer = InUse(), StubbornSealer(tmp_path / "log")
    sealer.ready = True
    journal = Journal.open(tmp_path / "log", files=files, sealer=sealer)
    fill(journal, 5)
    journal.roll()
    journal.commit(sync=False)
    assert Layout(journal.root).segment_path(1).exists()
    files.busy = False
    fill(journal, 1)
    journal.roll()
    assert not Layout(journal.root).segment_path(1).exists()
    journal.close()


def test_wall_clock_jumps_change_no_order(tmp_path: Path) -> None:
    wall = iter([10**18, 5 * 10**17, 2 * 10**18] * 50).__next__
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles(), clock=wall)
    fill(journal, 20)
    journal.commit(sync=True)
    journal.close()
    assert [e.seq for e in read_all(journal.root)] == list(range(1, 21))


def test_recovered_is_told_to_whoever_opens_the_log(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    fill(journal, 3)
    journal.commit(sync=True)
    fill(journal, 3)
    journal.commit(sync=False)
    crash(journal)
    segment = Layout(journal.root).segment_path(1)
    segment.write_bytes(segment.read_bytes()[:-1])
    journal = Journal.open(tmp_path / "log", files=Files())
    assert isinstance(journal.recovered, Recovered)
    assert (journal.last_seq, journal.durable_seq) == (4, 4)
    journal.close()


def inspect_while_writing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the writer go on between the walk over the segments and the end of `inspect`."""
    journal = Journal.open(root, files=UnsyncedFiles())
    fill(journal, 2)
    journal.commit(sync=True)
    run = inspection._Inspection.run

    def run_then_write(self: inspection._Inspection) -> Recovery:
        found = run(self)
        fill(journal, 2)
        journal.commit(sync=True)
        return found

    monkeypatch.setattr(inspection._Inspection, "run", run_then_write)
    try:
        assert inspect(root).last_seq == 2
    finally:
        journal.close()


def test_a_log_is_judged_beside_its_writer_without_a_false_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect_while_writing(tmp_path / "log", monkeypatch)


def test_the_false_alarm_check_catches_a_mark_that_is_read_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = inspection._compared

    def read_last(layout, result, _):
        return judge(layout, result, inspection.look_at_mark(layout))

    monkeypatch.setattr(inspection, "_compared", read_last)
    with pytest.raises(Lost):
        inspect_while_writing(tmp_path / "log", monkeypatch)
