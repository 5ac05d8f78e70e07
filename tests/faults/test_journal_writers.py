"""Fault 13: two writers. The kernel's lock decides, the loser names the holder (I9)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import LogDead, LogLocked, StoreError
from eventstore.files import Files
from eventstore.journal.journal import Journal
from eventstore.layout import Layout
from eventstore.lock import Lock, holder
from tests.conftest import sampled
from tests.faults.journals import UnsyncedFiles, event_of, read_all
from tests.faults.test_journal_kills import CHILD, ROOT, start


def end(child: "subprocess.Popen[str]") -> None:
    child.kill()
    child.communicate(timeout=60)


def test_the_second_process_is_refused_and_told_who_holds_the_log(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "hold")
    try:
        with pytest.raises(
            LogLocked, match=rf"held by process {child.pid} on \S+ since \d{{4}}-.*writer_child"
        ):
            Journal.open(tmp_path / "log")
    finally:
        end(child)


def test_the_same_process_cannot_open_a_log_twice(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    with pytest.raises(LogLocked, match=f"process {os.getpid()}"):
        Journal.open(tmp_path / "log")
    journal.close()
    Journal.open(tmp_path / "log", files=UnsyncedFiles()).close()


def race(root: Path) -> list[str]:
    """Start several writers at once; return the first line of each: `held`, or nothing if it lost."""
    children = [
        subprocess.Popen(
            [sys.executable, "-B", str(CHILD), str(root), "hold"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(2)
    ]
    losers = 0
    try:
        deadline = time.monotonic() + 120
        while losers < 1 and time.monotonic() < deadline:
            losers = sum(child.poll() is not None for child in children)
            time.sleep(0.01)
        errors = [child.communicate()[1] for child in children if child.returncode is not None]
        assert all("LogLocked" in error and "held by process" in error for error in errors), errors
    finally:
        for child in children:
            end(child)
    return ["held" for child in children if child.returncode == -signal.SIGKILL]


@pytest.mark.slow
@pytest.mark.parametrize("starts", sampled([3, 20], 2))
def test_of_several_starts_at_once_exactly_one_wins(starts: int, tmp_path: Path) -> None:
    for n in range(starts):
        assert race(tmp_path / str(n)) == ["held"]


def test_the_race_check_catches_a_lock_that_excludes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(tmp_path / "log", "hold")
    try:
        monkeypatch.setattr("eventstore.platform._Posix.try_lock", lambda self, fd: True)
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            must_be_locked(tmp_path / "log")
    finally:
        end(child)


def must_be_locked(root: Path) -> None:
    with pytest.raises(LogLocked):
        Journal.open(root, files=UnsyncedFiles())


def opens(root: Path) -> bool:
    try:
        Journal.open(root, files=UnsyncedFiles()).close()
    except LogLocked:
        return False
    return True


def test_the_death_of_the_holder_frees_the_log(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "hold")
    must_be_locked(tmp_path / "log")
    end(child)
    assert opens(tmp_path / "log")


def test_a_stopped_holder_still_holds_the_log(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "hold")
    try:
        child.send_signal(signal.SIGSTOP)
        must_be_locked(tmp_path / "log")
    finally:
        end(child)
    assert opens(tmp_path / "log")


def fork_then_kill_the_holder(root: Path) -> tuple[bool, int]:
    child = start(root, "fork")
    assert child.stdout is not None
    orphan = int(child.stdout.readline())
    try:
        child.kill()
        child.wait(timeout=60)
        return opens(root), orphan
    finally:
        os.kill(orphan, signal.SIGKILL)
        child.communicate(timeout=60)


def test_a_forked_child_does_not_hold_the_log_after_its_parents_death(tmp_path: Path) -> None:
    free, _ = fork_then_kill_the_holder(tmp_path / "log")
    assert free


def test_the_fork_check_catches_a_child_that_keeps_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import os\nos.register_at_fork = lambda **_: None\n")
    monkeypatch.setattr(f"{fork_then_kill_the_holder.__module__}.start", _start_with(broken.parent))
    free, _ = fork_then_kill_the_holder(tmp_path / "log")
    assert not free


def _start_with(directory: Path):
    def start_broken(root: Path, mode: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, "-B", str(CHILD), str(root), mode],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(directory), str(ROOT)))},
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        return child

    return start_broken


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_write(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    journal.append(event_of(1))
    journal.commit(sync=True)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            journal.append(event_of(2))
            journal.commit(sync=True)
        except LogDead:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    journal.append(event_of(2))
    journal.close()
    assert [e.event for e in read_all(tmp_path / "log")] == [event_of(1), event_of(2)]


def test_a_deleted_lock_lets_nobody_in_and_stops_the_holder(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    Layout(tmp_path / "log").lock.unlink()
    with pytest.raises(LogLocked, match="deleted"):
        Journal.open(tmp_path / "log")
    journal.append(event_of(1))
    with pytest.raises(LogDead, match="LOCK"):
        journal.commit(sync=True)
    journal.close()
    Journal.open(tmp_path / "log", files=UnsyncedFiles()).close()


def test_a_replaced_lock_stops_the_holder(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "log", files=UnsyncedFiles())
    lock = Layout(tmp_path / "log").lock
    lock.rename(lock.with_name("LOCK.old"))
    lock.write_bytes(b"{}\n")
    journal.append(event_of(1))
    with pytest.raises(LogDead, match="replaced"):
        journal.commit(sync=True)
    journal.close()


def test_a_read_only_directory_is_refused_with_a_reason(tmp_path: Path) -> None:
    class ReadOnly(Files):
        def open_update(self, path: Path) -> int:
            raise PermissionError(13, "Permission denied", str(path))

    Layout(tmp_path / "log").create()
    with pytest.raises(StoreError, match=r"LOCK: cannot be opened for writing \(Permission denied\)"):
        Journal.open(tmp_path / "log", files=ReadOnly())


def test_the_holder_is_named_without_remains_of_a_longer_text(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "log")
    layout.create()
    layout.lock.write_bytes(b"x" * 5000)
    lock = Lock.acquire(layout, Files(), clock=lambda: 0)
    assert holder(layout)["pid"] == os.getpid()
    assert holder(layout)["start"] == "1970-01-01T00:00:00+00:00"
    lock.release()
    lock.release()


def test_text_without_meaning_in_lock_is_ignored(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "log")
    layout.create()
    for text in (b"", b"\xff\x00", b"[1]", b'{"pid": '):
        layout.lock.write_bytes(text)
        assert holder(layout) == {}


def test_a_directory_of_another_program_never_becomes_a_log(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "tmp").mkdir(parents=True)
    (root / "tmp" / "precious.txt").write_text("mine")
    (root / "LOCK").write_text("theirs")
    with pytest.raises(StoreError, match=r"project: holds LOCK, tmp but no log.*choose another --log"):
        Journal.open(root)
    assert (root / "tmp" / "precious.txt").read_text() == "mine"
    assert (root / "LOCK").read_text() == "theirs"
    assert sorted(path.name for path in root.iterdir()) == ["LOCK", "tmp"]


def test_an_empty_directory_may_become_a_log_hidden_files_or_not(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    for n in (1, 2):
        journal = Journal.open(tmp_path)
        journal.append(event_of(n))
        journal.close()
    assert [e.event for e in read_all(tmp_path)] == [event_of(1), event_of(2)]
