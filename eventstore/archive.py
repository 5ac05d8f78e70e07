"""The compressed journal beside sealed data: one zstd frame per segment, so that each can be read alone.

It is the source from which Parquet can always be rebuilt. Its bytes are exactly the valid bytes of the
segments. It never decides whether they are right: walking them does.
"""

from pathlib import Path

import msgspec
import pyarrow as pa

from core.errors import CorruptLog
from eventstore.layout import ARCHIVE_NAME
from eventstore.manifest import Manifest, SealedSegment
from eventstore.segments import Walk

_CODEC = "zstd"
_LEVEL = 3


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
        frame = file.read(segment.size)
    try:
        data = bytes(pa.Codec(_CODEC).decompress(frame, segment.length, asbytes=True))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise CorruptLog(
            f"{path}: offset {segment.offset}: the frame of segment {segment.number} is damaged: {error}"
        ) from error
    if len(data) != segment.length:
        raise CorruptLog(
            f"{path}: offset {segment.offset}: segment {segment.number} has {len(data)} bytes, "
            f"expected {segment.length}"
        )
    return data


def walk_segment(directory: Path, manifest: Manifest, segment: SealedSegment) -> Walk:
    """Return a walk over an archived segment; its place names the archive."""
    data = read_segment(directory, segment)
    return Walk(directory / ARCHIVE_NAME, bytes.fromhex(manifest.store), data=data)
