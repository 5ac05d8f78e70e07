"""What an archived journal says of its own directory: all of `seal.json` that is not derived from tables.

Segments name their store, their place and their predecessor's end, and their blocks are chained. So an
archive whose chain holds, covers the seqs of the directory's name and joins what is before and after it
describes the directory by itself: a damaged manifest is no loss. Reading only.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.errors import CorruptLog, StoreError, UnsupportedFormat
from eventstore.journal.segments import SegmentHeader, Walk, decode_segment_header, read_header
from eventstore.journal.watermark import read_mark
from eventstore.layout import ARCHIVE_NAME, MANIFEST_NAME, Layout, sealed_range
from eventstore.manifests.manifest import Manifest, SealedSegment, read_manifest
from eventstore.sealed import archive


class Outline(msgspec.Struct, frozen=True):
    """The store, range, hashes and segments of a directory, as in its manifest."""

    store: str
    first_seq: int
    last_seq: int
    previous_hash: str
    chain: str
    segments: list[SealedSegment]


def outline(directory: Path) -> Outline:
    """Return what the archive of a sealed directory says, whatever its manifest does.

    Raises `CorruptLog` naming the file if the archive is damaged, does not hold the seqs of the
    directory's name, or does not join its neighbours; `UnsupportedFormat` if a newer program wrote the
    manifest or the archive; `OSError`.
    """
    path = directory / ARCHIVE_NAME
    _refuse_newer(directory)
    segments, store = _segments(path)
    found = Outline(
        store=store.hex(),
        first_seq=segments[0].first_seq,
        last_seq=segments[-1].last_seq,
        previous_hash=segments[0].previous_hash,
        chain=segments[-1].chain,
        segments=segments,
    )
    if sealed_range(directory) != (found.first_seq, found.last_seq):
        raise CorruptLog(
            f"{path}: holds seqs {found.first_seq}..{found.last_seq}, its directory's name says others"
        )
    _check_neighbours(directory, found)
    return found


def _refuse_newer(directory: Path) -> None:
    try:
        read_manifest(directory)
    except UnsupportedFormat:
        raise
    except (CorruptLog, FileNotFoundError):
        return


def _segments(path: Path) -> tuple[list[SealedSegment], bytes]:
    segments: list[SealedSegment] = []
    store = b""
    for frame, data in archive.frames(path):
        header = decode_segment_header(data, str(path))
        store = store or header.store
        segments.append(_segment(path, frame, data, header, store))
        if len(segments) > 1:
            _check_follows(path, segments[-2], segments[-1])
    if not segments:
        raise CorruptLog(f"{path}: offset 0: the archive is empty")
    return segments, store


def _segment(
    path: Path, frame: archive.Frame, data: bytes, header: SegmentHeader, store: bytes
) -> SealedSegment:
    walk = Walk(path, store, data=data)
    for _ in walk:
        pass
    if walk.damage:
        raise CorruptLog(f"{path}: offset {frame.offset}: segment {header.number}: {walk.damage}")
    return SealedSegment(
        number=header.number,
        offset=frame.offset,
        size=frame.size,
        length=len(data),
        first_seq=header.first_seq,
        last_seq=walk.position.next_seq - 1,
        previous_number=header.previous_number,
        previous_length=header.previous_length,
        previous_hash=header.previous_hash.hex(),
        chain=walk.position.chain.hex(),
    )


def _check_follows(path: Path, before: SealedSegment, after: SealedSegment) -> None:
    stated = (after.previous_number, after.previous_length, after.previous_hash, after.first_seq)
    if stated != (before.number, before.length, before.chain, before.last_seq + 1):
        raise CorruptLog(
            f"{path}: offset {after.offset}: segment {after.number} does not follow segment {before.number}"
        )


def _check_neighbours(directory: Path, found: Outline) -> None:
    """Compare the ends of a directory's chain with what is before and after it, sealed or hot."""
    layout, path = Layout(directory.parent.parent), directory / ARCHIVE_NAME
    mark = read_mark(layout)
    if mark is not None and mark.store.hex() != found.store:
        raise CorruptLog(f"{path}: belongs to another log ({found.store}, this one is {mark.store.hex()})")
    last = found.segments[-1]
    for name, (number, length, previous_hash) in _successors(layout, directory, last):
        if (number, length, previous_hash) != (last.number, last.length, last.chain):
            raise CorruptLog(f"{path}: ends otherwise than {name} says, which follows it")
    for manifest in _manifests(layout, directory):
        if manifest.last_seq + 1 == found.first_seq and manifest.chain != found.previous_hash:
            raise CorruptLog(f"{path}: does not continue the chain of seqs up to {manifest.last_seq}")


def _successors(
    layout: Layout, directory: Path, last: SealedSegment
) -> Iterator[tuple[str, tuple[int, int, str]]]:
    for segment in layout.segments():
        try:
            header = read_header(segment)
        except (CorruptLog, UnsupportedFormat, OSError):
            continue  # a finding of its own; it says nothing of others
        if header.first_seq == last.last_seq + 1:
            stated = (header.previous_number, header.previous_length, header.previous_hash.hex())
            yield segment.name, stated
    for manifest in _manifests(layout, directory):
        if manifest.first_seq == last.last_seq + 1 and manifest.segments:
            after = manifest.segments[0]
            stated = (after.previous_number, after.previous_length, after.previous_hash)
            yield f"{MANIFEST_NAME} of seqs {manifest.first_seq}..{manifest.last_seq}", stated


def _manifests(layout: Layout, directory: Path) -> Iterator[Manifest]:
    for other in layout.sealed_directories():
        if other != directory:
            try:
                yield read_manifest(other)
            except (StoreError, OSError):
                continue
