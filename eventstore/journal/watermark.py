"""The durable high-water mark: the seq that was certainly on disk, kept outside the journal.

It is written after each good sync and never synced itself, so it may be stale but is never ahead.
It proves what no later block can: that the very last synced block was there. A file that is missing or
damaged proves nothing; `read_mark` says which, and inspection.py what follows.
"""

import struct
from typing import NamedTuple
from zlib import crc32

from core.errors import CorruptLog, StoreError
from eventstore.layout import Layout

_MAGIC = b"TAPEHWM1"
_MARK = struct.Struct("<8s16sQQ20xI")
MARK_BYTES = _MARK.size
_CRC_OFFSET = MARK_BYTES - 4
_ATTEMPTS = 3


class Mark(NamedTuple):
    """Everything up to `seq`, the last of it in `segment`, was durable in the log `store`."""

    store: bytes
    segment: int
    seq: int


def encode_mark(mark: Mark) -> bytes:
    """Return the 64 bytes of the file."""
    data = bytearray(_MARK.pack(_MAGIC, mark.store, mark.segment, mark.seq, 0))
    struct.pack_into("<I", data, _CRC_OFFSET, crc32(data[:_CRC_OFFSET]))
    return bytes(data)


class BadMark(NamedTuple):
    """A file that says nothing: `why` in words, `data` as it was found (`None`: there is no file).

    `blank` is what a crash may leave: no file, an empty one, or zeros that were never written over. All
    other damage came afterwards.
    """

    why: str
    data: bytes | None

    @property
    def blank(self) -> bool:
        """Whether a crash alone explains it."""
        return not (self.data or b"").strip(b"\0")


def look_at_mark(layout: Layout) -> Mark | BadMark:
    """Return the mark of the log, or what is wrong with it; raises `StoreError` if it cannot be read."""
    for _ in range(_ATTEMPTS):
        found = _parse(_read(layout))
        if isinstance(found, Mark):
            break  # else a writer may be at it: it is read again
    return found


def read_mark(layout: Layout) -> Mark | None:
    """Return the mark of the log; `None` if there is none that says anything."""
    found = look_at_mark(layout)
    return found if isinstance(found, Mark) else None


def _read(layout: Layout) -> bytes | None:
    try:
        return layout.hwm.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"{layout.hwm}: cannot be read: {error.strerror}; give access, or move it away if it is no file"
        ) from error


def _parse(data: bytes | None) -> Mark | BadMark:
    if data is None:
        return BadMark("is missing", data)
    if not data.strip(b"\0"):
        return BadMark("is empty" if not data else "holds zeros only", data)
    if len(data) != MARK_BYTES:
        return BadMark(f"has {len(data)} bytes, expected {MARK_BYTES}", data)
    magic, owner, segment, seq, crc = _MARK.unpack(data)
    if magic != _MAGIC:
        return BadMark("does not begin as a high-water mark does", data)
    if crc != crc32(data[:_CRC_OFFSET]):
        return BadMark("has a checksum that differs", data)
    return Mark(owner, segment, seq)


def check_owner(layout: Layout, mark: Mark, store: bytes | None) -> None:
    """Raise `CorruptLog` if the mark speaks of another log than `store`."""
    if store is not None and mark.store != store:
        raise CorruptLog(
            f"{layout.hwm}: the mark of another log ({mark.store.hex()}, this one is {store.hex()}); "
            "put back the right file, or move it away if you are sure that the log is whole"
        )
