"""One imported sample for all gateways of these tests; the fixtures are the plugin's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.raw import OPENED
from tests.gateway.served import Served


@pytest.fixture(autouse=True)
def no_socket_stays_open() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def port(ib_gateway: Callable[..., Any]) -> int:
    """A gateway in lock step at the open: nothing happens unless a test asks for the time."""
    return int(ib_gateway(speed="step", start="open").port)


@pytest.fixture
def serve(ib_gateway_log: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start gateways as processes; all of a test share a book."""
    running: list[Served] = []

    def start(*args: str) -> Served:
        running.append(Served(ib_gateway_log, "--book", str(tmp_path / "book"), *args))
        return running[-1]

    yield start
    for served in running:
        served.kill()
