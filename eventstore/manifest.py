"""What a sealed directory says of itself (`seal.json`) and the listing of those that hold the log.

Directories are self-describing: there is no list of them that could go out of step. Their seq ranges
must tile 1..N; after a compaction that was interrupted, a wider directory hides those inside it. The
digests in `seal.json` are the check of the Parquet files: DuckDB checks nothing. Reading only.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from core.errors import CorruptLog, UnsupportedFormat
from eventstore.layout import MANIFEST_NAME, Layout, sealed_range

MANIFEST_FORMAT = 1
_SMALL_BYTES = 1 << 18
_MAX_RETRIES = 100
_ADVICE = "no event can be read without it; next: tape verify, which says whether it can be made again"

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
    if sealed_range(directory) != (manifest.first_seq, manifest.last_seq):
        raise CorruptLog(
            f"{path}: states seqs {manifest.first_seq}..{manifest.last_seq}, its directory's name others"
        )
    return manifest


class _Form(msgspec.Struct, frozen=True):
    format: int


class Catalogue:
    """The sealed directories of a log; manifests are read once and kept, listing is done anew each time."""

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)
        self._known: dict[str, SealedPart] = {}

    def parts(self) -> list[SealedPart]:
        """Return the directories to read, in seq order, without those inside a wider one.

        Raises `CorruptLog` if they overlap otherwise. Gaps are for the reader to judge, who knows what
        the journal holds.
        """
        for _ in range(_MAX_RETRIES):
            paths = stable_listing(self._layout)
            listed = [part for path in paths if (part := self._part(path))]
            self._known = {part.path.name: part for part in listed}
            if len(listed) == len(paths):
                return visible(listed)
        raise CorruptLog(f"{self._layout.sealed}: its directories keep vanishing while they are read")

    def _part(self, path: Path) -> SealedPart | None:
        known = self._known.get(path.name)
        if known is not None:
            return known
        try:
            return SealedPart(path, read_manifest(path))
        except FileNotFoundError as error:
            if path.is_dir():
                raise CorruptLog(
                    f"{path / MANIFEST_NAME}: missing: sealed data without a manifest; {_ADVICE}"
                ) from error
            return None  # removed by a compaction since it was listed
        except CorruptLog as error:
            raise CorruptLog(f"{error}; {_ADVICE}") from error
        except OSError as error:
            why = error.strerror or str(error)
            raise CorruptLog(f"{path / MANIFEST_NAME}: cannot be read: {why}; {_ADVICE}") from error


def stable_listing(layout: Layout) -> list[Path]:
    """Return the sealed directories as they were at one moment.

    A compaction makes the wider directory before it removes the narrower ones. One pass over a directory
    may miss the first and see the second; two passes that agree cannot.
    """
    paths = layout.sealed_directories()
    for _ in range(_MAX_RETRIES):
        again = layout.sealed_directories()
        if again == paths:
            return paths
        paths = again
    raise CorruptLog(f"{layout.sealed}: it keeps changing while it is read")


def hidden(paths: Iterable[Path]) -> list[Path]:
    """Return the directories that a wider one hides, going by their names."""
    found: list[Path] = []
    last = 0
    ranges = [(*span, path) for path in paths if (span := sealed_range(path))]
    for _, last_seq, path in sorted(ranges, key=lambda item: (item[0], -item[1])):
        if last_seq <= last:
            found.append(path)
        last = max(last, last_seq)
    return found


def visible(parts: list[SealedPart]) -> list[SealedPart]:
    """Return the parts without those inside a wider one; raises `CorruptLog` if two overlap otherwise."""
    shown: list[SealedPart] = []
    for part in sorted(parts, key=lambda p: (p.first_seq, -p.last_seq)):
        if shown and part.last_seq <= shown[-1].last_seq:
            continue
        if shown and part.first_seq <= shown[-1].last_seq:
            raise CorruptLog(
                f"{part.path}: overlaps {shown[-1].path.name}: seq {part.first_seq} is sealed twice"
            )
        shown.append(part)
    return shown
