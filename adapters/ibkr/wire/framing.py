"""Frames of Interactive Brokers' protocol: a length of four bytes, big-endian, and that many bytes.

Pure: bytes in, frames out, however the network cut them. It never drops a byte, never guesses where
a frame begins, and knows nothing of what frames mean.
"""

from struct import Struct

from core.errors import StreamOutOfStep

FRAME_BYTES_MAX = 0xFFFFFF
_LENGTH = Struct(">I")
_HEAD = _LENGTH.size


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length in front."""
    return _LENGTH.pack(len(payload)) + payload


class FrameBuffer:
    """Cuts a stream into frames; an incomplete tail waits for the next bytes."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._wanted = _HEAD

    @property
    def tail_bytes(self) -> int:
        """How many bytes of an incomplete frame are waiting."""
        return len(self._tail)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes, without their lengths.

        Raises `StreamOutOfStep`, with the frames before it, at a length above `FRAME_BYTES_MAX`; every
        later call raises again, since the start of the next frame cannot be known.
        """
        if self._tail:
            self._tail += data
            if len(self._tail) < self._wanted:
                return []
            data = bytes(self._tail)
        return self._cut(data)

    def _cut(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        start, end = 0, len(data)
        self._wanted = _HEAD
        while end - start >= _HEAD:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > FRAME_BYTES_MAX:
                self._tail = bytearray(data[start:])
                raise StreamOutOfStep(_out_of_step(length, data[start : start + 16]), tuple(frames))
            stop = start + _HEAD + length
            if stop > end:
                self._wanted = _HEAD + length
                break
            frames.append(data[start + _HEAD : stop])
            start = stop
        self._tail = bytearray(data[start:])
        return frames


def _out_of_step(length: int, seen: bytes) -> str:
    return (
        f"the stream is out of step: a frame claims {length:,} bytes (bytes {seen!r}), expected at most "
        f"{FRAME_BYTES_MAX:,}; the connection must be closed and opened again"
    )
