"""Rebuilding sealed tables and manifests from the compressed journal beside them, by the protocol of sealing.

Both are derived: as long as the chain in a directory's archive holds and joins its neighbours, everything
else in it can be made again. The whole directory is built aside, compared event by event with the archive and
synced; only then does the damaged one go to `quarantine/` and the new one take its place. For that
moment it bears a name by which an interrupted rebuild is known and taken back. Nothing is deleted.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.errors import CorruptLog, DataMissing, StoreError
from core.events import Entry
from eventstore.build_area import building_in, publish, write_file
from eventstore.files import Files
from eventstore.files import publish as publish_file
from eventstore.integrity import verify
from eventstore.journal.recovery import keep_mark, settle
from eventstore.journal.watermark import Mark, encode_mark
from eventstore.layout import ARCHIVE_NAME, MANIFEST_NAME, Layout
from eventstore.lock import Lock
from eventstore.manifests.manifest import (
    MANIFEST_FORMAT,
    Manifest,
    SealedPart,
    digest_of,
    encode_manifest,
    writer_version,
)
from eventstore.sealed.outline import outline
from eventstore.sealed.tables import compare_tables, write_tables
from eventstore.sealing.sealing import session_dates
from eventstore.tables.schema import SCHEMA_VERSION, fields_of, kinds


def rebuild(root: Path, files: Files | None = None, *, deep: bool = False) -> list[Path]:
    """Make damaged sealed directories again from their archives; return what was replaced.

    So is a high-water mark that says nothing, where the log is whole up to its end. With `deep`, tables that
    have their digest are compared with the archive too. Empty if nothing is damaged. Raises `LogLocked`
    beside a writer, `CorruptLog` if nothing can be rebuilt because archives are damaged themselves, and
    `StoreError` if the system refuses; a directory is then either as it was or whole.
    """
    files, layout = files or Files(), Layout(Path(root))
    if not layout.exists():
        raise DataMissing(f"{root}: there is no log here")
    lock = Lock.acquire(layout, files)
    try:
        with building_in(layout, files):
            return _rebuild(layout, files, deep=deep)
    except OSError as error:
        raise StoreError(
            f"{error.filename or root}: cannot be rebuilt: {error.strerror or error}; nothing is lost, "
            "run `tape verify`"
        ) from error
    finally:
        lock.release()


def _rebuild(layout: Layout, files: Files, *, deep: bool) -> list[Path]:
    for path in verify.interrupted(layout):
        _take_back(layout, path, files)
    rebuilt, refused = [], []
    for directory in verify.visible_directories(layout):
        findings = verify.check_sealed(directory, deep=deep)
        if findings and all(finding.rebuildable for finding in findings):
            _replace(layout, _described(directory), files)
            rebuilt.append(directory)
        refused += [finding for finding in findings if not finding.rebuildable]
    if refused and not rebuilt:
        raise CorruptLog(_refusal(refused))
    return rebuilt + _mark_again(layout, files)


def _mark_again(layout: Layout, files: Files) -> list[Path]:
    """Write a damaged high-water mark again, if the log is whole up to its end."""
    try:
        found = settle(layout.root, files)
    except StoreError:
        return []  # what is left is told by the check that follows
    if found.mark is None or found.store is None:
        return []
    keep_mark(layout, files, found)
    mark = encode_mark(Mark(found.store, found.previous_number, found.last_seq))
    publish_file(files, mark, layout.hwm, layout.tmp / layout.hwm.name)
    return [layout.hwm]


def _described(directory: Path) -> SealedPart:
    """Return a directory as its archive describes it; what its own manifest says is not asked."""
    found = outline(directory)
    return SealedPart(
        directory,
        Manifest(
            format=MANIFEST_FORMAT,
            **msgspec.structs.asdict(found),
            types={},
            sessions=[],
            files={ARCHIVE_NAME: digest_of(directory / ARCHIVE_NAME)},
            schema_version=SCHEMA_VERSION,
            writer=writer_version(),
        ),
    )


def _refusal(refused: list[verify.Finding]) -> str:
    first = next((finding for finding in refused if Path(finding.path).name == ARCHIVE_NAME), refused[0])
    path = Path(first.path)
    if path.name != ARCHIVE_NAME:
        return (
            f"{path}: {first.message}: it cannot be rebuilt and nothing was changed; restore it from a backup"
        )
    directory = path.parent
    damaged = {finding.path for finding in verify.check_sealed(directory)}
    left = [table.name for table in sorted(directory.glob("*.parquet")) if str(table) not in damaged]
    whole = str(directory / MANIFEST_NAME) not in damaged
    remains = (
        f"what remains of it are {len(left)} whole tables" if left and whole else "no table of it is whole"
    )
    return (
        f"{path}: {first.message}: the rest is rebuilt from this file, so nothing was changed; "
        f"{remains}; restore {directory.name} from a backup"
    )


def _replace(layout: Layout, part: SealedPart, files: Files) -> None:
    building = layout.tmp / f"{part.path.name}.{os.getpid()}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        _compare(SealedPart(building, _build(building, part, files)), part)
        aside = layout.quarantine / f"{part.path.name}{verify.REBUILDING}"
        files.rename(part.path, aside)
        files.sync_directory(layout.quarantine)
        publish(layout, building, part.path, files)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    _keep(aside, files)


def _take_back(layout: Layout, aside: Path, files: Files) -> None:
    """Undo a rebuild that was interrupted between its two renames; finish one that was published."""
    place = layout.sealed / aside.name.removesuffix(verify.REBUILDING)
    if place.exists():
        _keep(aside, files)
        return
    files.rename(aside, place)
    files.sync_directory(layout.sealed)
    files.sync_directory(layout.quarantine)


def _keep(aside: Path, files: Files) -> None:
    stem, n = aside.name.removesuffix(verify.REBUILDING), 1
    while (target := aside.with_name(f"{stem}.damaged.{n}")).exists():
        n += 1
    files.rename(aside, target)
    files.sync_directory(aside.parent)


def _build(building: Path, part: SealedPart, files: Files) -> Manifest:
    write_file(files, building / ARCHIVE_NAME, (part.path / ARCHIVE_NAME).read_bytes())
    sessions: set[str] = set()

    def segments() -> Iterator[list[Entry]]:
        for entries in verify.archived_segments(part):
            sessions.update(session_dates(entries))
            yield entries

    types = write_tables(building, segments())
    manifest = msgspec.structs.replace(
        part.manifest,
        types=types,
        fields={tag: fields_of(kind) for kind in kinds() if (tag := kind.tag) in types},
        sessions=sorted(sessions),
        files={path.name: digest_of(path) for path in sorted(building.iterdir())},
        schema_version=SCHEMA_VERSION,
        writer=writer_version(),
    )
    write_file(files, building / MANIFEST_NAME, encode_manifest(manifest))
    return manifest


def _compare(built: SealedPart, damaged: SealedPart) -> None:
    """Read everything back from the disk: the archive with its chain, and each event of each table."""
    archive = built.path / ARCHIVE_NAME
    if digest_of(archive) != damaged.manifest.files.get(ARCHIVE_NAME):
        raise CorruptLog(f"{archive}: reads back other bytes than {damaged.path / ARCHIVE_NAME} has")
    for segment in built.manifest.segments:
        verify.walk_archive(built, segment)
    found = compare_tables(built.path, verify.archived_segments(built))
    if found != built.last_seq - built.first_seq + 1:
        raise CorruptLog(f"{archive}: holds {found} events for seqs {built.first_seq}..{built.last_seq}")
