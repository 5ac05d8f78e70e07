"""Blocks: the unit of a group commit, and the checks that make damage visible.

A block is a 64-byte header and a payload. The header has its own CRC, so that a flipped length cannot
pass for a torn tail; both CRCs are salted with the store's UUID, so that a block of another store is
never taken for one of this. `synced_seq` says what was durable when the block was written: a later
valid block thereby proves that a damaged earlier one had been durable. Blocks form a hash chain.
It must never touch files.
"""

import struct
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

MAGIC = b"\xe5tB\xb1"
BLOCK_VERSION = 1
HEADER = struct.Struct("<4sBBHIIQQQ16sII")
HEADER_BYTES = HEADER.size
HASH_BYTES = 16
MAX_RECORD_BYTES = 16 << 20
"""A single record may not be larger."""
CUT_BYTES = 4 << 20
CUT_EVENTS = 32_768
"""A block is closed at the first of both, so that a reader decodes a bounded piece at a time."""
MAX_PAYLOAD_BYTES = CUT_BYTES + MAX_RECORD_BYTES + 5

assert HEADER_BYTES == 64
_CRC = struct.Struct("<I")
_CRC_OFFSET = HEADER_BYTES - _CRC.size


class BlockHeader(NamedTuple):
    """The checked header of a block."""

    payload_bytes: int
    records: int
    first_seq: int
    synced_seq: int
    wall_ns: int
    previous: bytes
    payload_crc: int


class Block(NamedTuple):
    """A block whose checks all passed. `chain` is the hash up to and including it."""

    offset: int
    end: int
    first_seq: int
    last_seq: int
    synced_seq: int
    wall_ns: int
    chain: bytes
    payload: memoryview


def salt(store: bytes) -> int:
    """Return the starting value of all CRCs of a store."""
    return crc32(store)


def genesis(store: bytes) -> bytes:
    """Return the hash before the first block of a store."""
    return blake2b(store, digest_size=HASH_BYTES).digest()


def encode_block(
    salt: int, count: int, first_seq: int, synced_seq: int, wall_ns: int, previous: bytes, payload: bytes
) -> tuple[bytes, bytes]:
    """Return a block's header and the chain hash after it."""
    assert count > 0
    assert len(payload) <= MAX_PAYLOAD_BYTES
    header = bytearray(
        HEADER.pack(
            MAGIC,
            BLOCK_VERSION,
            0,
            0,
            len(payload),
            count,
            first_seq,
            synced_seq,
            wall_ns,
            previous,
            crc32(payload, salt),
            0,
        )
    )
    _CRC.pack_into(header, _CRC_OFFSET, crc32(memoryview(header)[:_CRC_OFFSET], salt))
    return bytes(header), next_hash(previous, header, payload)


def next_hash(previous: bytes, header: bytes | bytearray | memoryview, payload: bytes | memoryview) -> bytes:
    """Return blake2b-16 over the previous hash, the header and the payload."""
    digest = blake2b(previous, digest_size=HASH_BYTES)
    digest.update(header)
    digest.update(payload)
    return digest.digest()


def decode_header(salt: int, data: memoryview) -> BlockHeader | str:
    """Return the header at the start of `data`, or in words why there is none."""
    if len(data) < HEADER_BYTES:
        return f"only {len(data)} of {HEADER_BYTES} header bytes are there"
    magic, version, _, _, size, count, first, synced, wall, previous, payload_crc, crc = HEADER.unpack(
        data[:HEADER_BYTES]
    )
    if magic != MAGIC:
        return "there is no block"
    if crc != crc32(data[:_CRC_OFFSET], salt):
        read = "" if version == BLOCK_VERSION else f"; its version reads {version}, not {BLOCK_VERSION}"
        return f"the header's checksum differs{read}"
    if version != BLOCK_VERSION:
        return f"block version {version} is not known"
    if not 0 < size <= MAX_PAYLOAD_BYTES or count < 1:
        return f"the header states {count} records in {size} bytes"
    return BlockHeader(size, count, first, synced, wall, previous, payload_crc)


def decode_block(salt: int, data: memoryview, offset: int, seq: int, chain: bytes) -> Block | str:
    """Return the block at `offset` of `data`, or in words which check it fails.

    `seq` is the seq that it must start with, `chain` the hash that it must follow.
    """
    header = decode_header(salt, data[offset:])
    if isinstance(header, str):
        return header
    start, end = offset + HEADER_BYTES, offset + HEADER_BYTES + header.payload_bytes
    payload = data[start:end]
    if len(payload) < header.payload_bytes:
        return f"only {len(payload)} of {header.payload_bytes} payload bytes are there"
    if crc32(payload, salt) != header.payload_crc:
        return "the payload's checksum differs"
    if header.first_seq != seq:
        return f"it starts with seq {header.first_seq}, expected {seq}"
    if header.previous != chain:
        return "it does not follow the block before it (hash chain)"
    after = next_hash(chain, data[offset:start], payload)
    last = seq + header.records - 1
    return Block(offset, end, seq, last, header.synced_seq, header.wall_ns, after, payload)
