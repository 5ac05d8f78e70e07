"""Fixtures that all tests share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SHARED_DATA = PROJECT.parent / "shared" / "data"


def sampled(rows: Iterable[Any], every: int) -> list[Any]:
    """Return the rows of a long table, of which only each n-th belongs to the ordinary run.

    The others run with `pytest -m extended`.
    """
    return [
        pytest.param(
            *(row if isinstance(row, tuple) else (row,)),
            marks=[pytest.mark.extended] if number % every else [],
        )
        for number, row in enumerate(rows)
    ]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real market data kept beside the project; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the market data in ../shared/data, which is not part of the project")
    return SHARED_DATA
