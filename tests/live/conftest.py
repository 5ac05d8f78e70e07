"""A gateway for each test of live sessions, and a log of its own beside it."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def log(ib_gateway_log: Path, tmp_path: Path) -> Path:
    """A log of our own with the sample's days in it, apart from the one that the gateway serves."""
    return Path(shutil.copytree(ib_gateway_log, tmp_path / "log"))
