"""Demos on the built-in sample: a real gateway process, a real socket, a log that is thrown away."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import cli
from tests.cli.conftest import Done

UNTIL = "2025-07-02T13:45:00Z"


@pytest.fixture(scope="session")
def traded_log(ib_gateway_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, and a demo of its first quarter of an hour; tests only read it."""
    root = tmp_path_factory.mktemp("traded") / "log"
    shutil.copytree(ib_gateway_log, root)
    assert cli.main(["-q", "--log", str(root), "live", "--demo", "--until", UNTIL]) == 0
    return root


@pytest.fixture
def log(ib_gateway_log: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may trade in, apart from the one that a gateway serves."""
    return Path(shutil.copytree(ib_gateway_log, tmp_path / "log"))


@pytest.fixture
def traded(traded_log: Path, tmp_path: Path) -> Path:
    """A copy of the traded sample that a test may change."""
    return Path(shutil.copytree(traded_log, tmp_path / "log"))


@pytest.fixture
def tape(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run a command in this process."""

    def run(*args: object) -> Done:
        capsys.readouterr()
        code = cli.main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
