"""Runs: what a replay decided, kept beside the log outside its lock, named by what it followed from.

`runs/<id>/` holds `run.json`, one typed Parquet file per event type, and `meta.json` (wall time, host:
covered by no hash). It is built aside, fsynced and renamed, so a run is whole or absent. Events are
numbered from `RUN_BASE + 1`; below that, `at` and `cause` are seqs of the source. No tick is copied.

Two hashes. `run_hash` covers every event with its envelope; a source seq in `at` enters as its
ordinal among the inputs, so that equal data imported elsewhere hash alike. `decisions_hash` covers
type, time and payload of decisions only, without seqs and order ids. `run.json` also states the digest
of each Parquet file: what is read is compared with it first.
"""

import os
import platform
import shutil
from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import CorruptLog, DataMissing, ExitCode, StoreError, TapeError
from core.events import BY_TAG, BY_TYPE, Entry, Event, EventType
from core.ports import RUN_BASE, Selection
from eventstore import columns
from eventstore.files import Files
from eventstore.fingerprint import TableFingerprint
from eventstore.layout import Layout
from eventstore.manifest import SealedFile, check_digest, digest_of
from eventstore.parquet import TypedFile, TypedWriter, file_name
from eventstore.schema import fields_of, kind_of, kinds, to_batch, to_entries

RUN_FORMAT = 1
_FLUSH_EVENTS = 50_000

_DOCUMENTS = frozenset({"run.json", "meta.json"})
_REPLAY_AGAIN = "remove the run and replay again"
NOT_PROVEN = frozenset({"order"})
"""Fields of decisions that `decisions_hash` leaves out: ids hold the session's number."""

_ORDER_MARKS = {
    # What stands for a type in the order of decisions; never of zeros alone, which numpy would strip.
    event_type: blake2b(kind.tag.encode(), digest_size=7).digest() + b"!"
    if kind.event_class == "decision"
    else b""
    for event_type, kind in BY_TYPE.items()
}
Ordinals = Callable[[NDArray[np.int64]], NDArray[np.int64]]


class _Table:
    """One event type of a run being made: the file its rows go to, and the hashes over them."""

    __slots__ = ("decided", "entire", "kind", "writer")

    def __init__(self, event_type: type[Event], directory: Path) -> None:
        kind = self.kind = kind_of(event_type)
        self.writer = TypedWriter(directory / file_name(kind), kind, recv=False)
        self.entire = TableFingerprint(kind.tag, kind.version, ["seq", "at", "cause", *fields_of(kind)])
        self.decided = _decided(kind)

    def write(self, batch: pa.RecordBatch, positions: NDArray[np.int64]) -> None:
        """Write rows and hash them; `positions` are those of the inputs that `at` names."""
        self.entire.update(batch, {"at": positions})
        if self.decided is not None:
            self.decided.update(batch)
        self.writer.write(batch)


def _decided(kind: EventType, without: Collection[str] = ()) -> TableFingerprint | None:
    if kind.event_class != "decision":
        return None
    payload = [name for name in fields_of(kind) if name not in NOT_PROVEN and name not in without]
    return TableFingerprint(kind.tag, kind.version, payload)


class RunWriter:
    """The recorder of a replay: numbers events, hashes them, and writes them column by column."""

    def __init__(self, root: Path, ordinals: Ordinals, files: Files | None = None) -> None:
        self._files = files or Files()
        self._layout = Layout(root)
        self._ordinals = ordinals
        self._path = _new_directory(self._layout)
        self._tables: dict[type[Event], _Table] = {}
        self._next = RUN_BASE + 1
        # Since the last flush, in seq order: written as columns, so kept as columns.
        self._events: list[Event] = []
        self._ats: list[int] = []
        self._causes: list[int] = []
        self._positions: list[NDArray[np.int64]] = []  # one array a commit
        self._looked_up = 0
        self._order = blake2b(digest_size=16)  # of the decisions' types, in order

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Number an event and keep it; facts carry the input in whose slice they were made as `at`."""
        seq = self._next
        self._next = seq + 1
        self._events.append(event)
        self._ats.append(seq if at is None else at)
        self._causes.append(cause or 0)
        return seq

    def commit(self, *, sync: bool) -> None:  # noqa: ARG002  (a run is durable when it is published)
        """Look up the inputs that events name; hash and write in large pieces."""
        if self._looked_up == len(self._ats):
            return
        where = np.array(self._ats[self._looked_up :], dtype=np.int64)
        self._looked_up = len(self._ats)
        source = where < RUN_BASE
        where[source] = self._ordinals(where[source])
        self._positions.append(where)
        if len(self._events) >= _FLUSH_EVENTS:
            self._flush()

    @property
    def events(self) -> int:
        """The number of events so far."""
        return self._next - RUN_BASE - 1

    def counts(self) -> dict[str, int]:
        """Return the number of events per type tag."""
        self._flush()
        return {table.kind.tag: table.writer.rows for table in self._by_tag()}

    def publish(self, run: str, summary: dict[str, Any], meta: dict[str, Any]) -> "RunReader":
        """Make the run visible under its id and return it.

        A run of that id that is there already must be the same, byte for byte: then it stays. If it is
        not, raises `NondeterministicRun`, and the new one is kept as `<id>.differs`.
        """
        self.commit(sync=True)
        self._flush()
        for table in self._tables.values():
            table.writer.close()
        hashes = {"run_hash": self._run_hash(), "decisions_hash": self._decisions_hash()}
        document = {"format": RUN_FORMAT, "run": run, **summary, "run_events": self.events, **hashes}
        document["types"] = self.counts()
        document["fields"] = {t.kind.tag: fields_of(t.kind) for t in self._by_tag()}
        document["files"] = {t.writer.path.name: digest_of(t.writer.path) for t in self._by_tag()}
        _write_json(self._path / "run.json", document)
        _write_json(
            self._path / "meta.json", {**meta, "host": platform.node(), "python": platform.python_version()}
        )
        _sync_tree(self._files, self._path)
        return self._install(run, hashes["run_hash"])

    def _install(self, run: str, run_hash: str) -> "RunReader":
        target = self._layout.runs / run
        if target.exists():
            known = RunReader(target)
            if known.summary.get("run_hash") == run_hash:
                if not known.problems():
                    shutil.rmtree(self._path)
                    return known
                shutil.rmtree(target)  # damaged since: this one is what it was
                return self._rename(target)
            target = self._layout.runs / f"{run}.differs"
            shutil.rmtree(target, ignore_errors=True)
        found = self._rename(target)
        if target.name != run:
            raise NondeterministicRun(run, target.name)
        return found

    def _rename(self, target: Path) -> "RunReader":
        self._files.rename(self._path, target)
        self._files.sync_directory(self._layout.runs)
        return RunReader(target)

    def abandon(self) -> None:
        """Remove what was built; nothing was visible."""
        for table in self._tables.values():
            table.writer.abandon()
        shutil.rmtree(self._path, ignore_errors=True)

    def _flush(self) -> None:
        if not self._positions:
            return
        first_seq = self._next - len(self._events)
        positions = np.concatenate(self._positions)
        ats, causes = np.array(self._ats, dtype=np.int64), np.array(self._causes, dtype=np.int64)
        kinds_seen = list(map(type, self._events))
        everything = np.empty(len(kinds_seen), dtype=object)
        everything[:] = self._events
        codes = {event_type: code for code, event_type in enumerate(dict.fromkeys(kinds_seen))}
        code_of = np.fromiter(map(codes.__getitem__, kinds_seen), np.int32, len(kinds_seen))
        marks = np.array([_ORDER_MARKS[event_type] for event_type in codes], dtype="S8")
        self._order.update(marks[code_of[(marks != b"")[code_of]]].tobytes())
        for event_type, code in codes.items():
            rows = np.flatnonzero(code_of == code)
            table = self._table(event_type)
            cause = columns.from_numpy(causes[rows], causes[rows] > 0)
            events = everything[rows].tolist()
            table.write(
                to_batch(table.kind, first_seq + rows, None, ats[rows], cause, events), positions[rows]
            )
        self._events, self._ats, self._causes, self._positions, self._looked_up = [], [], [], [], 0

    def _table(self, event_type: type[Event]) -> _Table:
        table = self._tables.get(event_type)
        if table is None:
            table = self._tables[event_type] = _Table(event_type, self._path)
        return table

    def _by_tag(self) -> list[_Table]:
        return sorted(self._tables.values(), key=lambda table: table.kind.tag)

    def _run_hash(self) -> str:
        digests = [table.entire.digest() for table in self._by_tag()]
        return _joined_hash(*digests)

    def _decisions_hash(self) -> str:
        digests = [table.decided.digest() for table in self._by_tag() if table.decided is not None]
        return _joined_hash(self._order.digest(), *digests)


def _joined_hash(*digests: bytes) -> str:
    return blake2b(b"".join(digests), digest_size=16).hexdigest()


class NondeterministicRun(TapeError):
    """The same inputs, code and parameters gave other decisions than before."""

    exit_code = ExitCode.FOUND

    def __init__(self, run: str, other: str) -> None:
        super().__init__(
            f"run {run} came out different from before, with the same inputs, code and parameters: the "
            f"strategy depends on something else (a clock, a file, a random number, memory of an earlier "
            f"run), or truetape's own code was edited. The new result is kept as {other}; next: tape diff {run} {other}"
        )
        self.run = run
        self.other = other


class RunReader:
    """A published run. Reading checks what it reads and writes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checked: set[str] = set()
        try:
            self.summary: dict[str, Any] = msgspec.json.decode((path / "run.json").read_bytes())
            listed = self.summary.get("files", {})
            self.files = msgspec.convert(listed, dict[str, SealedFile])
        except (OSError, msgspec.MsgspecError, AttributeError) as error:
            raise CorruptLog(
                f"{path / 'run.json'}: not a run ({error}); remove the directory and replay again"
            ) from error

    @property
    def id(self) -> str:
        """The run's id, which is its directory's name."""
        return self.path.name

    def last_seq(self) -> int:
        """Return the seq of the last event."""
        return RUN_BASE + int(self.summary["run_events"])

    def entries(self, selection: Selection | None = None) -> Iterator[list[Entry]]:
        """Yield the run's entries in order, filtered by type and seq.

        Raises `CorruptLog` naming the file if one that it reads is not as it was written.
        """
        wanted = (selection or Selection()).types
        found: list[Entry] = []
        for kind in kinds():
            path = self.path / file_name(kind)
            if (wanted is None or kind.type in wanted) and self._has(path.name):
                self.check(path.name)
                with TypedFile(path, kind) as file:
                    for group in range(file.groups):
                        for batch in file.read(group):
                            found += to_entries(kind, batch)
        found.sort(key=attrgetter("seq"))
        first, last = (selection.first_seq, selection.last_seq) if selection else (0, None)
        yield [e for e in found if e.seq >= first and (last is None or e.seq <= last)]

    def check(self, name: str) -> None:
        """Compare a file with its digest, once; raises `CorruptLog`."""
        if name in self._checked:
            return
        path = self.path / name
        try:
            check_digest(path, self.files.get(name), "run.json", _REPLAY_AGAIN)
        except FileNotFoundError as error:
            raise CorruptLog(f"{path}: the file is missing; {_REPLAY_AGAIN}") from error
        self._checked.add(name)

    def problems(self) -> list[str]:
        """Return what is wrong with its files, one message each; reads every byte of them again."""
        self._checked.clear()
        found = [
            f"{p}: run.json does not list this file" for p in sorted(self.path.iterdir()) if self._alien(p)
        ]
        for name in self.files:
            try:
                self.check(name)
            except CorruptLog as error:
                found.append(str(error))
        return found

    def _has(self, name: str) -> bool:
        # A file on either side alone is for `check` to refuse.
        return name in self.files or (self.path / name).exists()

    def _alien(self, path: Path) -> bool:
        return path.name not in self.files and path.name not in _DOCUMENTS


def verify_run(path: Path) -> list[str]:
    """Return what is wrong with a published run, each message naming its file; empty if nothing is.

    Checks the digest of every file, that seqs have no gap, that counts agree, and `decisions_hash`
    against the columns. `run_hash` needs the source's order of inputs and is left to a replay.
    """
    try:
        run = RunReader(path)
        return run.problems() or _inconsistencies(run)
    except CorruptLog as error:
        return [str(error)]


def _inconsistencies(run: RunReader) -> list[str]:
    # The files are those that were written: do they agree with each other and with run.json?
    place, told = run.path / "run.json", run.summary
    foreign = [tag for tag in told.get("types", {}) if tag not in BY_TAG]
    if foreign:
        return [
            f"{place}: a newer program wrote it: {', '.join(foreign)} cannot be checked: upgrade truetape"
        ]
    tables = {kind.tag: _columns_of_run(run, kind) for kind in kinds() if file_name(kind) in run.files}
    found = []
    counts = {tag: len(seqs) for tag, (seqs, _) in tables.items()}
    if counts != told.get("types") or sum(counts.values()) != told.get("run_events"):
        found.append(
            f"{place}: counts {told.get('run_events')} events, {told.get('types')}; its files hold {counts}"
        )
    seqs = np.sort(np.concatenate([np.empty(0, np.int64), *(seqs for seqs, _ in tables.values())]))
    if not np.array_equal(seqs, np.arange(RUN_BASE + 1, RUN_BASE + 1 + len(seqs))):
        found.append(f"{run.path}: its events are not numbered without gaps from {RUN_BASE + 1}")
    decisions = _decisions_hash(tables)
    if decisions != told.get("decisions_hash"):
        found.append(
            f"{place}: states decisions_hash {told.get('decisions_hash')}, its files give {decisions}"
        )
    return found


_Columns = tuple[NDArray[np.int64], bytes | None]


def _columns_of_run(run: RunReader, kind: EventType) -> _Columns:
    """Return the seqs of a type's events and, for decisions, the digest of their payload."""
    seqs = [np.empty(0, np.int64)]
    with TypedFile(run.path / file_name(kind), kind) as file:
        decided = _decided(kind, file.missing)  # the hash is over the fields that there were
        for group in range(file.groups):
            for batch in file.read(group):
                seqs.append(columns.vector(batch.column("seq")))
                if decided is not None:
                    decided.update(batch)
    return np.concatenate(seqs), None if decided is None else decided.digest()


def _decisions_hash(tables: dict[str, _Columns]) -> str:
    decided = {tag: (seqs, digest) for tag, (seqs, digest) in tables.items() if digest is not None}
    tags = list(decided)
    seqs = np.concatenate([np.empty(0, np.int64), *(decided[tag][0] for tag in tags)])
    codes = np.repeat(np.arange(len(tags)), [len(decided[tag][0]) for tag in tags])
    marks = np.array([_ORDER_MARKS[BY_TAG[tag].type] for tag in tags], dtype="S8")
    ordered = marks[codes[np.argsort(seqs, kind="stable")]].tobytes() if tags else b""
    order = blake2b(ordered, digest_size=16).digest()
    return _joined_hash(order, *(digest for tag in sorted(decided) if (digest := decided[tag][1])))


def list_runs(root: Path) -> list[RunReader]:
    """Return the published runs, oldest first (by `meta.json`, then id)."""
    directory = Layout(root).runs
    if not directory.is_dir():
        return []
    found = [RunReader(p) for p in sorted(directory.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    return sorted(found, key=lambda run: (_published(run.path), run.id))


def find_run(root: Path, name: str) -> RunReader:
    """Return the run with this id, unique id prefix, or `latest`; raises `DataMissing`."""
    runs = list_runs(root)
    if not runs:
        raise DataMissing(f"{root}: there are no runs yet; next: tape replay DATE")
    if name == "latest":
        return runs[-1]
    matches = [run for run in runs if run.id == name] or [run for run in runs if run.id.startswith(name)]
    if len(matches) != 1:
        known = ", ".join(run.id for run in (matches or runs)[-5:])
        problem = "is not unique" if matches else "is not there"
        raise DataMissing(f"run {name!r} {problem} in {root}; the latest are: {known}")
    return matches[0]


def _published(path: Path) -> int:
    try:
        meta = msgspec.json.decode((path / "meta.json").read_bytes(), type=dict[str, Any])
        return int(meta.get("published_ns", 0))
    except (OSError, msgspec.MsgspecError, TypeError, ValueError):
        return 0


def _new_directory(layout: Layout) -> Path:
    layout.runs.mkdir(parents=True, exist_ok=True)
    for number in count():
        path = layout.runs / f".tmp-{os.getpid()}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"{path}: cannot build a run here: {error.strerror}") from error
        return path
    raise AssertionError("unreachable")


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def _sync_tree(files: Files, path: Path) -> None:
    for file in sorted(path.iterdir()):
        handle = files.open_read(file)
        files.data_sync(handle)
        files.close(handle)
    files.sync_directory(path)
