"""A simulated gateway for `live --demo`: a process beside this one, for as long as the session lasts."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from core.errors import BrokerUnreachable

_CLI = Path(__file__).resolve().parents[2] / "cli.py"
_STOP_S = 5.0


class DemoGateway(msgspec.Struct, frozen=True):
    """Where the gateway listens, and for which account."""

    host: str
    port: int
    account: str
    instruments: tuple[str, ...]


@contextmanager
def demo_gateway(root: Path, date: str, account: str, cash: str) -> Iterator[DemoGateway]:
    """Start a gateway of a recorded date in lock step, with a book that is thrown away; end it on leaving.

    Raises `BrokerUnreachable` with what it said if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="tape-demo-") as scratch:
        options = ["--port", "0", "--speed", "step", "--account", account, "--cash", cash]
        command = [sys.executable, str(_CLI), "--log", str(root), "gateway", date, *options]
        process = subprocess.Popen(  # noqa: S603  (this program)
            [*command, "--book", str(Path(scratch) / "book"), "--json", "-q"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield _told(process)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _told(process: subprocess.Popen[bytes]) -> DemoGateway:
    assert process.stdout is not None
    assert process.stderr is not None
    text = b""
    for line in process.stdout:
        text += line
        if line.rstrip() == b"}":
            told: dict[str, Any] = msgspec.json.decode(text)
            return DemoGateway(told["host"], told["port"], told["account"], tuple(told["instruments"]))
    said = process.stderr.read().decode(errors="replace").strip()
    raise BrokerUnreachable(f"the demo's gateway did not start: {said or 'it said nothing'}")
