"""The branches for Linux, macOS and Windows, each driven through its seam by a scripted system."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eventstore.platform import LOCK_BYTE, Linux, MacOS, Windows, boot_id, choose


class Calls:
    """A scripted module: records calls by name; raises what `errors` says."""

    def __init__(self, errors: dict[str, int] | None = None, **constants: int) -> None:
        self.made: list[tuple[Any, ...]] = []
        self._errors = errors or {}
        self._constants = constants

    def __getattr__(self, name: str) -> Any:
        if name.isupper() or name.startswith(("LOCK_", "LK_", "F_")):
            return self._constants.get(name, 0)

        def call(*args: Any) -> int:
            self.made.append((name, *args))
            if name in self._errors:
                raise OSError(self._errors[name], "scripted")
            return 7

        return call


def test_linux_syncs_data_with_fdatasync() -> None:
    system = Calls()
    Linux(Calls(), system).data_sync(3)
    assert system.made == [("fdatasync", 3)]


def test_posix_syncs_a_directory_and_closes_it_even_if_that_fails() -> None:
    system = Calls()
    Linux(Calls(), system).sync_directory(Path("d"))
    assert system.made == [("open", Path("d"), 0), ("fsync", 7), ("close", 7)]
    failing = Calls({"fsync": errno.EIO})
    with pytest.raises(OSError, match="scripted"):
        MacOS(Calls(), failing).sync_directory(Path("d"))
    assert failing.made[-1] == ("close", 7)


def test_macos_empties_the_drives_cache() -> None:
    fcntl, system = Calls(F_FULLFSYNC=51), Calls()
    MacOS(fcntl, system).data_sync(3)
    assert (fcntl.made, system.made) == ([("fcntl", 3, 51)], [])


def test_macos_falls_back_to_fsync_only_where_full_sync_is_not_supported() -> None:
    system = Calls()
    MacOS(Calls({"fcntl": errno.ENOTSUP}, F_FULLFSYNC=51), system).data_sync(3)
    assert system.made == [("fsync", 3)]
    system = Calls()
    with pytest.raises(OSError, match="scripted"):
        MacOS(Calls({"fcntl": errno.EIO}, F_FULLFSYNC=51), system).data_sync(3)
    assert system.made == [], "a failed sync is never retried another way"


def test_posix_locks_without_waiting() -> None:
    fcntl = Calls(LOCK_EX=2, LOCK_NB=4)
    assert Linux(fcntl, Calls()).try_lock(3)
    assert fcntl.made == [("flock", 3, 6)]
    assert not Linux(Calls({"flock": errno.EWOULDBLOCK}), Calls()).try_lock(3)
    with pytest.raises(OSError, match="scripted"):
        Linux(Calls({"flock": errno.ENOLCK}), Calls()).try_lock(3)


def test_posix_locks_the_directory_too_and_lets_go_of_one_that_is_taken() -> None:
    system = Calls()
    assert Linux(Calls(), system).lock_directory(Path("d")) == 7
    assert ("close", 7) not in system.made
    assert Linux(Calls({"flock": errno.EWOULDBLOCK}), system).lock_directory(Path("d")) == -1
    assert system.made[-1] == ("close", 7)


def test_windows_flushes_and_has_no_directory_to_sync() -> None:
    system = Calls()
    windows = Windows(Calls(), system)
    windows.data_sync(3)
    windows.sync_directory(Path("d"))
    assert system.made == [("fsync", 3)]
    assert windows.lock_directory(Path("d")) is None


def test_windows_locks_a_byte_beyond_the_holders_text() -> None:
    msvcrt, system = Calls(LK_NBLCK=2), Calls()
    assert Windows(msvcrt, system).try_lock(3)
    assert system.made[0] == ("lseek", 3, LOCK_BYTE, 0)
    assert msvcrt.made == [("locking", 3, 2, 1)]
    for taken in (errno.EACCES, errno.EDEADLK):
        assert not Windows(Calls({"locking": taken}), Calls()).try_lock(3)
    with pytest.raises(OSError, match="scripted"):
        Windows(Calls({"locking": errno.EIO}), Calls()).try_lock(3)


def test_windows_asks_for_the_free_space_of_the_volume() -> None:
    def usage(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=123)

    assert Windows(Calls(), Calls(), usage).free_bytes(Path("d")) == 123


def test_each_system_gets_its_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace())  # type: ignore[arg-type]
    assert isinstance(choose("linux"), Linux)
    assert isinstance(choose("darwin"), MacOS)
    assert isinstance(choose("win32"), Windows)


def test_the_store_is_importable_where_no_posix_module_exists() -> None:
    code = (
        "import sys, os\n"
        "sys.modules['fcntl'] = None\n"
        "for name in ('fork', 'register_at_fork', 'fdatasync', 'O_CLOEXEC'): delattr(os, name)\n"
        "import types; sys.modules['msvcrt'] = types.SimpleNamespace()\n"
        "import eventstore.journal.journal, eventstore.control, eventstore.memory\n"
        "from eventstore.platform import choose\n"
        "print(type(choose('win32')).__name__)\n"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert (found.stdout, found.stderr) == ("Windows\n", "")


def test_the_real_branch_works_on_real_files(tmp_path: Path) -> None:
    here = choose()
    path = tmp_path / "a"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x")
    here.data_sync(fd)
    assert here.try_lock(fd)
    other = os.open(path, os.O_RDWR)
    assert not here.try_lock(other)
    os.close(fd)
    assert here.try_lock(other)
    os.close(other)
    here.rename(path, tmp_path / "b")
    here.sync_directory(tmp_path)
    assert here.free_bytes(tmp_path) > 0
    assert boot_id() == boot_id()
