"""Segment files: a header that fixes where its predecessor ends, then blocks.

A segment's header states its predecessor's number, valid length and last hash, so that nothing about
an older file is ever open to interpretation and no file is ever truncated or edited. Walking a segment
yields its blocks up to the first byte that fails a check; what that means is for `recovery` to judge.
Reading only: it must never write.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from core.errors import CorruptLog, UnsupportedFormat
from eventstore.journal.blocks import Block, decode_block, salt

SEGMENT_MAGIC = b"\x89TAPE\r\n\x1a"
FORMAT_VERSION = 1
_HEADER = struct.Struct("<8sHHI16sQQQQQ16s8sqq12xI")
SEGMENT_HEADER_BYTES = _HEADER.size
_CRC_OFFSET = SEGMENT_HEADER_BYTES - 4

assert SEGMENT_HEADER_BYTES == 128


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a segment, and where the one before it ends.

    `epoch` counts the times that a writer opened the log. The first segment's predecessor is number 0
    of length 0 with the store's genesis hash.
    """

    store: bytes
    number: int
    epoch: int
    first_seq: int
    previous_number: int
    previous_length: int
    previous_hash: bytes
    boot: bytes
    wall_ns: int
    monotonic_ns: int
    flags: int = 0


class Position(msgspec.Struct, frozen=True):
    """A place between blocks: byte `offset`, the seq that must follow, the hash so far."""

    offset: int
    next_seq: int
    chain: bytes


def encode_segment_header(header: SegmentHeader) -> bytes:
    """Return the 128 bytes that a segment starts with."""
    fixed = _HEADER.pack(
        SEGMENT_MAGIC,
        FORMAT_VERSION,
        header.flags,
        0,
        header.store,
        header.number,
        header.epoch,
        header.first_seq,
        header.previous_number,
        header.previous_length,
        header.previous_hash,
        header.boot,
        header.wall_ns,
        header.monotonic_ns,
        0,
    )
    return fixed[:_CRC_OFFSET] + struct.pack("<I", crc32(fixed[:_CRC_OFFSET]))


def decode_segment_header(data: bytes | memoryview, place: str) -> SegmentHeader:
    """Return the header at the start of `data`; raises `CorruptLog` or `UnsupportedFormat`."""
    if len(data) < SEGMENT_HEADER_BYTES:
        raise CorruptLog(
            f"{place}: offset 0: only {len(data)} of {SEGMENT_HEADER_BYTES} header bytes are there"
        )
    magic, version, flags, _, *fields, crc = _HEADER.unpack(data[:SEGMENT_HEADER_BYTES])
    if magic != SEGMENT_MAGIC:
        raise CorruptLog(f"{place}: offset 0: this is no segment of a log (its first 8 bytes differ)")
    if crc != crc32(data[:_CRC_OFFSET]):
        read = (
            "" if version == FORMAT_VERSION else f"; its format version reads {version}, not {FORMAT_VERSION}"
        )
        raise CorruptLog(f"{place}: offset 0: the segment header's checksum differs{read}")
    if version > FORMAT_VERSION:
        raise UnsupportedFormat(
            f"{place}: format version {version}, this program reads up to {FORMAT_VERSION}: upgrade truetape"
        )
    store, number, epoch, first_seq, previous_number, previous_length, previous_hash, boot, wall, mono = (
        fields
    )
    return SegmentHeader(
        store=store,
        number=number,
        epoch=epoch,
        first_seq=first_seq,
        previous_number=previous_number,
        previous_length=previous_length,
        previous_hash=previous_hash,
        boot=boot,
        wall_ns=wall,
        monotonic_ns=mono,
        flags=flags,
    )


def read_header(path: Path) -> SegmentHeader:
    """Return the header of a segment file; raises `CorruptLog` or `UnsupportedFormat`."""
    with path.open("rb") as file:
        return decode_segment_header(file.read(SEGMENT_HEADER_BYTES), str(path))


def first_position(header: SegmentHeader) -> Position:
    """Return where the first block of a segment starts."""
    return Position(SEGMENT_HEADER_BYTES, header.first_seq, header.previous_hash)


class Walk:
    """Iterate over the blocks of a segment until the first that fails a check.

    Afterwards `position` is the end of what is valid and `damage` says in words what stopped the walk
    (`None` at the end of the file). Pass `data` to walk bytes that are no file of the log. With
    `position`, the walk resumes where an earlier one ended; only the bytes from there on are read.
    """

    def __init__(
        self, path: Path, store: bytes, *, position: Position | None = None, data: bytes | None = None
    ) -> None:
        self.path = path
        self.damage: str | None = None
        self._salt = salt(store)
        start = 0 if position is None else position.offset
        self._data = memoryview(_read_from(path, start) if data is None else data[start:])
        if position is None:
            self.header: SegmentHeader | None = decode_segment_header(self._data, str(path))
            if self.header.store != store:
                raise CorruptLog(f"{path}: offset 16: this segment belongs to another log; move it away")
            position = first_position(self.header)
        else:
            self.header = None
        self.position = position
        self._base = start

    @property
    def size(self) -> int:
        """The length of the file when it was read."""
        return self._base + len(self._data)

    @property
    def rest(self) -> memoryview:
        """The bytes from `position` on: none after a clean walk."""
        return self._data[self.position.offset - self._base :]

    def __iter__(self) -> Iterator[Block]:
        while self.position.offset < self.size:
            here = self.position
            block = decode_block(self._salt, self._data, here.offset - self._base, here.next_seq, here.chain)
            if isinstance(block, str):
                self.damage = block
                return
            block = block._replace(offset=here.offset, end=block.end + self._base)
            self.position = Position(block.end, block.last_seq + 1, block.chain)
            yield block


def walk(
    path: Path, store: bytes, *, position: Position | None = None, data: bytes | None = None
) -> Iterator[Block]:
    """Yield the valid blocks of a segment; see `Walk` for where and why it stops."""
    return iter(Walk(path, store, position=position, data=data))


def _read_from(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()
