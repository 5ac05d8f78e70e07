"""Where workers come from: a process that has imported what a trial needs, and forks one after another.

It has no threads of its own, opens no log and ends when this process does. Asked for early, it imports while
the caller still reads the log and plans, so that no worker has to.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from types import ModuleType

CONTEXT = multiprocessing.get_context("forkserver")
_IMPORTED = ["app.optimize.executing"]


def begin() -> None:
    """Start the process, unless it runs already; returns at once."""
    CONTEXT.set_forkserver_preload(_IMPORTED)
    with _our_path():
        forkserver.ensure_running()


@contextmanager
def without_main() -> Iterator[None]:
    """Start processes inside that do not run the caller's script again.

    Otherwise each would import it first, as `multiprocessing` has it for functions that are defined there. A
    worker needs none, and a script without `if __name__ == "__main__"` would search again in each of them.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _our_path() -> Iterator[None]:
    # The server imports before anybody tells it our path: it must find this package and no other.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
