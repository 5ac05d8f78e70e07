"""Logs to replay from: the built-in sample once, in a directory that tests copy before they write."""

import shutil
from pathlib import Path

import pytest

from adapters.replay.sample import import_sample
from adapters.replay.sample_names import DAYS
from eventstore.reading.reader import LogReader
from tests.eventstore.sealed_logs import open_log
from tests.once import once


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's first day, sealed; tests only read it."""

    def make(place: Path) -> None:
        root = place / "log"
        journal = open_log(root)
        import_sample(journal, LogReader(root), DAYS[:1])
        journal.roll()
        journal.commit(sync=True)
        journal.close()

    return once(tmp_path_factory, "first-day", make) / "log"


@pytest.fixture
def log(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample's log that a test may write runs to."""
    return Path(shutil.copytree(sample, tmp_path / "log"))
