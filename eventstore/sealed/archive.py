"""The compressed journal beside sealed data: one zstd frame per segment, so that each can be read alone.

It is the source from which Parquet can always be rebuilt. Its bytes are exactly the valid bytes of the
segments. It never decides whether they are right: walking them does.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa

from core.errors import CorruptLog
from eventstore.journal.segments import Walk
from eventstore.layout import ARCHIVE_NAME
from eventstore.manifests.manifest import Manifest, SealedSegment

_CODEC = "zstd"
_LEVEL = 3
_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_RLE, _COMPRESSED = 1, 2
_MAX_SEGMENT_BYTES = 1 << 30
"""More than any segment has: what a damaged frame claims is not allocated."""


class Frame(NamedTuple):
    """Where a zstd frame is in an archive, and how many bytes it holds when it is decompressed."""

    offset: int
    size: int
    length: int


def compress(data: bytes | memoryview) -> bytes:
    """Return one zstd frame that holds `data`."""
    return bytes(pa.Codec(_CODEC, _LEVEL).compress(data, asbytes=True))


def moved(segment: SealedSegment, by: int) -> SealedSegment:
    """Return where a segment's frame is in an archive in which `by` bytes come before its own."""
    return msgspec.structs.replace(segment, offset=segment.offset + by)


def read_segment(directory: Path, segment: SealedSegment) -> bytes:
    """Return a segment's valid bytes; raises `CorruptLog` if the frame is damaged."""
    path = directory / ARCHIVE_NAME
    with path.open("rb") as file:
        file.seek(segment.offset)
        data = file.read(segment.size)
    return _decompress(path, Frame(segment.offset, segment.size, segment.length), data)


def _decompress(path: Path, frame: Frame, data: bytes | memoryview) -> bytes:
    try:
        found = bytes(pa.Codec(_CODEC).decompress(data, frame.length, asbytes=True))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise CorruptLog(f"{path}: offset {frame.offset}: a segment's frame is damaged: {error}") from error
    if len(found) != frame.length:
        raise CorruptLog(
            f"{path}: offset {frame.offset}: a segment has {len(found)} bytes, expected {frame.length}"
        )
    return found


def frames(path: Path) -> Iterator[tuple[Frame, bytes]]:
    """Yield each frame of an archive with what it holds, without a manifest that says where they are.

    Raises `CorruptLog` at the first byte that is no frame or cannot be decompressed.
    """
    data, offset = memoryview(path.read_bytes()), 0
    while offset < len(data):
        frame = _frame_at(path, data, offset)
        yield frame, _decompress(path, frame, data[offset : offset + frame.size])
        offset += frame.size


def _frame_at(path: Path, data: memoryview, start: int) -> Frame:
    """Return the extent of the frame at `start`; layout: RFC 8878, section 3.1.1."""
    damaged = CorruptLog(f"{path}: offset {start}: no whole zstd frame is here")
    descriptor = data[start + 4] if len(data) > start + 4 else 0
    if bytes(data[start : start + 4]) != _FRAME_MAGIC:
        raise damaged
    single = bool(descriptor & 0x20)
    place = start + 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    length = int.from_bytes(data[place : place + width], "little") + (256 if width == 2 else 0)
    place, last = place + width, False
    while not last:
        block = int.from_bytes(data[place : place + 3], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        place += 3 + (1 if kind == _RLE else size)
        if kind > _COMPRESSED or place > len(data):
            raise damaged
    place += 4 if descriptor & 4 else 0
    if place > len(data) or not 0 < length <= _MAX_SEGMENT_BYTES:
        raise damaged
    return Frame(start, place - start, length)


def walk_segment(directory: Path, manifest: Manifest, segment: SealedSegment) -> Walk:
    """Return a walk over an archived segment; its place names the archive."""
    data = read_segment(directory, segment)
    return Walk(directory / ARCHIVE_NAME, bytes.fromhex(manifest.store), data=data)
