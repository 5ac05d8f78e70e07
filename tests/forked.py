"""Processes of their own that need not import first: a server has, and forks.

For tests that kill a process, or need several. The server starts with the first of them, imports the modules
that it is told, does nothing else, and ends with the tests.
"""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["pytest", "tests.live.crash_child"])


def run(target: Callable[..., None], *args: Any, errors: Path, timeout_s: float) -> int:
    """Call a function in a process of its own; return its exit code, negative for a signal.

    What the process says on stderr is added to the file `errors`.
    """
    process = _SERVER.Process(target=_begin, args=(errors, target, *args))
    process.start()
    process.join(timeout_s)
    late = process.is_alive()
    if late:
        process.kill()
        process.join()
    code = process.exitcode
    process.close()
    assert not late, f"it had not ended after {timeout_s:g} s"
    assert code is not None
    return code


def _begin(errors: Path, target: Callable[..., None], *args: Any) -> None:
    with errors.open("ab") as file:
        os.dup2(file.fileno(), 2)
    target(*args)
