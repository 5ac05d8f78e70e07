"""The sealing process: `python -m eventstore.sealing.worker`, one job a line on stdin, one answer on stdout.

A job is a segment to be sealed, or the compaction of what is sealed.

Niced, so that it never competes with the loop. It ends when its stdin does, that is, with its parent.
It never unlinks a journal: the log's writer does, once the seal is in the log.
"""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from core.errors import TapeError
from eventstore.sealing.client import SealFailure, SealJob, SealReply
from eventstore.sealing.compacting import compact
from eventstore.sealing.sealing import seal
from eventstore.sql.plain import write_views_sql

_NICENESS = 10


def main() -> None:
    """Seal the segments named on stdin until it ends."""
    # Ctrl-C in a terminal and a service's stop reach the whole group: the parent decides what is finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    for line in sys.stdin.buffer:
        job = msgspec.json.decode(line, type=SealJob)
        reply = answer(job)
        if not _sent(reply):
            return
        if reply.result:
            refresh_views(Path(job.root))


def _sent(reply: SealReply) -> bool:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The writer was killed. What is sealed is found when the log is opened next; nobody is there to
        # be told, and Python must not try to flush again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def answer(job: SealJob) -> SealReply:
    """Do a job; return what came of it. A failure is an answer too."""
    try:
        if job.segment is None:
            return SealReply(compacted=compact(Path(job.root), budget_s=job.budget_s))
        return SealReply(result=seal(Path(job.root), Path(job.segment)))
    except (TapeError, OSError) as error:
        return SealReply(
            failure=SealFailure(
                job.segment or str(Path(job.root) / "sealed"), f"{type(error).__name__}: {error}"
            )
        )


def refresh_views(root: Path) -> None:
    """Write the views of a log again, now that it has other files."""
    # For people with plain DuckDB only: no reason to call a seal failed.
    with suppress(OSError):
        write_views_sql(root)


if __name__ == "__main__":
    main()
