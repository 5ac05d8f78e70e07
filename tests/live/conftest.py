"""Logs and gateways for live sessions in tests."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.rig import Books, Rig, link, new_log


@pytest.fixture
def start(ib_gateway: Any, ib_gateway_log: Path, tmp_path: Path) -> Callable[..., tuple[Rig, Any]]:
    """Return a session that is ready to run, and its gateway; `served` is one that runs already."""

    def make(
        faults: str = "",
        *,
        speed: object = "step",
        settings: dict[str, Any] | None = None,
        gateway: dict[str, Any] | None = None,
        served: Any = None,
        **rig: Any,
    ) -> tuple[Rig, Any]:
        options = {"start": "open", **(gateway or {})}
        served = served or ib_gateway(speed=speed, faults=faults, **options)
        root = tmp_path / "log"
        if not root.exists():
            new_log(ib_gateway_log, root)
        chosen = {"lock_step": speed == "step", **(settings or {})}
        return Rig(root, link(served, **chosen), **rig), served

    return make


@pytest.fixture
def books(tmp_path: Path) -> Callable[[Any], Books]:
    """Stop a gateway and compare its book with the log."""

    def compare(gateway: Any) -> Books:
        gateway.stop()
        return Books(tmp_path / "log", gateway.book)

    return compare


@pytest.fixture
def log(ib_gateway_log: Path, tmp_path: Path) -> Path:
    """A log of our own with the sample's days in it, apart from the one that the gateway serves."""
    return Path(shutil.copytree(ib_gateway_log, tmp_path / "log"))
