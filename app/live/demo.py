"""A simulated gateway for `live --demo`: a process beside this one, for as long as the session lasts.

Its book lies beside the log until the demo has ended in order. A demo that was killed leaves it behind, and
the next one of that date goes on with it: the same account, at the time at which the gateway's book ends.
The gateway of the killed one ends by itself; nobody reads or removes the book before it has.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from adapters.ibkr.gateway.book import NO_TIME
from core.errors import BrokerUnreachable, ExitCode, LogLocked
from core.events import SessionStarted
from core.ports import EntryReader, entries_of
from eventstore.files import Files
from eventstore.layout import Layout
from eventstore.lock import Lock
from eventstore.reading.reader import LogReader

_CLI = Path(__file__).resolve().parents[2] / "cli.py"
_STOP_S = 20.0
_START_S = 60.0
_RETRY_S = 0.2


class DemoGateway(msgspec.Struct, frozen=True):
    """Where the gateway listens, and for which account; `process` serves it."""

    host: str
    port: int
    account: str
    instruments: tuple[str, ...]
    process: subprocess.Popen[bytes]

    @property
    def gone(self) -> bool:
        """Whether it has ended by itself; nothing starts it again."""
        return self.process.poll() is not None

    def check(self) -> None:
        """Raise `BrokerUnreachable` with its last words if it has ended by itself."""
        if self.gone:
            _, said = self.process.communicate()
            text = (
                said.decode(errors="replace").strip() or f"it said nothing (code {self.process.returncode})"
            )
            raise BrokerUnreachable(f"the demo's gateway ended: {text}; run the command again for a new demo")


class DemoBook(msgspec.Struct, frozen=True):
    """The gateway's book of one date's demo, beside the log."""

    path: Path

    @classmethod
    def of(cls, root: Path, date: str) -> "DemoBook":
        """Return the book of a date."""
        return cls(root.with_name(f"{root.name}-demo") / date)

    def left_by(self) -> tuple[str, int] | None:
        """Return the account and the time of a demo that did not come to its end; `None` if there is none."""
        if not Layout(self.path).exists():
            return None
        reader = LogReader(self.path)
        ts = _last_ts(reader)
        for entry in entries_of(reader, frozenset({SessionStarted})):
            if isinstance(entry.event, SessionStarted) and ts is not None:
                return entry.event.account, ts
        return None

    def wait(self) -> None:
        """Wait for the gateway that still holds it; raises `LogLocked` if that does not end."""
        deadline = time.monotonic() + _START_S
        while self.path.is_dir():
            try:
                Lock.acquire(Layout(self.path), Files()).release()
                return
            except LogLocked:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY_S)

    def remove(self) -> None:
        """Throw it away, once nobody holds it."""
        self.wait()
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            self.path.parent.rmdir()  # if no other date's is left


def check_free(root: Path) -> None:
    """Raise `LogLocked` if another process holds the log: its demo's book is not to be waited for."""
    Lock.acquire(Layout(root), Files()).release()


@contextmanager
def demo_gateway(root: Path, date: str, account: str, cash: str, book: DemoBook) -> Iterator[DemoGateway]:
    """Start a gateway of a recorded date in lock step; end it on leaving, its book is left.

    Raises `BrokerUnreachable` with what it said if it does not start.
    """
    options = ["--port", "0", "--speed", "step", "--account", account, "--cash", cash, "--with-parent"]
    command = [sys.executable, str(_CLI), "--log", str(root), "gateway", date, *options]
    command += ["--book", str(book.path), "--json", "-q"]
    process, told = _started(command)
    try:
        yield told
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _started(command: list[str]) -> tuple[subprocess.Popen[bytes], DemoGateway]:
    """Start the gateway; one whose book is still held by that of a killed demo is tried again."""
    deadline = time.monotonic() + _START_S
    while True:
        # Its own session: Ctrl-C is ours to answer, and the gateway is needed until we have.
        process = subprocess.Popen(  # noqa: S603  (this program)
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        told = _told(process)
        if told is not None:
            return process, told
        _, said = process.communicate()
        if process.returncode != ExitCode.STORE or time.monotonic() > deadline:
            text = said.decode(errors="replace").strip()
            raise BrokerUnreachable(f"the demo's gateway did not start: {text or 'it said nothing'}")
        time.sleep(_RETRY_S)


def _told(process: subprocess.Popen[bytes]) -> DemoGateway | None:
    assert process.stdout is not None
    text = b""
    for line in process.stdout:
        text += line
        if line.rstrip() == b"}":
            told: dict[str, Any] = msgspec.json.decode(text)
            return DemoGateway(
                told["host"], told["port"], told["account"], tuple(told["instruments"]), process
            )
    return None


def _last_ts(reader: EntryReader) -> int | None:
    """Return the last time a book speaks of; `None` if it holds definitions only."""
    last: int | None = None
    for batch in reader.entries():
        for entry in batch:
            if not isinstance(entry.event, NO_TIME):
                last = max(last or 0, entry.event.ts)
    return last
