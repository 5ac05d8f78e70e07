"""Faults 7 and 8: each file-system call fails in turn, in every way; the log stops and nothing is retried."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import LogDead, StoreError
from core.events import Entry
from eventstore.files import Files
from eventstore.journal import writer
from eventstore.journal.journal import Journal, Policy
from eventstore.layout import Layout
from tests.faults.journals import CLOCK_NS, UnsyncedFiles, event_of, read_all

ERRNOS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EINTR)
FAULTS: list[str | int] = [*ERRNOS, "short write", "partial write, then ENOSPC"]


class FailingFiles(UnsyncedFiles):
    """Fails the k-th call in one way, and lists what is called after that."""

    def __init__(self, k: int, fault: str | int) -> None:
        super().__init__()
        self.k, self.fault = k, fault
        self.count = 0
        self.fired = ""
        self.after: list[str] = []

    def _call(self, name: str, act: Callable[[], Any], data: Any = None) -> Any:
        self.count += 1
        if self.fired and self.fault != "short write":
            self.after.append(name)
        if self.count != self.k:
            return act()
        self.fired = name
        return self._fail(name, act, data)

    def _fail(self, name: str, act: Callable[[], Any], data: Any) -> Any:
        if isinstance(self.fault, int):
            raise OSError(self.fault, "injected")
        if name != "write":
            self.fired = ""
            return act()
        fd, half = data[0], bytes(data[1])[: len(data[1]) // 2]
        taken = super().write(fd, half)
        if self.fault != "short write":
            raise OSError(errno.ENOSPC, "injected")
        return taken

    def create(self, path: Path) -> int:
        return self._call("create", lambda: Files.create(self, path))

    def open_update(self, path: Path) -> int:
        return self._call("open", lambda: Files.open_update(self, path))

    def open_read(self, path: Path) -> int:
        return self._call("open", lambda: Files.open_read(self, path))

    def write(self, fd: int, data: Any) -> int:
        return self._call("write", lambda: Files.write(self, fd, data), (fd, data))

    def seek(self, fd: int, offset: int) -> None:
        self._call("seek", lambda: Files.seek(self, fd, offset))

    def data_sync(self, fd: int) -> None:
        self._call("data_sync", lambda: None)

    def sync_directory(self, path: Path) -> None:
        self._call("sync_directory", lambda: None)

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", lambda: Files.rename(self, source, target))

    def unlink(self, path: Path) -> None:
        self._call("unlink", lambda: Files.unlink(self, path))

    def close(self, fd: int) -> None:
        self._call("close", lambda: Files.close(self, fd))

    def free_bytes(self, path: Path) -> int:
        return int(self._call("free_bytes", lambda: 1 << 40))


def run(root: Path, files: FailingFiles, acked: list[int]) -> Journal | None:
    """A session with every kind of call; `acked` grows with each durable seq. Raises what the log raises."""
    journal = Journal.open(root, clock=lambda: CLOCK_NS, files=files, policy=Policy(free_check_s=0))
    n = journal.last_seq
    try:
        for sync in (True, False, True, None, True, None):
            if sync is None:
                journal.roll()
            for _ in range(3):
                n += 1
                journal.append(event_of(n))
            journal.commit(sync=bool(sync))
            acked.append(journal.durable_seq)
        journal.close()
    except StoreError:
        check_stopped(journal, files)
        raise
    acked.append(n)
    return journal


def check_stopped(journal: Journal, files: FailingFiles) -> None:
    """I7: the log accepts nothing more and makes not one more call."""
    before = list(files.after)
    for call in (
        lambda: journal.append(event_of(1)),
        lambda: journal.extend([event_of(1)]),
        lambda: journal.commit(sync=True),
        journal.roll,
    ):
        with pytest.raises(LogDead):
            call()
    journal.close()
    assert set(before) <= {"close"}, f"called after {files.fired} failed"
    assert files.after == before


def check_fault(root: Path, k: int, fault: str | int) -> bool:
    """A session whose k-th call fails, after one that went well; returns whether a call failed."""
    acked = [0]
    run(root, FailingFiles(0, fault), acked)
    files = FailingFiles(k, fault)
    try:
        run(root, files, acked)
    except StoreError as error:
        message = str(error)
    else:
        message = ""
    assert bool(message) == (bool(files.fired) and fault != "short write"), f"{files.fired}: {message}"
    assert not message or str(root) in message, "the message names the file"
    check_survivors(root, acked[-1])
    # The lock is free, and the log goes on.
    Journal.open(root, files=UnsyncedFiles()).close()
    return bool(files.fired)


def check_survivors(root: Path, acked: int) -> None:
    """I1 and I2: a prefix of what was appended, and all of what was acknowledged."""
    found = read_all(root)
    assert len(found) >= acked, f"acknowledged {acked}, found {len(found)}"
    assert found == [Entry(i, CLOCK_NS, i, None, event_of(i)) for i in range(1, len(found) + 1)]


def calls_of_a_session(root: Path) -> int:
    run(root, FailingFiles(0, 0), [])
    files = FailingFiles(0, 0)
    run(root, files, [])
    return files.count


def check_every_call(tmp_path: Path, fault: str | int) -> int:
    total = calls_of_a_session(tmp_path / "counted")
    assert total > 40
    return sum(check_fault(tmp_path / str(k), k, fault) for k in range(1, total + 1))


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_any_failing_call_stops_the_log_and_loses_nothing_durable(tmp_path: Path, fault: str | int) -> None:
    assert check_every_call(tmp_path, fault) > 10


def test_the_check_catches_a_writer_that_ignores_short_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "write_all", lambda files, fd, data: files.write(fd, data))
    with pytest.raises((AssertionError, StoreError)):
        check_every_call(tmp_path, "short write")


def test_the_check_catches_a_log_that_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "_die", lambda self, error: LogDead(f"{self.root}: {error}"))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_every_call(tmp_path, errno.EIO)


def test_a_failed_sync_is_the_last_call(tmp_path: Path) -> None:
    files = FailingFiles(0, errno.EIO)
    journal = Journal.open(tmp_path / "log", files=files)
    journal.append(event_of(1))
    files.k = files.count + 3  # free_bytes, write, data_sync
    with pytest.raises(LogDead, match=r"00000001\.evj: .*injected.*errno 5"):
        journal.commit(sync=True)
    assert files.fired == "data_sync"
    with pytest.raises(LogDead, match="accepts nothing more"):
        journal.commit(sync=True)
    journal.close()
    assert files.after == []
    assert journal.durable_seq == 0


def test_nothing_is_written_once_the_disk_is_nearly_full(tmp_path: Path) -> None:
    class NearlyFull(UnsyncedFiles):
        free = 1 << 40

        def free_bytes(self, path: Path) -> int:
            return self.free

    files = NearlyFull()
    journal = Journal.open(tmp_path / "log", files=files, policy=Policy(free_check_s=0))
    segment = Layout(tmp_path / "log").segments()[0]
    journal.append(event_of(1))
    journal.commit(sync=True)
    size, files.free = segment.stat().st_size, 63 << 20
    journal.append(event_of(2))
    with pytest.raises(StoreError, match="63 MiB free, at least 64 MiB are kept back"):
        journal.commit(sync=True)
    assert segment.stat().st_size == size
    files.free = 65 << 20
    journal.append(event_of(3))
    journal.commit(sync=True)
    assert journal.durable_seq == 3
    files.free = 0
    journal.append(event_of(4))
    journal.close()
    assert len(read_all(tmp_path / "log")) == 4, "what is kept back is for closing well"
