"""Sealing: a closed journal segment becomes a directory of typed Parquet files, all of it or nothing.

The order is the protocol, and every step of it has a reason (docs/log-format.md): the closed segment
is walked again; tables, archive and manifest are built aside; everything is read back and compared
with the journal, event by event; each file and both directories are synced around one rename. The
journal is unlinked elsewhere, after the seal itself is in the log. Nothing published is ever changed.
"""

import os
import shutil
from pathlib import Path

import msgspec

from core.errors import CorruptLog, StoreError
from core.events import Entry, SessionScheduled
from eventstore.build_area import building_in, publish, write_file
from eventstore.codec import decode_records
from eventstore.files import Files
from eventstore.journal.segments import SegmentHeader, Walk, read_header
from eventstore.layout import ARCHIVE_NAME, MANIFEST_NAME, Layout, sealed_name, segment_number
from eventstore.manifests.catalogue import Catalogue
from eventstore.manifests.manifest import (
    MANIFEST_FORMAT,
    Manifest,
    SealedSegment,
    digest_of,
    encode_manifest,
    writer_version,
)
from eventstore.sealed import archive
from eventstore.sealed.tables import compare_tables, write_tables
from eventstore.sealing.client import SealResult
from eventstore.tables.schema import SCHEMA_VERSION, fields_of, kinds


class _Closed(msgspec.Struct, frozen=True):
    # A closed segment, walked: its valid bytes, its entries, and the hashes around it.
    header: SegmentHeader
    data: bytes
    entries: list[Entry]
    chain: bytes


def seal(root: Path, segment: Path, files: Files | None = None) -> SealResult:
    """Seal a closed segment and return what may be recorded; doing it again gives the same result.

    Raises `CorruptLog` if the segment or what was written of it does not hold, `StoreError` if it has
    no successor yet or another process keeps building, and `OSError`. After an error nothing of it is
    under `sealed/`.
    """
    files = files or Files()
    layout = Layout(root)
    with building_in(layout, files):
        return _seal(layout, segment, files)


def _seal(layout: Layout, segment: Path, files: Files) -> SealResult:
    closed = _read_closed(layout, segment)
    result = SealResult(
        first_seq=closed.header.first_seq,
        last_seq=closed.header.first_seq + len(closed.entries) - 1,
        chain=closed.chain.hex(),
        journal=str(segment),
    )
    if not closed.entries:
        return result
    if _already_sealed(layout, result):
        # An earlier attempt may have died between the rename and this sync.
        files.sync_directory(layout.sealed)
        return result
    building = layout.tmp / f"{sealed_name(result.first_seq, result.last_seq)}.{os.getpid()}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        _build(building, closed, result, files)
        publish(layout, building, layout.sealed_path(result.first_seq, result.last_seq), files)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return result


def _read_closed(layout: Layout, segment: Path) -> _Closed:
    header = read_header(segment)
    length, chain = _end_of(layout, segment, header.first_seq)
    data = segment.read_bytes()[:length]
    walk = Walk(segment, header.store, data=data)
    entries = [entry for block in walk for entry in decode_records(block.payload)]
    if walk.damage or walk.position.offset != length or walk.position.chain != chain:
        raise CorruptLog(
            f"{segment}: offset {walk.position.offset}: {walk.damage or 'the chain hash differs'}; its "
            f"successor says that it is valid up to {length}: run `tape verify`"
        )
    _check_seqs(segment, entries, header.first_seq)
    return _Closed(header, data, entries, chain)


def _end_of(layout: Layout, segment: Path, first_seq: int) -> tuple[int, bytes]:
    """Return the valid length and last hash of a closed segment, as its successor states them.

    A successor that is sealed holds no seq before `first_seq`, the segment's own.
    """
    number = segment_number(segment)
    for other in layout.segments():
        after = read_header(other) if (segment_number(other) or 0) > (number or 0) else None
        if after is not None and after.previous_number == number:
            return after.previous_length, after.previous_hash
    for part in Catalogue(layout.root).parts(first_seq):
        for sealed in part.manifest.segments:
            if sealed.previous_number == number:
                return sealed.previous_length, bytes.fromhex(sealed.previous_hash)
    raise StoreError(f"{segment}: it has no successor yet, so it may still grow: roll before sealing")


def _check_seqs(segment: Path, entries: list[Entry], first_seq: int) -> None:
    for expected, entry in enumerate(entries, first_seq):
        if entry.seq != expected:
            raise CorruptLog(f"{segment}: a record states seq {entry.seq}, expected {expected}")


def _already_sealed(layout: Layout, result: SealResult) -> bool:
    for part in Catalogue(layout.root).parts(result.first_seq, result.last_seq):
        if part.first_seq <= result.first_seq and result.last_seq <= part.last_seq:
            chains = {(s.first_seq, s.last_seq): s.chain for s in part.manifest.segments}
            if chains.get((result.first_seq, result.last_seq)) != result.chain:
                raise CorruptLog(
                    f"{part.path}: holds other data than {result.journal} for seqs "
                    f"{result.first_seq}..{result.last_seq}: run `tape verify`"
                )
            return True
    return False


def _build(building: Path, closed: _Closed, result: SealResult, files: Files) -> None:
    frame = archive.compress(closed.data)
    write_file(files, building / ARCHIVE_NAME, frame)
    types = write_tables(building, [closed.entries])
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        store=closed.header.store.hex(),
        first_seq=result.first_seq,
        last_seq=result.last_seq,
        previous_hash=closed.header.previous_hash.hex(),
        chain=result.chain,
        segments=[_sealed_segment(closed, result, len(frame))],
        types=types,
        fields={tag: fields_of(kind) for kind in kinds() if (tag := kind.tag) in types},
        sessions=session_dates(closed.entries),
        files={path.name: digest_of(path) for path in sorted(building.iterdir())},
        schema_version=SCHEMA_VERSION,
        writer=writer_version(),
    )
    write_file(files, building / MANIFEST_NAME, encode_manifest(manifest))
    _compare(building, closed)


def session_dates(entries: list[Entry]) -> list[str]:
    """Return the session dates that are scheduled among the entries."""
    return sorted({e.event.date for e in entries if isinstance(e.event, SessionScheduled)})


def _sealed_segment(closed: _Closed, result: SealResult, size: int) -> SealedSegment:
    header = closed.header
    return SealedSegment(
        number=header.number,
        offset=0,
        size=size,
        length=len(closed.data),
        first_seq=result.first_seq,
        last_seq=result.last_seq,
        previous_number=header.previous_number,
        previous_length=header.previous_length,
        previous_hash=header.previous_hash.hex(),
        chain=result.chain,
    )


def _compare(building: Path, closed: _Closed) -> None:
    # Read everything back from the disk, archive and tables, before the journal may ever be unlinked.
    manifest = read_manifest_of(building)
    for segment in manifest.segments:
        if archive.read_segment(building, segment) != closed.data:
            raise CorruptLog(f"{building / ARCHIVE_NAME}: reads back other bytes than the journal's")
    compare_tables(building, iter([closed.entries]))


def read_manifest_of(building: Path) -> Manifest:
    """Return the manifest of a directory that has no final name yet."""
    return msgspec.json.decode((building / MANIFEST_NAME).read_bytes(), type=Manifest)
