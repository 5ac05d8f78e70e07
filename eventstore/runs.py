"""Runs: what a replay decided, kept beside the log outside its lock, named by what it followed from.

`runs/<id>/` holds `run.json`, one typed Parquet file per event type, and `meta.json` (wall time, host:
covered by no hash). It is built aside, fsynced and renamed, so a run is whole or absent. Events are
numbered from `RUN_BASE + 1`; below that, `at` and `cause` are seqs of the source. No tick is copied.

Two hashes. `run_hash` covers every event with its envelope; a source seq in `at` enters as its
ordinal among the inputs, so that equal data imported elsewhere hash alike. `decisions_hash` covers
type, time and payload of decisions only, without seqs and order ids.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import CorruptLog, DataMissing, StoreError
from core.events import Entry, Event, types_of
from core.ports import RUN_BASE, Selection
from eventstore.files import Files
from eventstore.layout import Layout
from eventstore.parquet import TypedFile, TypedWriter, file_name
from eventstore.schema import kind_of, kinds, to_batch, to_entries

RUN_FORMAT = 1
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_FLUSH_EVENTS = 50_000

Record = tuple[str, int, int, int | None, Event]  # tag, version, seq, cause, event
Decision = tuple[str, tuple[Any, ...]]  # tag, payload without the order id
Ordinals = Callable[[NDArray[np.int64]], NDArray[np.int64]]


class RunHashes:
    """Both hashes of a run, fed events in order; batches may be cut anywhere.

    The run hash is over two streams, so that each is encoded in one call: the records `[tag, version,
    seq, cause, event]`, and the position that each event's `at` names (int64).
    """

    def __init__(self) -> None:
        self._records = blake2b(digest_size=16)
        self._positions = blake2b(digest_size=16)
        self._decisions = blake2b(digest_size=16)

    def update(
        self,
        records: Sequence[Record],
        ats: Sequence[int],
        decisions: Sequence[Decision],
        ordinals: Ordinals,
    ) -> None:
        """Add events; `ordinals` maps source seqs (below `RUN_BASE`) to positions among the inputs."""
        where = np.array(ats, dtype=np.int64)
        source = where < RUN_BASE
        where[source] = ordinals(where[source])
        self._positions.update(where.astype("<i8").tobytes())
        self._records.update(_concatenated(records))
        self._decisions.update(_concatenated(decisions))

    @property
    def run_hash(self) -> str:
        """The hash of all events so far."""
        return blake2b(self._records.digest() + self._positions.digest(), digest_size=16).hexdigest()

    @property
    def decisions_hash(self) -> str:
        """The hash of all decisions so far."""
        return self._decisions.hexdigest()


def _payload_getter(event_type: type[Event]) -> Callable[[Event], Any]:
    return attrgetter(*(name for name in event_type.__struct_fields__ if name != "order"))


_PAYLOADS = {event_type: _payload_getter(event_type) for event_type in types_of("decision")}


def _concatenated(records: Sequence[Any]) -> bytes:
    # One call encodes a whole list; without the array header the bytes are those of its elements, so
    # the hash does not depend on where batches were cut.
    encoded = _ENCODER.encode(records)
    return encoded[1 if len(records) < 16 else 3 if len(records) < 65_536 else 5 :]


class _Table:
    """The rows of one event type that are not written yet, and the file they will go to."""

    __slots__ = ("kind", "payload", "rows", "tag", "version", "writer")

    def __init__(self, event_type: type[Event], directory: Path) -> None:
        self.kind = kind_of(event_type)
        self.tag, self.version = self.kind.tag, self.kind.version
        self.payload = _PAYLOADS.get(event_type)
        self.rows: list[tuple[int, int, int | None, Event]] = []
        self.writer = TypedWriter(directory / file_name(self.kind), self.kind, recv=False)

    def flush(self) -> None:
        """Hand the rows to the file."""
        if self.rows:
            seqs, ats, causes, events = zip(*self.rows, strict=True)
            self.writer.write(to_batch(self.kind, seqs, None, ats, causes, events))
            self.rows = []


class RunWriter:
    """The recorder of a replay: numbers events, hashes them, and writes them column by column."""

    def __init__(self, root: Path, ordinals: Ordinals, files: Files | None = None) -> None:
        self._files = files or Files()
        self._layout = Layout(root)
        self._ordinals = ordinals
        self._hashes = RunHashes()
        self._next = RUN_BASE + 1
        self._records: list[Record] = []  # these three: since the last commit, not hashed yet
        self._ats: list[int] = []
        self._decisions: list[Decision] = []
        self._tables: dict[type[Event], _Table] = {}
        self._flushed = 0
        self._path = _new_directory(self._layout)

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Number an event and keep it; facts carry the input in whose slice they were made as `at`."""
        seq = self._next
        self._next = seq + 1
        if at is None:
            at = seq
        event_type = type(event)
        table = self._tables.get(event_type) or self._new_table(event_type)
        table.rows.append((seq, at, cause, event))
        self._records.append((table.tag, table.version, seq, cause, event))
        self._ats.append(at)
        if table.payload is not None:
            self._decisions.append((table.tag, table.payload(event)))
        return seq

    def _new_table(self, event_type: type[Event]) -> _Table:
        table = self._tables[event_type] = _Table(event_type, self._path)
        return table

    def commit(self, *, sync: bool) -> None:  # noqa: ARG002  (a run is durable when it is published)
        """Hash what came since the last commit; write it out in large pieces."""
        if not self._records:
            return
        self._hashes.update(self._records, self._ats, self._decisions, self._ordinals)
        self._records, self._ats, self._decisions = [], [], []
        if self.events - self._flushed >= _FLUSH_EVENTS:
            self._flush()

    @property
    def events(self) -> int:
        """The number of events so far."""
        return self._next - RUN_BASE - 1

    def counts(self) -> dict[str, int]:
        """Return the number of events per type tag."""
        tables = sorted(self._tables.values(), key=attrgetter("tag"))
        return {table.tag: table.writer.rows + len(table.rows) for table in tables}

    def publish(self, run: str, summary: dict[str, Any], meta: dict[str, Any]) -> "RunReader":
        """Make the run visible under its id and return it.

        A run of that id that is there already must be the same, byte for byte: then it stays. If it is
        not, raises `NondeterministicRun`, and the new one is kept as `<id>.differs`.
        """
        self.commit(sync=True)
        self._flush()
        for table in self._tables.values():
            table.writer.close()
        hashes = {"run_hash": self._hashes.run_hash, "decisions_hash": self._hashes.decisions_hash}
        document = {"format": RUN_FORMAT, "run": run, **summary, "run_events": self.events, **hashes}
        document["types"] = self.counts()
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
                shutil.rmtree(self._path)
                return known
            target = self._layout.runs / f"{run}.differs"
            shutil.rmtree(target, ignore_errors=True)
        self._files.rename(self._path, target)
        self._files.sync_directory(self._layout.runs)
        if target.name != run:
            raise NondeterministicRun(run, target.name)
        return RunReader(target)

    def abandon(self) -> None:
        """Remove what was built; nothing was visible."""
        for table in self._tables.values():
            table.writer.abandon()
        shutil.rmtree(self._path, ignore_errors=True)

    def _flush(self) -> None:
        for table in self._tables.values():
            table.flush()
        self._flushed = self.events


class NondeterministicRun(StoreError):
    """The same inputs, code and parameters gave other decisions than before."""

    def __init__(self, run: str, other: str) -> None:
        super().__init__(
            f"run {run} came out different from before, with the same inputs, code and parameters: the "
            f"strategy depends on something else (a clock, a file, a random number, memory of an earlier "
            f"run). The new result is kept as {other}; next: tape diff {run} {other}"
        )
        self.run = run
        self.other = other


class RunReader:
    """A published run. Reading checks what it reads and writes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.summary: dict[str, Any] = msgspec.json.decode((path / "run.json").read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
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
        """Yield the run's entries in order, filtered by type and seq."""
        wanted = (selection or Selection()).types
        found: list[Entry] = []
        for kind in kinds():
            path = self.path / file_name(kind)
            if (wanted is None or kind.type in wanted) and path.exists():
                with TypedFile(path, kind) as file:
                    for group in range(file.groups):
                        for batch in file.read(group):
                            found += to_entries(kind, batch)
        found.sort(key=attrgetter("seq"))
        first, last = (selection.first_seq, selection.last_seq) if selection else (0, None)
        yield [e for e in found if e.seq >= first and (last is None or e.seq <= last)]


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
