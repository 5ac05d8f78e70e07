"""Running many jobs: a port, and the processes of this machine behind it. A cluster would be another.

A worker process is forked by a server that holds nothing of ours, gets its jobs over a pipe of its own and
ends when the other end is gone, however that came about. A process that dies takes the job at hand with it,
no other, and is replaced.
"""

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import msgspec

from app.optimize.server import CONTEXT, begin, without_main
from app.optimize.working import Done, Job, Setting, Workshop, ended
from core.errors import StoreError, TapeError

Finished = Callable[[int, Done], None]
"""Called with a job's index as soon as it is done, in any order."""


class Executor(Protocol):
    """Where trials run. Results depend on the jobs alone, never on who runs them, or when."""

    def run(self, jobs: Sequence[Job], finished: Finished) -> list[Done]:
        """Run the jobs and return their results in the order of the jobs."""

    def close(self) -> None:
        """Stop what runs."""


class LocalProcesses:
    """An executor of `count` processes on this machine, each with the data decoded once."""

    def __init__(self, setting: Setting, count: int) -> None:
        self._setting = setting
        self._count = count
        self._workers: list[_Worker] = []
        begin()

    def run(self, jobs: Sequence[Job], finished: Finished) -> list[Done]:
        """Run the jobs; raises what a worker found wrong with the log."""
        results: list[Done | None] = [None] * len(jobs)
        waiting = deque(range(len(jobs)))
        while len(self._workers) < min(self._count, len(jobs)):
            self._workers.append(_Worker(self._setting))
        for worker in self._workers:
            self._feed(worker, jobs, waiting)
        while busy := [worker for worker in self._workers if worker.job is not None]:
            for end in wait([worker.pipe for worker in busy]):
                worker = next(one for one in busy if one.pipe is end)
                index, done = worker.take(jobs)
                results[index] = done
                finished(index, done)
                if not worker.alive:
                    self._workers[self._workers.index(worker)] = worker = _Worker(self._setting)
                self._feed(worker, jobs, waiting)
        return [done for done in results if done is not None]

    def _feed(self, worker: "_Worker", jobs: Sequence[Job], waiting: deque[int]) -> None:
        if waiting:
            index = waiting.popleft()
            worker.give(index, jobs[index])

    def close(self) -> None:
        """End the processes; a trial at hand is lost and will be run again."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()


class _Worker:
    """One process and our end of its pipe."""

    def __init__(self, setting: Setting) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process: BaseProcess = CONTEXT.Process(
            target=work, args=(theirs, msgspec.json.encode(setting, enc_hook=str)), daemon=True
        )
        with without_main():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.job: int | None = None
        self.alive = True

    def give(self, index: int, job: Job) -> None:
        self.job = index
        with contextlib.suppress(OSError):  # it is gone already: `take` finds out
            self.pipe.send_bytes(msgspec.json.encode(job))

    def take(self, jobs: Sequence[Job]) -> tuple[int, Done]:
        assert self.job is not None
        index, self.job = self.job, None
        try:
            answer = self.pipe.recv_bytes()
        except (EOFError, OSError):
            self.close()
            how = self.process.exitcode or 0
            named = f"signal {-how}" if how < 0 else f"code {how}"
            return index, Done(ended(jobs[index], f"its process ended with {named}"), known=False)
        if answer[:1] == b"!":
            raise _Fault(answer[1:].decode())
        return index, msgspec.json.decode(answer, type=Done)

    def close(self) -> None:
        self.alive = False
        self.pipe.close()
        self.process.join(0.2)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _Fault(StoreError):
    """The log cannot be used, as a worker found."""


def work(pipe: "Connection[Any, Any]", setting: bytes) -> None:
    """Be a worker: run jobs from the pipe until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that leads decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)  # what a strategy prints is not the command's answer
    workshop = None
    while True:
        try:
            job = msgspec.json.decode(pipe.recv_bytes(), type=Job)
        except (EOFError, OSError):
            return
        try:
            workshop = workshop or Workshop(msgspec.json.decode(setting, type=Setting, dec_hook=_decoded))
            answer = msgspec.json.encode(workshop.run(job), enc_hook=str)
        except TapeError as error:
            answer = b"!" + str(error).encode()
        except Exception as error:  # noqa: BLE001  # a bug of ours ends a trial, not the search
            failed = ended(job, f"bug: {type(error).__name__}: {error}")
            answer = msgspec.json.encode(Done(failed, known=False))
        try:
            pipe.send_bytes(answer)
        except OSError:
            return


def _decoded(kind: type, value: Any) -> Any:
    return kind(value)
