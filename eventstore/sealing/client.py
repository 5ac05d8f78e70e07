"""The client of the sealing process: hands it closed segments, collects what it sealed, has it compact.

One spawned process, started on the first segment and kept: a thread would stall the live loop for
seconds, a forked child would keep the log's lock. It imports neither pyarrow nor duckdb itself. A
seal that fails leaves the hot journal as it is and is reported, not retried.
"""

import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import msgspec

from eventstore.layout import Layout

PROJECT_ROOT = Path(__file__).resolve().parents[2]
_CLOSE_TIMEOUT_S = 5.0
_MIN_DIRECTORIES = 4  # fewer are never merged (eventstore.sealing.compacting), so no need to ask


class SealJob(msgspec.Struct, frozen=True):
    """One line to the worker: the log and its closed segment; without one, compact for `budget_s`."""

    root: str
    segment: str | None
    budget_s: float = 0.0


class SealResult(msgspec.Struct, frozen=True):
    """What was sealed: seqs `first_seq`..`last_seq`, the chain hash after them (hex), the journal file.

    A segment without events gives `last_seq = first_seq - 1` and no directory.
    """

    first_seq: int
    last_seq: int
    chain: str
    journal: str

    @property
    def path(self) -> Path:
        """The hot journal file that may be unlinked once this result is in the log."""
        return Path(self.journal)


class SealFailure(msgspec.Struct, frozen=True):
    """A segment that could not be sealed, and why."""

    journal: str
    message: str


class SealReply(msgspec.Struct, frozen=True):
    """One line from the worker: exactly one of the three is set. `compacted`: directories fewer."""

    result: SealResult | None = None
    failure: SealFailure | None = None
    compacted: int | None = None


class SealWorker:
    """Seal segments of the log at `root` in another process, in the order in which they are offered."""

    def __init__(self, root: Path, *, python: str = sys.executable) -> None:
        self.root = root
        self.failures: list[SealFailure] = []
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting: list[Path] = []

    @property
    def pid(self) -> int | None:
        """The process id of the worker, if it was started."""
        return None if self._process is None else self._process.pid

    def offer(self, segment: Path) -> None:
        """Hand over a closed segment; returns at once."""
        self._waiting.append(segment)
        if self._process is None:
            self._start()
        self._send(SealJob(str(self.root), str(segment)))

    def poll(self) -> list[SealResult]:
        """Return what was sealed since the last call; never waits."""
        results: list[SealResult] = []
        while True:
            try:
                line = self._replies.get_nowait()
            except queue.Empty:
                return results
            self._take(line, results)

    def drain(self, timeout_s: float) -> list[SealResult]:
        """Wait until every offered segment is answered, or the time is over; return what was sealed."""
        results = self.poll()
        deadline = time.monotonic() + timeout_s
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            try:
                self._take(self._replies.get(timeout=left), results)
            except queue.Empty:
                break
        return results

    def compact(self, timeout_s: float) -> None:
        """Merge small sealed directories if this worker sealed any, and wait for it at most `timeout_s`.

        What is not done by then stays as it is; a merge that is cut short leaves nothing behind. A failure
        is reported like that of a seal.
        """
        if self._process is None or self._waiting:
            return
        if len(Layout(self.root).sealed_directories()) < _MIN_DIRECTORIES:
            return
        self._waiting.append(Layout(self.root).sealed)
        self._send(SealJob(str(self.root), None, timeout_s / 2))
        self.drain(timeout_s)

    def close(self) -> None:
        """Let the worker finish its segment and end it; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.stdin is not None:
                process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            process.wait(_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> None:
        paths = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        # -P keeps the working directory off the path: a user's own `core` package must not be found.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [self._python, "-P", "-m", "eventstore.sealing.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            # A signal to the whole group is for its writer to answer, also while the worker still starts.
            start_new_session=True,
        )
        reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        reader.start()

    def _read(self, stdout: IO[bytes]) -> None:
        # A thread that only waits for lines: a pipe cannot be polled on every system.
        try:
            for line in stdout:
                self._replies.put(line)
        except ValueError:
            pass
        self._replies.put(None)

    def _send(self, job: SealJob) -> None:
        try:
            stdin = self._pipe()
            stdin.write(msgspec.json.encode(job) + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError):
            self._lost()

    def _pipe(self) -> IO[bytes]:
        if self._process is None or self._process.stdin is None:
            raise BrokenPipeError
        return self._process.stdin

    def _take(self, line: bytes | None, results: list[SealResult]) -> None:
        if line is None:
            self._lost()
            return
        reply = msgspec.json.decode(line, type=SealReply)
        journal = str(Layout(self.root).sealed)
        if reply.result or reply.failure:
            journal = reply.result.journal if reply.result else reply.failure.journal if reply.failure else ""
        self._waiting = [path for path in self._waiting if str(path) != journal]
        if reply.result:
            results.append(reply.result)
        if reply.failure:
            self.failures.append(reply.failure)

    def _lost(self) -> None:
        # The journal keeps what was not sealed; the next start offers it again.
        message = "the sealing process ended"
        self.failures += [SealFailure(str(path), message) for path in self._waiting]
        self._waiting = []
        self.close()
