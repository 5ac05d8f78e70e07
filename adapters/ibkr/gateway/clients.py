"""One connected client: its place in the handshake, what it subscribed to, and bytes on their way to it.

Knows no socket: the server hands it what was read and takes what is to be written. Faults that distort
what is sent (`Distortion`) sit between a message and its bytes. Decides nothing about orders or prices.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from adapters.ibkr.gateway.answers import NAMES
from adapters.ibkr.gateway.wire import Frames, Value, message

OUT_MAX_BYTES = 64 << 20
"""A client that lets this much pile up is cut off: nobody reads what it asked for."""

Distortion: TypeAlias = Callable[["Client", str, Sequence[Value]], Sequence[Sequence[Value]] | None]
"""Takes a message by name and returns what to send instead; `None` says that it does not care."""


class Stream(msgspec.Struct):
    """A market-data subscription of one instrument."""

    req_id: int
    instrument: str
    kind: str
    generic: frozenset[str] = frozenset()
    data_type: int = 1
    shown: dict[int, tuple[float, float]] = {}
    ignore_size: bool = False


class Client:
    """A connection's state. `stage` is `greeting`, `starting`, `ready` or `closed`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stage = "greeting"
        self.version = 0
        self.id = -1
        self.frames = Frames()
        self.out: deque[bytes] = deque()
        self.out_bytes = 0
        self.posted = 0
        self.closing = False  # close once everything is written
        self.reset = False  # close at once, with a RST
        self.muted = False  # nothing goes out any more
        self.deaf_s = 0.0  # how long nothing is to be read
        self.bursts: list[tuple[bytes, float]] = []  # bytes to be sent at once, and the silence behind them
        self.coalescing = 0  # frames to hold back and send together
        self.piece = 0  # send at most this many bytes at a time …
        self.pause_s = 0.0  # … and wait this long between them
        self.streams: dict[int, Stream] = {}
        self.data_type = 1
        self.positions = False
        self.account_updates = False
        self.summaries: dict[int, tuple[str, ...]] = {}
        self.pnl: dict[int, int | None] = {}
        self.updates_multi: set[int] = set()
        self.bars: dict[int, object] = {}
        self.scans: dict[int, object] = {}
        self.distortions: list[Distortion] = []

    @property
    def ready(self) -> bool:
        """Whether the client may be told of things."""
        return self.stage == "ready"

    def post(self, fields: Sequence[Value]) -> None:
        """Send a message, or what a fault makes of it."""
        self.posted += 1
        if not self.distortions:
            self.write(message(fields))
            return
        name = NAMES.get(fields[0] if isinstance(fields[0], int) else -1, "?")
        for distort in list(self.distortions):
            instead = distort(self, name, fields)
            if instead is not None:
                for each in instead:
                    self.write(message(each))
                return
        self.write(message(fields))

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        if self.muted or self.reset or self.stage == "closed":
            return
        self.out.append(data)
        self.out_bytes += len(data)
        if self.out_bytes > OUT_MAX_BYTES:
            self.reset = True

    def __repr__(self) -> str:
        return f"<client {self.id} connection {self.number} {self.stage} version {self.version}>"
