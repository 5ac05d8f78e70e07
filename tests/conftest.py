"""Fixtures that all tests share: the command line as users call it, and one log with a run to look at."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cli

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


class Done(NamedTuple):
    """What a command left: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tape = Callable[..., Done]


@pytest.fixture
def tape(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tape:
    """Run a command in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Done:
        capsys.readouterr()
        code = cli.main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def sample_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the built-in sample with one run of two strategies on 2025-07-03; tests only read it."""
    root = tmp_path_factory.mktemp("sample") / "log"
    command = ["-q", "--log", str(root), "replay", "2025-07-03", "--strategy", "sma_cross"]
    command += ["--strategy", "buy_and_hold", "--set", "instrument=ZVXA"]
    command += ["--set", "sma_cross.fast=40", "--set", "sma_cross.slow=120"]
    assert cli.main(command) == 0
    return root


@pytest.fixture
def log(sample_log: Path, tmp_path: Path) -> Path:
    """A copy of the sample's log that a test may change."""
    root = tmp_path / "log"
    shutil.copytree(sample_log, root)
    return root
