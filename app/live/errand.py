"""One question to a process of its own: a message in, an answer out, and nobody waits for it meanwhile."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO

from app.watch.processes import environment


class Errand:
    """Runs `python -m module` with a message on its input; it leads a process group of its own."""

    def __init__(self, module: str, message: bytes) -> None:
        self._answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed at the end
        self._process = subprocess.Popen(  # noqa: S603  # a module of ours
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=self._answer,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as pipe:  # it may have ended already: that is an answer
            pipe.write(message)

    @property
    def code(self) -> int | None:
        """Its exit code; `None` while it runs."""
        return self._process.poll()

    def answer(self) -> bytes:
        """Return what it printed, once it has ended; what it printed is gone then."""
        with self._answer:
            self._answer.seek(0)
            return self._answer.read()

    def end(self) -> None:
        """End the process, if it still runs, and those that it started."""
        if self._process.poll() is None:
            with suppress(OSError, AttributeError):
                os.killpg(self._process.pid, signal.SIGKILL)  # a group of its own
        self._process.kill()
        self._process.wait()
        self._answer.close()
