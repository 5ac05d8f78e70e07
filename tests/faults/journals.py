"""Small logs for the fault tests, and a way to read one that trusts nothing but the verdict of `inspect`."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from core.events import Entry, Event, Recorded, Trade
from eventstore.codec import decode_records
from eventstore.files import Files
from eventstore.journal.inspection import inspect
from eventstore.journal.journal import Journal
from eventstore.journal.segments import Walk
from eventstore.journal.verdict import Recovery
from eventstore.layout import Layout

CLOCK_NS = 1_700_000_000_000_000_000


class UnsyncedFiles(Files):
    """The real file system without its syncs, where a test cannot tell the difference and time matters."""

    def data_sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


@dataclass(frozen=True)
class Sample:
    """A closed log of one segment: `ends[i]` is its length after the i-th commit, `seqs[i]` its last seq."""

    root: Path
    segment: Path
    data: bytes
    entries: list[Entry]
    ends: list[int]
    seqs: list[int]

    def prefix(self, length: int) -> list[Entry]:
        """What the whole blocks in the first `length` bytes hold."""
        whole = [seq for end, seq in zip(self.ends, self.seqs, strict=True) if end <= length]
        return self.entries[: whole[-1]] if whole else []


def event_of(n: int) -> Event:
    return Recorded(n, "s", f"x{n % 7}", n / 8) if n % 3 == 0 else Trade(n, "f", "SPY", n / 4, float(n))


def make_sample(root: Path, commits: list[int], files: Files | None = None) -> Sample:
    """Make a log with one synced commit of each of these sizes."""
    journal = Journal.open(root, clock=lambda: CLOCK_NS, files=files or UnsyncedFiles())
    segment = Layout(root).segments()[-1]
    n, ends, seqs = 0, [], []
    for size in commits:
        for _ in range(size):
            n += 1
            journal.append(event_of(n))
        journal.commit(sync=True)
        ends.append(segment.stat().st_size)
        seqs.append(n)
    journal.close()
    entries = [Entry(i, CLOCK_NS, i, None, event_of(i)) for i in range(1, n + 1)]
    return Sample(root, segment, segment.read_bytes(), entries, ends, seqs)


def entries_of(found: Recovery) -> list[Entry]:
    """Return all entries of the hot segments that a recovery found, up to the ends that it states."""
    entries: list[Entry] = []
    for segment in found.hot:
        data = segment.path.read_bytes()[: segment.end.offset]
        for block in Walk(segment.path, segment.header.store, data=data):
            entries += decode_records(block.payload)
    return entries


def read_all(root: Path) -> list[Entry]:
    return entries_of(inspect(root))


def copy_log(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def crash(journal: Journal) -> None:
    """End a journal as a kill would: nothing more is written, the lock is freed."""
    journal._writer.abandon()
    journal._lock.release()


def append_bytes(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
