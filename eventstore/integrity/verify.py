"""Checking every byte of a log: what is sealed, what is hot, and its runs.

Unlike a reader, it does not stop at the first problem: each finding names file, offset where there is
one, and what is wrong. It writes nothing and takes no lock, so it may run beside a writer. What follows
from a finding (refuse to trade, accept the loss) is decided elsewhere.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from core.errors import CorruptLog, DataMissing, StoreError, UnsupportedFormat
from core.events import Entry
from eventstore.codec import decode_records
from eventstore.journal.inspection import inspect
from eventstore.journal.verdict import Damage, Lost
from eventstore.layout import ARCHIVE_NAME, MANIFEST_NAME, Layout
from eventstore.manifests.catalogue import hidden
from eventstore.manifests.manifest import SealedPart, SealedSegment, digest_of, read_manifest
from eventstore.runs.checks import verify_run
from eventstore.sealed import archive
from eventstore.sealed.outline import outline
from eventstore.sealed.tables import compare_tables

_MAX_RETRIES = 20

REBUILDING = ".rebuilding"
"""Ends the name in `quarantine/` of a directory whose rebuilt form is about to take its place."""

Remedy = Literal["none", "rebuild", "accept_loss", "restore"]
"""What helps: nothing is needed, files can be made again, the journal may go on, only a backup does."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong; `offset` is a byte offset in `path`, where that means something.

    `rebuildable` says that the archive beside it is intact, so that table or manifest can be made again.
    """

    path: str
    message: str
    offset: int | None = None
    rebuildable: bool = False


class Tail(msgspec.Struct, frozen=True):
    """Bytes at the end of the journal that are no valid block: a crash left them, or they are just written.

    Nothing says that they were ever durable, so they are no damage; the next writer sets them aside.
    """

    path: str
    offset: int
    bytes: int
    why: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked and what was found. `chain` is the hash over the whole log (hex)."""

    sealed: int
    segments: int
    files: int
    events: int
    last_seq: int
    chain: str
    runs: int
    deep: bool
    findings: list[Finding]
    remedy: Remedy
    tail: Tail | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class _Tally:
    # What was found so far; each check adds to it and goes on.
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.sealed = self.segments = self.files = self.events = self.runs = 0
        self.loss = self.interrupted = False
        self.tail: Tail | None = None

    def remedy(self) -> Remedy:
        if not self.findings:
            return "none"
        # Taken back first: while a directory is away, the log looks as if it had lost it.
        if self.interrupted or all(finding.rebuildable for finding in self.findings):
            return "rebuild"
        if self.loss:
            return "accept_loss"
        return "rebuild" if any(finding.rebuildable for finding in self.findings) else "restore"

    def unmarked(self, path: Path, why: str) -> None:
        self.findings.append(
            Finding(str(path), f"the high-water mark {why}; the log is whole without it", rebuildable=True)
        )

    def add(self, path: Path, message: str, offset: int | None = None) -> None:
        text = message.removeprefix(f"{path}: ")
        if text.startswith("offset "):
            number, _, rest = text.removeprefix("offset ").partition(": ")
            if number.isdecimal():
                offset, text = int(number) if offset is None else offset, rest
        known = {(finding.path, finding.message, finding.offset) for finding in self.findings}
        if (str(path), text, offset) not in known:
            self.findings.append(Finding(str(path), text, offset))


def verify(root: Path, *, deep: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Check the log at `root`; with `deep`, also compare every sealed event with its archived journal.

    Raises `DataMissing` if there is no log. `progress` is told the name of each directory before it is
    checked.
    """
    layout = Layout(Path(root))
    if not layout.exists():
        raise DataMissing(f"{root}: there is no log here")
    tally = _Tally()
    for path in interrupted(layout):
        tally.add(path, "a rebuild was interrupted while it replaced this directory")
        tally.interrupted = True
    for directory in visible_directories(layout):
        progress(directory.name)
        _check_sealed(directory, tally, deep=deep)
    last_seq, chain = _check_journal(layout, tally)
    _check_runs(layout, tally, progress)
    return Report(
        sealed=tally.sealed,
        segments=tally.segments,
        files=tally.files,
        events=tally.events,
        last_seq=last_seq,
        chain=chain,
        runs=tally.runs,
        deep=deep,
        findings=tally.findings,
        remedy=tally.remedy(),
        tail=tally.tail,
    )


def visible_directories(layout: Layout) -> list[Path]:
    """Return the sealed directories without those that an interrupted compaction left: nobody reads these."""
    listed = layout.sealed_directories()
    unread = hidden(listed)
    return [directory for directory in listed if directory not in unread]


def interrupted(layout: Layout) -> list[Path]:
    """Return the directories that an interrupted rebuild left in `quarantine/`."""
    return sorted(layout.quarantine.glob(f"*{REBUILDING}")) if layout.quarantine.is_dir() else []


def check_sealed(directory: Path, *, deep: bool = False) -> list[Finding]:
    """Return what is wrong in one sealed directory."""
    tally = _Tally()
    _check_sealed(directory, tally, deep=deep)
    return tally.findings


def _check_sealed(directory: Path, tally: _Tally, *, deep: bool) -> None:
    before = len(tally.findings)
    try:
        _check_directory(directory, tally, deep=deep)
    except FileNotFoundError:
        if not directory.is_dir():
            return  # replaced by a compaction since it was listed
        tally.add(directory / MANIFEST_NAME, "the manifest is missing")
    except (CorruptLog, UnsupportedFormat) as error:
        tally.add(directory / MANIFEST_NAME, str(error))
    except OSError as error:
        tally.add(Path(error.filename or directory), f"cannot be read: {error.strerror or error}")
    if len(tally.findings) > before:
        _judge(directory, tally, before)


def _judge(directory: Path, tally: _Tally, before: int) -> None:
    """Mark findings as rebuildable if the archive describes the directory by itself; else say why not."""
    archived = directory / ARCHIVE_NAME
    try:
        outline(directory)
    except (StoreError, OSError) as error:
        if all(finding.path != str(archived) for finding in tally.findings[before:]):
            tally.add(archived, error.strerror or "" if isinstance(error, OSError) else str(error))
        return
    tally.findings[before:] = [
        msgspec.structs.replace(finding, rebuildable=True) for finding in tally.findings[before:]
    ]


def _check_directory(directory: Path, tally: _Tally, *, deep: bool) -> None:
    part = SealedPart(directory, read_manifest(directory))
    before = len(tally.findings)
    tally.sealed += 1
    _check_manifest(part, tally)
    _check_archive(part, tally)
    _check_files(part, tally)
    if deep and len(tally.findings) == before:
        _guarded(tally, directory, lambda: compare_tables(directory, archived_segments(part)))


def _check_files(part: SealedPart, tally: _Tally) -> None:
    listed = set(part.manifest.files) | {MANIFEST_NAME}
    for path in sorted(part.path.iterdir()):
        if path.name not in listed:
            tally.add(path, f"{MANIFEST_NAME} does not list this file; move it away")
    for name, expected in part.manifest.files.items():
        path = part.path / name
        tally.files += 1
        try:
            found = digest_of(path)
        except OSError as error:
            tally.add(path, f"cannot be read: {error.strerror}")
            continue
        if found != expected:
            tally.add(
                path,
                f"changed since it was sealed: {found.size} bytes with sha256 {found.sha256[:16]}…, expected "
                f"{expected.size} with {expected.sha256[:16]}…",
            )


def _check_manifest(part: SealedPart, tally: _Tally) -> None:
    """Check that the manifest's statements agree with each other."""
    manifest, path = part.manifest, part.path / MANIFEST_NAME
    count = sum(types.all.count for types in manifest.types.values())
    if count != manifest.last_seq - manifest.first_seq + 1:
        tally.add(path, f"counts {count} events for seqs {manifest.first_seq}..{manifest.last_seq}")
    seq, chain = manifest.first_seq, manifest.previous_hash
    for segment in manifest.segments:
        if (segment.first_seq, segment.previous_hash) != (seq, chain):
            tally.add(path, f"segment {segment.number} does not follow the one before it")
        seq, chain = segment.last_seq + 1, segment.chain
    if (seq, chain) != (manifest.last_seq + 1, manifest.chain):
        tally.add(path, f"its segments end at seq {seq - 1}, expected {manifest.last_seq}")


def _check_archive(part: SealedPart, tally: _Tally) -> None:
    for segment in part.manifest.segments:
        tally.segments += 1
        _guarded(tally, part.path, lambda segment=segment: walk_archive(part, segment))  # type: ignore[misc]
        tally.events += segment.last_seq - segment.first_seq + 1


def walk_archive(part: SealedPart, segment: SealedSegment) -> None:
    """Walk an archived segment: its blocks, their chain, and where the manifest says that they end.

    Raises `CorruptLog` naming file and offset.
    """
    walk = archive.walk_segment(part.path, part.manifest, segment)
    for _ in walk:
        pass
    end, header = walk.position, walk.header
    name = f"{walk.path}: offset {end.offset}: segment {segment.number}"
    if walk.damage:
        raise CorruptLog(f"{name}: {walk.damage}")
    if (end.next_seq, end.chain.hex()) != (segment.last_seq + 1, segment.chain):
        raise CorruptLog(f"{name} ends with seq {end.next_seq - 1} and another hash than stated")
    stated = (segment.number, segment.first_seq, segment.previous_number, segment.previous_hash)
    if header is None or stated != (
        header.number,
        header.first_seq,
        header.previous_number,
        header.previous_hash.hex(),
    ):
        raise CorruptLog(f"{name} has another header than {MANIFEST_NAME} states")


def archived_segments(part: SealedPart) -> Iterator[list[Entry]]:
    """Yield the entries of each archived segment; whether it ends as it must, `walk_archive` says."""
    for segment in part.manifest.segments:
        walk = archive.walk_segment(part.path, part.manifest, segment)
        yield [entry for block in walk for entry in decode_records(block.payload)]


def _check_journal(layout: Layout, tally: _Tally) -> tuple[int, str]:
    """Check tiling, the chain across sealed and hot, and the high-water mark; return last seq and chain."""
    for _ in range(_MAX_RETRIES):
        try:
            found = inspect(layout.root)
        except FileNotFoundError:
            continue  # sealed and unlinked while it was being read
        except StoreError as error:
            tally.loss = isinstance(error, Damage | Lost)
            path = getattr(error, "path", None)
            # What a listing adds for its readers is no damage: a finding of the directory says it.
            said = str(error.__cause__ if isinstance(error.__cause__, CorruptLog) else error)
            place = path or _path_in(said, layout.root)
            if place.name != MANIFEST_NAME or all(f.path != str(place) for f in tally.findings):
                tally.add(place, said, getattr(error, "offset", None))
            prefix = getattr(error, "prefix", None)
            return (prefix.last_seq, prefix.chain.hex()) if prefix is not None else (0, "")
        if (torn := found.torn) is not None:
            tally.tail = Tail(str(torn.path), torn.valid_length, len(torn.data), torn.why)
        if found.mark is not None:
            tally.unmarked(layout.hwm, found.mark.why)
        hot = [segment for segment in found.hot if segment not in found.covered]
        tally.segments += len(hot)
        tally.events += sum(segment.last_seq - segment.header.first_seq + 1 for segment in hot)
        return found.last_seq, found.chain.hex()
    tally.add(layout.hot, "its files keep vanishing while they are read; try again")
    return 0, ""


def _path_in(message: str, root: Path) -> Path:
    named = message.split(": ", 1)[0]
    return Path(named) if named.startswith(str(root)) else root


def _guarded(tally: _Tally, place: Path, check: Callable[[], object]) -> None:
    try:
        check()
    except StoreError as error:
        tally.add(_path_in(str(error), place), str(error))
    except OSError as error:
        tally.add(Path(error.filename or place), f"cannot be read: {error.strerror or error}")


def _check_runs(layout: Layout, tally: _Tally, progress: Callable[[str], None]) -> None:
    for path in run_directories(layout):
        progress(path.name)
        tally.runs += 1
        for problem in verify_run(path):
            tally.add(_path_in(problem, path), problem)


def run_directories(layout: Layout) -> list[Path]:
    """Return the directories of published runs, whether they can be read or not."""
    if not layout.runs.is_dir():
        return []
    return [p for p in sorted(layout.runs.iterdir()) if p.is_dir() and not p.name.startswith(".")]
