"""What a sealed directory says of itself: `seal.json` with its own digest, and those of the files beside it.

The digests are the check of the Parquet files: DuckDB checks nothing. Which directories a log has is
catalogue.py's. Reading only.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated

import msgspec

from core.errors import CorruptLog, UnsupportedFormat
from eventstore.layout import MANIFEST_NAME, sealed_range

MANIFEST_FORMAT = 1
_SMALL_BYTES = 1 << 18

_DIGEST = re.compile(rb',\n "digest": "([0-9a-f]{32})"\n}\n\Z')
"""The end of `seal.json`: the digest of all before it."""

Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
"""Sixteen bytes in hexadecimal: a hash of the chain, or the UUID of a store."""


class Extent(msgspec.Struct, frozen=True):
    """How many events there are, and between which seqs and times (inclusive)."""

    count: int
    first_seq: int
    last_seq: int
    first_ts: int
    last_ts: int

    def merge(self, other: "Extent") -> "Extent":
        """Return the extent of both together."""
        return Extent(
            self.count + other.count,
            min(self.first_seq, other.first_seq),
            max(self.last_seq, other.last_seq),
            min(self.first_ts, other.first_ts),
            max(self.last_ts, other.last_ts),
        )


class TypeExtent(msgspec.Struct, frozen=True):
    """The extent of one event type, and of each instrument and feed in it."""

    all: Extent
    instruments: dict[str, Extent]
    feeds: dict[str, Extent]


class SealedFile(msgspec.Struct, frozen=True):
    """The digest and size of a file beside `seal.json`."""

    sha256: str
    size: int


class SealedSegment(msgspec.Struct, frozen=True):
    """A journal segment in the archive, as a zstd frame of its own, and its place in the chain.

    `offset` and `size` are those of the frame; `length` is the segment's valid length, of which the
    frame holds not a byte more. Hashes are hexadecimal.
    """

    number: int
    offset: int
    size: int
    length: int
    first_seq: int
    last_seq: int
    previous_number: int
    previous_length: int
    previous_hash: Hash
    chain: Hash


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `seal.json`. `sessions` are the session dates scheduled in it.

    `fields` names the columns of events' fields per type, so that it is known without opening a file
    which of them are younger than it.
    """

    format: int
    store: Hash
    first_seq: int
    last_seq: int
    previous_hash: Hash
    chain: Hash
    segments: Annotated[list[SealedSegment], msgspec.Meta(min_length=1)]
    types: dict[str, TypeExtent]
    fields: dict[str, list[str]] = {}
    sessions: list[str]
    files: dict[str, SealedFile]
    schema_version: int
    writer: str


class SealedPart(msgspec.Struct, frozen=True):
    """A sealed directory with its manifest."""

    path: Path
    manifest: Manifest

    @property
    def first_seq(self) -> int:
        """The first seq it holds."""
        return self.manifest.first_seq

    @property
    def last_seq(self) -> int:
        """The last seq it holds."""
        return self.manifest.last_seq

    def check(self, name: str) -> None:
        """Compare a file with its digest; raises `CorruptLog`, or `FileNotFoundError` if it is gone."""
        check_digest(
            self.path / name,
            self.manifest.files.get(name),
            MANIFEST_NAME,
            "its journal is kept beside it: run `tape verify`",
        )


def check_digest(path: Path, expected: SealedFile | None, listed_in: str, advice: str) -> None:
    """Compare a file with the digest that `listed_in` states; `advice` ends the message if they differ.

    Raises `CorruptLog`, or `FileNotFoundError` if the file is gone.
    """
    if expected is None:
        raise CorruptLog(f"{path}: {listed_in} does not list this file")
    found = digest_of(path)
    if found != expected:
        what = f"{found.size} bytes" if found.size != expected.size else f"sha256 {found.sha256[:16]}…"
        wanted = f"{expected.size} bytes" if found.size != expected.size else f"{expected.sha256[:16]}…"
        raise CorruptLog(
            f"{path}: the file changed since it was written: {what}, expected {wanted}; {advice}"
        )


def digest_of(path: Path) -> SealedFile:
    """Return a file's digest and size, reading it once, in pieces if it is large."""
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= _SMALL_BYTES:  # the buffer for pieces alone would cost more
            data = file.read()
            return SealedFile(hashlib.sha256(data).hexdigest(), len(data))
        digest = hashlib.file_digest(file, "sha256")
        return SealedFile(digest.hexdigest(), file.tell())


def read_manifest(directory: Path) -> Manifest:
    """Return a directory's manifest; raises `CorruptLog` or `UnsupportedFormat`."""
    path = directory / MANIFEST_NAME
    data = path.read_bytes()
    try:
        form = msgspec.json.decode(data, type=_Form).format
        if form > MANIFEST_FORMAT:
            raise UnsupportedFormat(
                f"{path}: format {form}, this program reads up to {MANIFEST_FORMAT}: upgrade truetape"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise CorruptLog(f"{path}: not a manifest of sealed data: {error}") from error
    stated = _DIGEST.search(data)
    if stated is None or stated[1] != _digest_of(data[: stated.start()]):
        raise CorruptLog(f"{path}: its own digest does not fit: it changed since it was written")
    if sealed_range(directory) != (manifest.first_seq, manifest.last_seq):
        raise CorruptLog(
            f"{path}: states seqs {manifest.first_seq}..{manifest.last_seq}, its directory's name others"
        )
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `seal.json`: indented, for people; its last line is the digest of all before it."""
    before = msgspec.json.format(msgspec.json.encode(manifest), indent=1).removesuffix(b"\n}")
    return before + b',\n "digest": "' + _digest_of(before) + b'"\n}\n'


def _digest_of(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()


def writer_version() -> str:
    """Return the name and version of the program that writes."""
    # 25 ms that a replay, which only reads manifests, need not pay.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return f"truetape {version('truetape')}"
    except PackageNotFoundError:
        return "truetape"


class _Form(msgspec.Struct, frozen=True):
    format: int
