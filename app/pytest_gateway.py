"""A pytest plugin: the fixture `ib_gateway` gives any IB bot's tests a gateway of their own, with faults.

Registered as an entry point, so it is there wherever the package is installed; it imports nothing of the
project before a test asks for the fixture. Each gateway runs in a thread of the test's process, on a free
port of loopback, over the built-in sample. docs/gateway.md describes it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


class RunningGateway:
    """A gateway that serves in a thread: connect to `host` and `port`; `stop` ends it, the book stays."""

    def __init__(self, root: Path, request: Any) -> None:
        from app.gateway.opening import open_gateway  # noqa: PLC0415

        self._stack = ExitStack()
        gateway = self._stack.enter_context(open_gateway(root, request))
        self.host: str = gateway.server.host
        self.port: int = gateway.server.port
        self.account: str = request.account
        self.book: Path = gateway.book
        self._faults = gateway.session.faults
        self._server = gateway.server
        self._thread: Thread | None = Thread(target=gateway.server.run, name="ib_gateway", daemon=True)
        self._thread.start()

    @property
    def fired(self) -> list[str]:
        """The faults that were played so far, in words."""
        return [str(fault) for fault in self._faults.fired]

    def stop(self) -> None:
        """End the gateway as a clean stop would; calling it again does nothing."""
        if self._thread is not None:
            self._server.stop()
            self._thread.join(60)
            self._thread = None
            self._stack.close()


StartGateway = Callable[..., RunningGateway]


@pytest.fixture(scope="session")
def ib_gateway_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log whose days the gateways serve: the built-in sample. Override it to serve your own."""
    from app.data.importing import import_builtin_sample  # noqa: PLC0415

    root = tmp_path_factory.mktemp("ib_gateway") / "log"
    import_builtin_sample(root)
    return root


@pytest.fixture
def ib_gateway(ib_gateway_log: Path, tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways: `ib_gateway(speed=60, faults="order 1: reset processed=false")`.

    Keywords are those of `tape gateway`: `date`, `speed`, `start`, `faults`, `server_version`, `account`,
    `book`, `cash`, `balances` (texts such as `EUR=5000@1.08`), `port`, `partial_fills`, `latency_ms`,
    `history`. All gateways of a test share a book unless `book` says otherwise, so a second one goes on where
    the first was stopped.
    """
    from app.gateway.request import GatewayRequest, parse_balance, parse_speed, read_faults  # noqa: PLC0415

    running: list[RunningGateway] = []

    def start(
        *,
        date: str = "2025-07-02",
        speed: object = 60,
        faults: str = "",
        balances: Sequence[str] = (),
        **more: Any,
    ) -> RunningGateway:
        options = {"port": 0, "book": tmp_path / "gateway-book", **more}
        request = GatewayRequest(
            date=date,
            speed=parse_speed(str(speed)),
            faults=read_faults(faults),
            balances=tuple(map(parse_balance, balances)),
            **options,
        )
        running.append(RunningGateway(ib_gateway_log, request))
        return running[-1]

    yield start
    for gateway in running:
        gateway.stop()
