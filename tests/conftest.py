"""Fixtures that all tests share."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SHARED_DATA = PROJECT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real market data kept beside the project; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the market data in ../shared/data, which is not part of the project")
    return SHARED_DATA
