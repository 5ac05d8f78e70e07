"""Frames in, messages out: what the broker says, by `ibapi`'s decoder and by ours for ticks.

A frame counts whole or not at all. Whatever is wrong with one becomes a `BadFrame` and the stream goes
on: no frame can end the session, and none disappears in silence. It must never call the broker or us back.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from adapters.ibkr.wire.distribution import Installation, load
from adapters.ibkr.wire.messages import BadFrame, HistoricalBars, Message, Untranslated
from adapters.ibkr.wire.ticks import DIRECT, SIZED, TickPrice, TickSize
from adapters.ibkr.wire.translation import TRANSLATIONS, commission_report

_DIRECT: dict[bytes, Callable[[Sequence[bytes]], Message]] = {**DIRECT, b"59": commission_report}
_MAY_BE_EMPTY = frozenset({17})
"""Messages that may hold nothing: historical data without a bar."""


class Decoder:
    """Decodes frames of one session, which has one server version."""

    def __init__(self, installation: Installation, server_version: int) -> None:
        self._heard = _Heard()
        self._ibapi = load("decoder").Decoder(self._heard, server_version)
        self._known = frozenset(int(item) for item in self._ibapi.msgId2handleInfo)
        self._takes_id = installation.interpret_arity == 2

    def decode(self, frames: Iterable[bytes]) -> list[Message]:
        """Return the messages of some frames, in order; never raises for what a frame holds."""
        out: list[Message] = []
        take, direct = out.append, _DIRECT
        for frame in frames:
            fields = frame.split(b"\0")
            decode = direct.get(fields[0])
            if decode is not None and not fields[-1]:
                try:
                    take(decode(fields))
                    continue
                except Exception:  # noqa: BLE001, S110  (not as expected: the general decoder has the last word)
                    pass
            out += self.general(frame)
        return out

    def general(self, frame: bytes) -> list[Message]:
        """Return the messages of one frame as `ibapi` decodes it."""
        head, _, rest = frame.partition(b"\0")
        if not head.isdigit() or frame[-1:] != b"\0":
            return [_bad(None, frame, "expected a message id and fields that end with a NUL")]
        message_id = int(head)
        if message_id not in self._known:
            return [_bad(message_id, frame, "no message has this id in this version of ibapi")]
        self._heard.start(message_id, frame)
        try:
            self._interpret(message_id, head, rest)
        except Exception as error:  # noqa: BLE001  (whatever a frame provokes is a fact about the frame)
            return [_bad(message_id, frame, _root(error))]
        told = self._heard.told
        if not told and message_id not in _MAY_BE_EMPTY:
            return [_bad(message_id, frame, "ibapi made nothing of it: wrong number of fields")]
        return _joined(told)

    def _interpret(self, message_id: int, head: bytes, rest: bytes) -> None:
        fields = rest.split(b"\0")[:-1]
        if self._takes_id:
            self._ibapi.interpret(fields, message_id)
        else:
            self._ibapi.interpret([head, *fields])


class _Heard:
    """Stands where `ibapi` expects a wrapper: every callback becomes a message."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self._message_id = 0
        self._frame = b""

    def start(self, message_id: int, frame: bytes) -> None:
        self.told = []
        self._message_id, self._frame = message_id, frame

    def __getattr__(self, name: str) -> Callable[..., None]:
        translate = TRANSLATIONS.get(name)
        if translate is None:
            return lambda *_: self.told.append(Untranslated(name, self._message_id, self._frame))
        return lambda *arguments: self.told.append(translate(*arguments))


def _joined(told: list[Message]) -> list[Message]:
    """Make one message of what `ibapi` tells in several callbacks: a price with its size, bars."""
    match told:
        case [TickPrice() as price, TickSize(size=size)] if price.tick_type in SIZED:
            return [msgspec.structs.replace(price, size=size)]
        case [HistoricalBars(), _, *_]:
            return [message for run in groupby(told, type) for message in _bars(list(run[1]))]
    return told


def _bars(run: list[Message]) -> list[Message]:
    if not isinstance(run[0], HistoricalBars):
        return run
    bars = (bar for message in run if isinstance(message, HistoricalBars) for bar in message.bars)
    return [HistoricalBars(run[0].req_id, tuple(bars))]


def _bad(message_id: int | None, frame: bytes, reason: str) -> BadFrame:
    return BadFrame(message_id, frame, reason)


def _root(error: BaseException) -> str:
    # ibapi raises a TypeError while it describes what was wrong: the first error tells more.
    while error.__context__ is not None and not isinstance(error.__context__, StopIteration):
        error = error.__context__
    text: Any = getattr(error, "text", None) or error
    return f"{type(error).__name__}: {text}"
