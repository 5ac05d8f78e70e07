"""A user's listener in a process of its own: it may block, compute, raise or die; the loop does not notice.

The loop's side writes to a socket on loopback that never blocks, from a bounded queue; what does not fit is
dropped and counted. What the listener has to say comes back as lines of JSON. The user's file is loaded in
the other process only. Its standard input stays open for as long as this process lives: see `app.lifeline`.
"""

import secrets
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from app.watch.sinks import Losses
from core.errors import UsageError
from core.events import BY_TAG, Entry, Event, SinkReported, SinkState
from core.listener import Interest, Told
from eventstore.codec import encode_records, record

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 30.0
_BURST_BYTES = 1 << 14
_LINE_MAX = 1 << 20
SOCKET_BYTES = 1 << 14
"""What the system may hold on each side: a slow listener is to fill our queue, which is counted."""


class ListenerProcess:
    """A `Sink` around `path.py:Class`. Raises `UsageError` if that does not load there."""

    def __init__(
        self, name: str, path: str, *, queue_max: int, errors_max: int, output: Path | None = None
    ) -> None:
        self.name = name
        self._queue_max = queue_max
        self._queue: deque[bytes] = deque()
        self._out = bytearray()
        self._in = bytearray()
        self._ended = False
        self.losses = Losses(name)
        token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as server:
            order = {"port": server.getsockname()[1], "token": token, "path": path, "errors_max": errors_max}
            self._process = _spawn(order, output)
            try:
                self._socket = _accepted(server, self._process, token, name)
            except BaseException:
                self._kill()
                raise
        try:
            self._interest = Interest(self._ready())
        except BaseException:
            self._socket.close()
            self._kill()
            raise
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._socket.settimeout(0)

    @property
    def types(self) -> frozenset[type[Event]]:
        """The event types that it may want."""
        return self._interest.types

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def offer(self, entries: Sequence[Entry]) -> None:
        """Queue what it wants and send what the socket takes now."""
        if self._ended:
            return
        for entry in entries:
            if not self._interest.wants(entry.event):
                continue
            if len(self._queue) >= self._queue_max:
                self.losses.add()
                continue
            one = record(entry.seq, entry.recv, entry.at, entry.cause, entry.event)
            self._queue.append(_framed(encode_records([one])))
        self._pump()

    def reports(self, ts: int) -> list[Event]:
        """Return what it said and lost since the last call, and its end if it ended by itself."""
        reports = self.losses.reports(ts)
        if self._ended:
            return reports
        self._pump()
        for said in self._heard():
            state = cast("SinkState", said["said"])
            reports.append(SinkReported(ts, self.name, state, int(said["count"]), str(said["reason"])))
        if self._has_ended():
            self._ended = True
            self._queue.clear()
            reports.append(SinkReported(ts, self.name, "ended", 0, self._how_it_ended()))
        return reports

    def close(self, timeout_s: float) -> None:
        """Send what is queued and let it finish, for at most so long; then end its process."""
        if self._socket.fileno() < 0:
            return
        deadline = time.monotonic() + timeout_s
        with self._socket, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_WRITE)
            while (self._queue or self._out) and not self._ended and time.monotonic() < deadline:
                selector.select(0.1)
                self._pump()
            if not self._ended:
                self._shut_down()
            try:
                self._process.wait(max(0.0, deadline - time.monotonic()))
                self._let_go()
            except subprocess.TimeoutExpired:
                self._kill()

    def _shut_down(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._ended = True

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def _ready(self) -> list[Told]:
        said = self._line()
        if "refused" in said:
            raise UsageError(f"listener {self.name}: {said['refused']}")
        return [
            Told("", tuple(BY_TAG[tag].type for tag in one["types"]), frozenset(one["instruments"]))
            for one in said["told"]
        ]

    def _line(self) -> dict[str, Any]:
        """Return the first line that it says; waits for it."""
        self._socket.settimeout(_START_S)
        while b"\n" not in self._in:
            try:
                data = self._socket.recv(_BURST_BYTES)
            except TimeoutError as error:
                raise UsageError(
                    f"listener {self.name}: its file does not load within {_START_S:g} s"
                ) from error
            if not data:
                raise UsageError(f"listener {self.name}: its process ended while its file was being loaded")
            self._in += data
        return self._lines()[0]

    def _lines(self) -> list[dict[str, Any]]:
        *lines, rest = bytes(self._in).split(b"\n")
        self._in = bytearray(rest[-_LINE_MAX:])
        return [msgspec.json.decode(line) for line in lines if line]

    def _heard(self) -> list[dict[str, Any]]:
        while True:
            try:
                data = self._socket.recv(_BURST_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._ended = True
                break
            self._in += data
        return self._lines()

    def _pump(self) -> None:
        out, queue = self._out, self._queue
        while queue or out:
            while queue and len(out) < _BURST_BYTES:
                out += queue.popleft()
            try:
                sent = self._socket.send(out)
            except BlockingIOError:
                return
            except OSError:
                self._ended = True
                return
            del out[:sent]

    def _has_ended(self) -> bool:
        return self._ended or self._process.poll() is not None

    def _how_it_ended(self) -> str:
        try:
            code: int | None = self._process.wait(0.05)
        except subprocess.TimeoutExpired:
            code = None
        return "its process closed the connection" if code is None else f"its process ended with {code}"


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def _spawn(order: dict[str, Any], output: Path | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "app.watch.child"]
    kept = subprocess.DEVNULL if output is None else _anew(output)
    try:
        process = subprocess.Popen(  # noqa: S603  (this program)
            command, stdin=subprocess.PIPE, stdout=kept, stderr=kept, env=environment()
        )
    finally:
        if not isinstance(kept, int):
            kept.close()
    assert process.stdin is not None
    with suppress(OSError):  # it ended at once: whoever waits for it to connect finds out
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        process.stdin.flush()
    return process


def _anew(output: Path) -> IO[bytes]:
    # Not the file of before, emptied: the listener of a session that was just killed may still write there.
    with suppress(OSError):
        output.unlink()
    return output.open("wb")


def environment() -> dict[str, str]:
    """Return the environment in which another Python finds this program."""
    import os  # noqa: PLC0415  (only here)

    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def _accepted(
    server: socket.socket, process: subprocess.Popen[bytes], token: str, name: str
) -> socket.socket:
    """Wait for the process to connect; somebody else who connects first is not let in."""
    server.settimeout(0.1)
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        connection.settimeout(_START_S)
        if secrets.compare_digest(_exactly(connection, len(token)), token.encode()):
            return connection
        connection.close()
    raise UsageError(f"listener {name}: its process did not start (exit code {process.poll()})")


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data
