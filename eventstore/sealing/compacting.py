"""Compaction: neighbouring sealed directories become one, by the protocol of sealing.

Thousands of small directories make every query slow. Sizes alone decide what is worth merging (`plan`),
so nothing needs to be remembered. The wider directory is built aside, compared event by event with the
archived journal, synced and renamed; only then do the narrower ones go, out of `sealed/` by one rename
each, because readers must never see half a directory. Until they are gone the wider one hides them, so
a crash at any step costs nothing but space. For the holder of the log's lock, or its worker, only.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from core.errors import CorruptLog
from core.events import BY_TAG, Entry, EventType
from eventstore.build_area import WAIT_S, building_in, publish, write_file
from eventstore.codec import decode_records
from eventstore.files import Files, write_all
from eventstore.layout import ARCHIVE_NAME, MANIFEST_NAME, Layout, sealed_name
from eventstore.manifests.catalogue import Catalogue, hidden
from eventstore.manifests.manifest import (
    MANIFEST_FORMAT,
    Manifest,
    SealedPart,
    SealedSegment,
    TypeExtent,
    digest_of,
    encode_manifest,
    read_manifest,
    writer_version,
)
from eventstore.sealed import archive, extents
from eventstore.sealed.tables import compare_tables
from eventstore.tables.parquet import TypedFile, TypedWriter, file_name
from eventstore.tables.schema import SCHEMA_VERSION, arrow_schema, fields_of

MAX_EVENTS = 5_000_000
MIN_DIRECTORIES = 4
_MAX_DIRECTORIES = 256
_EVENTS_PER_S = 50_000
"""A quarter of what was measured: a group that would not fit the budget is made smaller."""

Group = Sequence[SealedPart]


def compact(
    root: Path, files: Files | None = None, *, budget_s: float = float("inf"), max_events: int = MAX_EVENTS
) -> int:
    """Merge what `plan` finds and return how many directories fewer there are.

    No group is begun after `budget_s` seconds, and none that would take longer by itself. Raises
    `CorruptLog` if what is read or written does not hold, `StoreError` if another process keeps building,
    and `OSError`; then that group is as it was.
    """
    files, layout = files or Files(), Layout(Path(root))
    deadline = time.monotonic() + budget_s
    with building_in(layout, files, min(budget_s, WAIT_S)):
        return _compact(layout, files, deadline, int(min(max_events, budget_s * _EVENTS_PER_S)))


def _compact(layout: Layout, files: Files, deadline: float, max_events: int) -> int:
    parts = Catalogue(layout.root).parts()
    _remove(layout, _left_over(layout, parts), files)
    gone = 0
    for group in plan(parts, max_events):
        if time.monotonic() >= deadline:
            break
        _merge(layout, group, files)
        gone += len(group) - 1
    return gone


def _left_over(layout: Layout, parts: Sequence[SealedPart]) -> list[Path]:
    """Return what an interrupted compaction left to be removed: all of it is in a wider directory."""
    narrower = hidden(layout.sealed_directories())
    for path in narrower:
        manifest = read_manifest(path)
        wider = next(
            p for p in parts if p.first_seq <= manifest.first_seq and manifest.last_seq <= p.last_seq
        )
        if not {s.chain for s in manifest.segments} <= {s.chain for s in wider.manifest.segments}:
            raise CorruptLog(f"{path}: {wider.path.name} does not hold the same events: run `tape verify`")
        for name in wider.manifest.files:
            wider.check(name)
    return narrower


def plan(parts: Sequence[SealedPart], max_events: int = MAX_EVENTS) -> list[Group]:
    """Return the groups worth merging: at least 4 neighbours, together at most `max_events` events.

    No one of them holds more than half of a group's events, so that an event is rewritten a few times in
    its life, however often a log is opened and closed. Parts with types that this program cannot read as
    tables stay as they are.
    """
    groups, start = [], 0
    while start < len(parts):
        end = _end_of_group(parts, start, max_events)
        if end - start >= MIN_DIRECTORIES:
            groups.append(parts[start:end])
            start = end
        else:
            start += 1
    return groups


def _end_of_group(parts: Sequence[SealedPart], start: int, max_events: int) -> int:
    total = largest = 0
    found = start
    for end, part in enumerate(parts[start : start + _MAX_DIRECTORIES], start + 1):
        events = part.last_seq - part.first_seq + 1
        if total + events > max_events or not _plain(part):
            break
        if end - 1 > start and not _follows(part, parts[end - 2]):
            break
        total, largest = total + events, max(largest, events)
        if largest * 2 <= total:
            found = end
    return found


def _plain(part: SealedPart) -> bool:
    return set(part.manifest.types) <= set(BY_TAG) and part.manifest.schema_version <= SCHEMA_VERSION


def _follows(part: SealedPart, before: SealedPart) -> bool:
    one, other = before.manifest, part.manifest
    return (one.store, one.last_seq + 1, one.chain) == (other.store, other.first_seq, other.previous_hash)


def _merge(layout: Layout, group: Group, files: Files) -> None:
    first_seq, last_seq = group[0].first_seq, group[-1].last_seq
    building = layout.tmp / f"{sealed_name(first_seq, last_seq)}.{os.getpid()}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        manifest = _build(building, group, files)
        _compare(building, manifest)
        publish(layout, building, layout.sealed_path(first_seq, last_seq), files)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    _remove(layout, [part.path for part in group], files)


def _build(building: Path, group: Group, files: Files) -> Manifest:
    segments = _copy_archives(building, group, files)
    types = _merged_types(group)
    for tag in types:
        _copy_table(building, BY_TAG[tag], group)
    first, last = group[0].manifest, group[-1].manifest
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        store=first.store,
        first_seq=first.first_seq,
        last_seq=last.last_seq,
        previous_hash=first.previous_hash,
        chain=last.chain,
        segments=segments,
        types=types,
        fields={tag: fields_of(BY_TAG[tag]) for tag in types},
        sessions=sorted({date for part in group for date in part.manifest.sessions}),
        files={path.name: digest_of(path) for path in sorted(building.iterdir())},
        schema_version=SCHEMA_VERSION,
        writer=writer_version(),
    )
    write_file(files, building / MANIFEST_NAME, encode_manifest(manifest))
    return manifest


def _copy_archives(building: Path, group: Group, files: Files) -> list[SealedSegment]:
    """Write the archives one after the other, frame by frame as they are; return where each went."""
    segments: list[SealedSegment] = []
    fd, offset = files.create(building / ARCHIVE_NAME), 0
    try:
        for part in group:
            part.check(ARCHIVE_NAME)
            data = (part.path / ARCHIVE_NAME).read_bytes()
            write_all(files, fd, data)
            segments += [archive.moved(segment, offset) for segment in part.manifest.segments]
            offset += len(data)
    finally:
        files.close(fd)
    return segments


def _merged_types(group: Group) -> dict[str, TypeExtent]:
    types: dict[str, TypeExtent] = {}
    for part in group:
        for tag, extent in part.manifest.types.items():
            types[tag] = extents.merge(types[tag], extent) if tag in types else extent
    return dict(sorted(types.items()))


def _copy_table(building: Path, kind: EventType, group: Group) -> None:
    name, schema = file_name(kind), arrow_schema(kind)
    with TypedWriter(building / name, kind) as writer:
        for part in group:
            if kind.tag not in part.manifest.types:
                continue
            part.check(name)
            with TypedFile(part.path / name, kind) as table:
                for row_group in range(table.groups):
                    for batch in table.read(row_group, schema.names):
                        arrays = [_undictionaried(batch.column(column)) for column in schema.names]
                        writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _undictionaried(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _compare(building: Path, manifest: Manifest) -> None:
    # From the disk, and against the journal: the narrower tables may have been wrong themselves.
    found = compare_tables(building, _archived(building, manifest))
    if found != manifest.last_seq - manifest.first_seq + 1:
        raise CorruptLog(
            f"{building / ARCHIVE_NAME}: holds {found} events for seqs "
            f"{manifest.first_seq}..{manifest.last_seq}"
        )


def _archived(building: Path, manifest: Manifest) -> Iterator[list[Entry]]:
    for segment in manifest.segments:
        walk = archive.walk_segment(building, manifest, segment)
        for block in walk:
            yield decode_records(block.payload)
        if (walk.position.next_seq, walk.position.chain.hex()) != (segment.last_seq + 1, segment.chain):
            raise CorruptLog(f"{walk.path}: segment {segment.number} does not end as {MANIFEST_NAME} states")


def _remove(layout: Layout, narrower: Sequence[Path], files: Files) -> None:
    """Take directories that a wider one hides out of `sealed/`, each at once, then remove them."""
    if not narrower:
        return
    files.sync_directory(layout.sealed)
    moved = []
    for path in narrower:
        target = layout.tmp / f"{path.name}.{os.getpid()}.gone"
        # Windows refuses while a reader has a file open: it stays hidden and is tried again next time.
        with suppress(PermissionError, FileNotFoundError):
            files.rename(path, target)
            moved.append(target)
    files.sync_directory(layout.sealed)
    files.sync_directory(layout.tmp)
    for target in moved:
        shutil.rmtree(target, ignore_errors=True)
