"""The wire's tests on other releases of `ibapi`, where somebody put them: see `release_matrix.py`."""

import os
from pathlib import Path

import pytest

from tests.ibkr.release_matrix import run

FOLDER = os.environ.get("TRUETAPE_IBAPI_RELEASES", "")
TARGETS = sorted(path.parent for path in Path(FOLDER).glob("*/ibapi")) if FOLDER else []


@pytest.mark.skipif(
    not TARGETS,
    reason="TRUETAPE_IBAPI_RELEASES names no folder of releases; tests.ibkr.release_matrix makes one",
)
@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.parametrize("target", TARGETS or [None], ids=lambda path: path.name if path else "none")
def test_the_wire_works_with_this_release(target):
    found, outcome = run(target)
    assert found.replace(" ", "-") == target.name
    assert outcome.returncode == 0, outcome.stdout
