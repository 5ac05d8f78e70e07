"""The command line as users call it, in this process, and one log with a run to look at."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cli


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
