"""What takes long to make and is only read: made once for all processes that the tests run in."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_LIMIT_S = 240.0
_LOOK_S = 0.05


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a directory that `make` has filled, here or in another process of this run of the tests.

    Whoever makes the directory fills it; the others wait until it says that it is ready. If making it
    fails, each of them fails in turn.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place = shared / f"once-{name}"
    ready, failed = place / ".ready", place / ".failed"
    try:
        place.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + _LIMIT_S
        while not ready.exists():
            assert not failed.exists(), f"{name}: could not be made in another process"
            assert time.monotonic() < deadline, f"{name}: was not made within {_LIMIT_S:.0f} s"
            time.sleep(_LOOK_S)
        return place
    try:
        make(place)
    except BaseException:
        failed.touch()
        raise
    ready.touch()
    return place
