"""One question to a process of its own: a message in, an answer out, and nobody waits for it meanwhile.

The message is one line. Standard input stays open behind it, so that the other side, which calls
`end_with_starter`, ends with this process even where that is killed.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO

from app.watch.processes import environment


class Errand:
    """Runs `python -m module` with a line of JSON on its input; it leads a process group of its own."""

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
        self._pipe = self._process.stdin
        with suppress(OSError):  # it may have ended already: that is an answer
            self._pipe.write(message + b"\n")
            self._pipe.flush()

    @property
    def code(self) -> int | None:
        """Its exit code; `None` while it runs."""
        return self._process.poll()

    def answer(self) -> bytes:
        """Return what it printed, once it has ended; what it printed is gone then."""
        self._let_go()
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
        self._let_go()
        self._answer.close()

    def _let_go(self) -> None:
        with suppress(OSError):  # what could not be written is nobody's any more
            self._pipe.close()
