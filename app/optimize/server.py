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

CONTEXT = multiprocessing.get_context("forkserver")
_IMPORTED = ["app.optimize.executing"]


def begin() -> None:
    """Start the process, unless it runs already; returns at once."""
    CONTEXT.set_forkserver_preload(_IMPORTED)
    with _our_path():
        forkserver.ensure_running()


@contextmanager
def _our_path() -> Iterator[None]:
    # The server imports before anybody tells it our path: it must find this package, and no module that
    # happens to lie in the current directory.
    ours = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
