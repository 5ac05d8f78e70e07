"""The durable high-water mark: the seq that was certainly on disk, kept outside the journal.

It is written after each good sync and never synced itself, so it may be stale but is never ahead.
It proves what no later block can: that the very last synced block was there.
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


def read_mark(layout: Layout) -> Mark | None:
    """Return the mark of the log; `None` if there is none or it was torn by a power cut."""
    try:
        data = layout.hwm.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{layout.hwm}: cannot be read: {error.strerror}") from error
    if len(data) != MARK_BYTES or data[:8] != _MAGIC:
        return None
    _, owner, segment, seq, crc = _MARK.unpack(data)
    if crc != crc32(data[:_CRC_OFFSET]):
        return None
    return Mark(owner, segment, seq)


def check_owner(layout: Layout, mark: Mark, store: bytes | None) -> None:
    """Raise `CorruptLog` if the mark speaks of another log than `store`."""
    if store is not None and mark.store != store:
        raise CorruptLog(
            f"{layout.hwm}: the mark of another log ({mark.store.hex()}, this one is {store.hex()}); "
            "put back the right file, or move it away if you are sure that the log is whole"
        )
