"""Logs and gateways for live sessions in tests."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cli
from tests.conftest import Done
from tests.live.rig import Books, Rig, link, new_log
from tests.once import once

UNTIL = "2025-07-02T13:45:00Z"


@pytest.fixture
def start(ib_gateway: Any, ib_gateway_log: Path, tmp_path: Path) -> Callable[..., tuple[Rig, Any]]:
    """Return a session that is ready to run, and its gateway; `served` is one that runs already.

    `first` are settings that count for the first attempt to connect only.
    """

    def make(
        faults: str = "",
        *,
        speed: object = "step",
        settings: dict[str, Any] | None = None,
        gateway: dict[str, Any] | None = None,
        served: Any = None,
        first: dict[str, Any] | None = None,
        **rig: Any,
    ) -> tuple[Rig, Any]:
        options = {"start": "open", **(gateway or {})}
        served = served or ib_gateway(speed=speed, faults=faults, **options)
        root = tmp_path / "log"
        if not root.exists():
            new_log(ib_gateway_log, root)
        chosen = {"lock_step": speed == "step", **(settings or {})}
        later = link(served, **chosen) if first else None
        return Rig(root, link(served, **chosen, **(first or {})), later=later, **rig), served

    return make


@pytest.fixture
def books(tmp_path: Path) -> Callable[[Any], Books]:
    """Stop a gateway and compare its book with the log."""

    def compare(gateway: Any) -> Books:
        gateway.stop()
        return Books(tmp_path / "log", gateway.book)

    return compare


@pytest.fixture(scope="session")
def traded_log(ib_gateway_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, and a demo of its first quarter of an hour; tests only read it."""

    def make(place: Path) -> None:
        root = place / "log"
        shutil.copytree(ib_gateway_log, root)
        assert cli.main(["-q", "--log", str(root), "live", "--demo", "--until", UNTIL]) == 0

    return once(tmp_path_factory, "traded", make) / "log"


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


@pytest.fixture
def no_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a session learn of no hours: its gateway serves a recorded morning at whatever hour it is.

    Bars are made in regular hours, where they are known.
    """
    monkeypatch.setattr("app.live.scheduling.Schedule.__call__", lambda *_: ())
