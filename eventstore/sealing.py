"""Sealing: a closed journal segment becomes a directory of typed Parquet files, all of it or nothing.

The order is the protocol, and every step of it has a reason (docs/log-format.md): the closed segment
is walked again; tables, archive and manifest are built aside; everything is read back and compared
with the journal, event by event; each file and both directories are synced around one rename. The
journal is unlinked elsewhere, after the seal itself is in the log. Nothing published is ever changed.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from core.errors import CorruptLog, StoreError
from core.events import Entry, Event, EventType, SessionScheduled, Unknown
from eventstore import archive
from eventstore.build_area import building_in
from eventstore.catalogue import Catalogue
from eventstore.codec import decode_records, learned
from eventstore.extents import Extents
from eventstore.files import Files, write_all
from eventstore.layout import ARCHIVE_NAME, MANIFEST_NAME, Layout, sealed_name, segment_number
from eventstore.manifest import (
    MANIFEST_FORMAT,
    Manifest,
    SealedSegment,
    TypeExtent,
    digest_of,
)
from eventstore.parquet import ROW_GROUP_ROWS, TypedFile, TypedWriter, file_name
from eventstore.schema import SCHEMA_VERSION, UNKNOWN, entries_to_batch, fields_of, kind_of, kinds, to_entries
from eventstore.seal_client import SealFailure, SealResult, SealWorker
from eventstore.segments import SegmentHeader, Walk, read_header

__all__ = ["SealFailure", "SealResult", "SealWorker", "seal"]


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


def publish(layout: Layout, building: Path, target: Path, files: Files) -> None:
    """Make a finished directory durable and visible: sync files, sync it, rename, sync both parents."""
    for path in sorted(building.iterdir()):
        sync_file(files, path)
    files.sync_directory(building)
    files.rename(building, target)
    files.sync_directory(layout.sealed)
    files.sync_directory(layout.tmp)


def sync_file(files: Files, path: Path) -> None:
    """Make a finished file durable."""
    fd = files.open_read(path)
    try:
        files.data_sync(fd)
    finally:
        files.close(fd)


def write_file(files: Files, path: Path, data: bytes) -> None:
    """Write a new file; durable only once it is synced."""
    fd = files.create(path)
    try:
        write_all(files, fd, data)
    finally:
        files.close(fd)


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


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `seal.json`: indented, for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def writer_version() -> str:
    """Return the name and version of the program that writes."""
    try:
        return f"truetape {version('truetape')}"
    except PackageNotFoundError:
        return "truetape"


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


def _by_type(entries: list[Entry]) -> dict[type[Event], list[Entry]]:
    groups: dict[type[Event], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(type(entry.event), []).append(entry)
    return groups


def write_tables(building: Path, batches: Iterable[list[Entry]]) -> dict[str, TypeExtent]:
    """Write one table per event type of what comes in seq order; return what each of them holds."""
    extents: dict[str, Extents] = {}
    with ExitStack() as stack:
        writers: dict[str, TypedWriter] = {}
        for entries in batches:
            for event_type, group in _by_type(entries).items():
                kind = kind_of(event_type)
                if kind.tag not in writers:
                    writers[kind.tag] = stack.enter_context(TypedWriter(building / file_name(kind), kind))
                    extents[kind.tag] = Extents()
                for start in range(0, len(group), ROW_GROUP_ROWS):
                    batch = entries_to_batch(kind, group[start : start + ROW_GROUP_ROWS])
                    extents[kind.tag].add(batch)
                    writers[kind.tag].write(batch)
    return {tag: found for tag in sorted(extents) if (found := extents[tag].result())}


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


def compare_tables(directory: Path, journal: Iterator[list[Entry]]) -> int:
    """Compare all tables of a directory with the journal's entries, event by event; return how many.

    Raises `CorruptLog` naming the file and the first seq that differs, is missing or is too many.
    """
    unknown = _kept_as_unknown(directory)
    open_tables: dict[type[Event], Iterator[list[Entry]]] = {}
    left: dict[type[Event], list[Entry]] = {}
    count = 0
    for entries in journal:
        count += len(entries)
        rest = _without_unknown(directory, entries, unknown) if unknown else entries
        for event_type, group in _by_type(rest).items():
            if event_type not in open_tables:
                open_tables[event_type] = _read_table(directory, event_type)
                left[event_type] = []
            _compare_group(directory, group, left[event_type], open_tables[event_type])
    for event_type, table in open_tables.items():
        surplus = left[event_type] or next(table, [])
        if surplus:
            raise _surplus(directory, kind_of(event_type), surplus[0].seq)
    if unknown:
        raise _surplus(directory, UNKNOWN, min(unknown))
    return count


def _kept_as_unknown(directory: Path) -> dict[int, Entry]:
    if not (directory / file_name(UNKNOWN)).exists():
        return {}
    return {entry.seq: entry for entries in _read_table(directory, Unknown) for entry in entries}


def _without_unknown(directory: Path, entries: list[Entry], unknown: dict[int, Entry]) -> list[Entry]:
    """Compare and take out what was sealed as `Unknown`: the program may know its type by now."""
    rest = []
    for entry in entries:
        kept = unknown.pop(entry.seq, None)
        if kept is None:
            rest.append(entry)
        elif learned(kept) != entry:
            raise CorruptLog(f"{directory / file_name(UNKNOWN)}: seq {entry.seq} differs from the journal's")
    return rest


def _surplus(directory: Path, kind: EventType, seq: int) -> CorruptLog:
    return CorruptLog(f"{directory / file_name(kind)}: holds seq {seq}, which the journal does not")


def _compare_group(
    directory: Path, group: list[Entry], left: list[Entry], table: Iterator[list[Entry]]
) -> None:
    while len(left) < len(group):
        more = next(table, None)
        if more is None:
            break
        left += more
    found = left[: len(group)]
    del left[: len(group)]
    if found == group:
        return
    differing = [a.seq for a, b in zip(group, found, strict=False) if a != b]
    seq = differing[0] if differing else group[len(found)].seq
    name = file_name(kind_of(type(group[0].event)))
    raise CorruptLog(f"{directory / name}: seq {seq} differs from the journal's")


def _read_table(directory: Path, event_type: type[Event]) -> Iterator[list[Entry]]:
    kind = kind_of(event_type)
    with TypedFile(directory / file_name(kind), kind) as table:
        for group in range(table.groups):
            for batch in table.read(group):
                yield to_entries(kind, batch)
