"""Sealing without a process, for tests in which the process is not the point."""

from pathlib import Path

from eventstore.layout import Layout
from eventstore.sealing.client import SealFailure, SealJob, SealReply, SealResult
from eventstore.sealing.worker import answer, refresh_views


class SealsHere:
    """In place of `SealWorker`: does here what its process does, when it is asked to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.failures: list[SealFailure] = []
        self._sealed: list[SealResult] = []
        self._offered = False

    def offer(self, segment: Path) -> None:
        self._offered = True
        reply = self._do(SealJob(str(self.root), str(segment)))
        if reply.result is not None:
            self._sealed.append(reply.result)
            refresh_views(self.root)

    def poll(self) -> list[SealResult]:
        sealed, self._sealed = self._sealed, []
        return sealed

    def drain(self, timeout_s: float) -> list[SealResult]:
        return self.poll()

    def compact(self, timeout_s: float) -> None:
        if self._offered and Layout(self.root).sealed_directories():
            self._do(SealJob(str(self.root), None, timeout_s / 2))

    def close(self) -> None:
        """Nothing runs on."""

    def _do(self, job: SealJob) -> SealReply:
        reply = answer(job)
        if reply.failure is not None:
            self.failures.append(reply.failure)
        return reply
