"""Making a run: events are numbered, hashed and written column by column, aside; then renamed into place.

The run is fsynced before the rename, so it is whole or absent. Memory holds at most a flush of events.
A light run is numbered and hashed alike and leaves no file: it tells what a run would have come to.
"""

import platform
import struct
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import ExitCode, TapeError
from core.events import BY_TYPE, Event
from core.ports import RUN_BASE, Folds, Record, RecordFacts, SessionRecorder, Tell, ignore
from eventstore.files import Files
from eventstore.layout import Layout
from eventstore.manifests.manifest import digest_of
from eventstore.runs.building import Building, remove
from eventstore.runs.fingerprint import Hashing
from eventstore.runs.proof import ORDER_MARKS, entire, joined_hash, payload_of
from eventstore.runs.reader import DIFFERS, RunReader, document_digest
from eventstore.tables import columns
from eventstore.tables.parquet import TypedWriter, file_name
from eventstore.tables.schema import fields_of, kind_of, run_columns, run_schema, values_of

RUN_FORMAT = 1
_FLUSH_EVENTS = 25_000

Ordinals = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Maps source seqs to positions among the inputs of a replay."""


class _Rows(Protocol):
    """Where the rows of one event type go."""

    rows: int

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows."""


class _Counted:
    """Rows of a light run: counted, not kept."""

    def __init__(self) -> None:
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows


class _Table:
    """One event type of a run being made: where its rows go, and the hash over them."""

    __slots__ = ("fingerprint", "kind", "payload", "schema", "writer")

    def __init__(self, event_type: type[Event], writer: _Rows) -> None:
        kind = self.kind = kind_of(event_type)
        self.schema = run_schema(kind)
        self.writer = writer
        self.fingerprint = entire(kind)
        self.payload = payload_of(kind)

    def write(self, rows: dict[str, pa.Array], positions: NDArray[np.int64], hashing: Hashing) -> None:
        """Write rows and hash them; `positions` are those of the inputs that `at` names."""
        self.fingerprint.update({**rows, "at": positions}, hashing)
        self.writer.write(pa.RecordBatch.from_arrays(list(rows.values()), schema=self.schema))


class RunRecorder(SessionRecorder):
    """The recorder of a replay: numbers events and hashes them; what becomes of their rows is its child's."""

    def __init__(self, ordinals: Ordinals) -> None:
        self._ordinals = ordinals
        self._tables: dict[type[Event], _Table] = {}
        self._numbers = count(RUN_BASE + 1)
        self._committed = 0
        # Since the last flush, in seq order. Of events, their values end to end by type: it costs a third of
        # what it would later, when they have left the processor's cache, and most events end at once.
        self._values: dict[type[Event], list[Any]] = {kind: [] for kind in BY_TYPE}
        self._envelopes: list[int] = []  # the type's place in `_values`, at, cause; end to end as well
        # Of committed events, one a commit: a row an event as above, and the positions of the inputs in `at`.
        self._taken: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._pending = 0  # events in them
        self._order = blake2b(digest_size=16)  # of the decisions' types, in order
        self._append, _ = self.recording(dict.fromkeys(BY_TYPE, ()))

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Number an event and keep it; facts carry the input in whose slice they were made as `at`."""
        return self._append(event, self._last_seq + 1 if at is None else at, cause)

    def recording(
        self, folds: Folds, heard: Collection[type[Event]] = (), tell: Tell = ignore
    ) -> tuple[Record, RecordFacts]:
        """Return what numbers, keeps and folds an output, or some facts, see `SessionRecorder`."""
        numbers, note = self._numbers, self._envelopes.extend
        routes = {
            kind: (code, values.extend, folds[kind])
            for code, (kind, values) in enumerate(self._values.items())
        }

        # Each is one function, as it runs for every event.
        def record(event: Event, at: int, cause: int | None) -> int:
            seq = next(numbers)
            code, take, folded = routes[type(event)]
            take(values_of(event))
            note((code, at, cause or 0))
            for fold in folded:
                fold(event, seq)
            return seq

        def record_facts(facts: Iterable[Event], at: int) -> None:
            for fact in facts:
                kind, seq = type(fact), next(numbers)
                code, take, folded = routes[kind]
                take(values_of(fact))
                note((code, at, 0))
                for fold in folded:
                    fold(fact, seq)
                if kind in heard:
                    tell(seq, fact)

        return record, record_facts

    def commit(self, *, sync: bool) -> None:  # noqa: ARG002  (a run is durable when it is published)
        """Look up the inputs that events name; hash and write in large pieces."""
        if not self._envelopes:
            return
        # A third faster than numpy's own ways from a list.
        packed = struct.pack(f"{len(self._envelopes)}q", *self._envelopes)
        rows = np.frombuffer(packed, np.int64).reshape(-1, 3)
        self._envelopes.clear()
        self._taken.append((rows, self._positions(rows[:, 1])))
        self._pending += len(rows)
        self._committed += len(rows)
        if self._pending >= _FLUSH_EVENTS:
            self._flush()

    def _positions(self, ats: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of the inputs that are named; of the run's own, their seqs."""
        source = ats < RUN_BASE
        if source.all():  # as a rule
            return self._ordinals(ats)
        positions = ats.copy()
        positions[source] = self._ordinals(ats[source])
        return positions

    @property
    def events(self) -> int:
        """The number of events so far."""
        return self._last_seq - RUN_BASE

    @property
    def _last_seq(self) -> int:
        return RUN_BASE + self._committed + len(self._envelopes) // 3

    def counts(self) -> dict[str, int]:
        """Return the number of events per type tag."""
        self.commit(sync=False)
        self._flush()
        return {table.kind.tag: table.writer.rows for table in self._by_tag()}

    def hashes(self) -> dict[str, str]:
        """Return `run_hash` and `decisions_hash` of all events so far."""
        self.commit(sync=True)
        self._flush()
        return {"run_hash": self._run_hash(), "decisions_hash": self._decisions_hash()}

    def _rows(self, event_type: type[Event]) -> _Rows:
        raise NotImplementedError

    def _flush(self) -> None:
        if not self._taken:
            return
        codes, ats, causes = np.concatenate([rows for rows, _ in self._taken]).T
        positions = np.concatenate([found for _, found in self._taken])
        first_seq = RUN_BASE + 1 + self._committed - len(ats)
        marks = np.array([ORDER_MARKS[event_type] for event_type in self._values], dtype="S8")
        self._order.update(marks[codes[(marks != b"")[codes]]].tobytes())
        encoder, hashing = columns.Encoder(), Hashing()
        inputs = positions[:0]
        for code, (event_type, values) in enumerate(self._values.items()):
            if not values:
                continue
            rows = np.flatnonzero(codes == code)
            table = self._table(event_type)
            cause = columns.from_numpy(causes[rows], causes[rows] > 0)
            found = run_columns(table.kind, (first_seq + rows, ats[rows], cause), values, encoder)
            if not np.array_equal(inputs, positions[rows]):  # the types of a decision come together
                inputs = positions[rows]
            table.write(found, inputs, hashing)
            values.clear()
        self._taken, self._pending = [], 0

    def _table(self, event_type: type[Event]) -> _Table:
        table = self._tables.get(event_type)
        if table is None:
            table = self._tables[event_type] = _Table(event_type, self._rows(event_type))
        return table

    def _by_tag(self) -> list[_Table]:
        return sorted(self._tables.values(), key=lambda table: table.kind.tag)

    def _run_hash(self) -> str:
        return joined_hash(*(table.fingerprint.digest() for table in self._by_tag()))

    def _decisions_hash(self) -> str:
        digests = [t.fingerprint.digest(t.payload) for t in self._by_tag() if t.payload is not None]
        return joined_hash(self._order.digest(), *digests)


class RunWriter(RunRecorder):
    """A recorder that writes the run, column by column, aside; `publish` makes it visible."""

    def __init__(self, root: Path, ordinals: Ordinals, files: Files | None = None) -> None:
        super().__init__(ordinals)
        self._files = files or Files()
        self._layout = Layout(root)
        self._building = Building.begin(self._layout.runs, self._files.platform)
        self._path = self._building.path
        self._open: dict[type[Event], TypedWriter] = {}

    def _rows(self, event_type: type[Event]) -> _Rows:
        kind = kind_of(event_type)
        file = self._open[event_type] = TypedWriter(self._path / file_name(kind), kind, recv=False)
        return file

    def publish(self, run: str, summary: dict[str, Any], meta: dict[str, Any]) -> "RunReader":
        """Make the run visible under its id and return it.

        A run of that id that is there already must be the same, byte for byte: then it stays, and is the
        latest again. If it is not, raises `NondeterministicRun`, and the new one is kept as `<id>.differs`.
        Others may publish the same run at the same time.
        """
        hashes = self.hashes()
        for file in self._open.values():
            file.close()
        document = {"format": RUN_FORMAT, "run": run, **summary, "run_events": self.events, **hashes}
        document["types"] = self.counts()
        document["fields"] = {t.kind.tag: fields_of(t.kind) for t in self._by_tag()}
        document["files"] = {
            path.name: digest_of(path) for t in self._by_tag() for path in [self._open[t.kind.type].path]
        }
        _write_json(self._path / "run.json", {**document, "digest": document_digest(document)})
        _write_json(
            self._path / "meta.json", {**meta, "host": platform.node(), "python": platform.python_version()}
        )
        _sync_tree(self._files, self._path)
        installed = self._install(run, hashes["run_hash"])
        self._building.release()
        return installed

    def _install(self, run: str, run_hash: str) -> "RunReader":
        target = self._layout.runs / run
        if self._named(target):
            return RunReader(target)
        known = RunReader(target)
        if known.summary.get("run_hash") == run_hash:
            if known.problems():  # damaged since: this one is what it was
                return self._replace(target)
            self._files.rename(self._path / "meta.json", target / "meta.json")
            remove(self._path)
            return known
        other = self._replace(self._layout.runs / f"{run}{DIFFERS}")
        raise NondeterministicRun(run, other.path.name)

    def _named(self, target: Path) -> bool:
        """Give the run its name, durably; return whether that was free."""
        try:
            if target.exists():
                return False
            self._files.rename(self._path, target)
        except OSError:
            if not target.exists():
                raise
            return False  # somebody else was faster
        self._files.sync_directory(self._layout.runs)
        return True

    def _replace(self, target: Path) -> "RunReader":
        old = self._path.with_name(f"{self._path.name}.old")
        while not self._named(target):
            # Renamed first: whoever replaces it at the same time never sees, or removes, a part of it.
            with suppress(FileNotFoundError):
                self._files.rename(target, old)
            remove(old, must=False)
        return RunReader(target)

    def abandon(self) -> None:
        """Remove what was built; nothing was visible."""
        for file in self._open.values():
            file.abandon()
        remove(self._path, must=False)
        self._building.release()


class LightRunWriter(RunRecorder):
    """A recorder that keeps the events of a few types in memory, and of all others their hashes alone."""

    def __init__(self, ordinals: Ordinals, kept: Iterable[type[Event]]) -> None:
        self._kept = frozenset(kept)
        self.kept: list[Event] = []
        super().__init__(ordinals)

    def recording(
        self, folds: Folds, heard: Collection[type[Event]] = (), tell: Tell = ignore
    ) -> tuple[Record, RecordFacts]:
        """Return what does as of `RunRecorder`, and keeps events of the types to be kept."""

        def keep(event: Event, _seq: int) -> None:
            self.kept.append(event)

        kept = {kind: (keep, *found) if kind in self._kept else found for kind, found in folds.items()}
        return super().recording(kept, heard, tell)

    def _rows(self, event_type: type[Event]) -> _Rows:  # noqa: ARG002  (no type has a file)
        return _Counted()


class NondeterministicRun(TapeError):
    """The same inputs, code and parameters gave other decisions than before."""

    exit_code = ExitCode.FOUND

    def __init__(self, run: str, other: str) -> None:
        super().__init__(
            f"run {run} came out different from before, with the same inputs, code and parameters: the "
            f"strategy depends on something else (a module that it imports and that was edited, a file, a "
            f"clock, a random number, memory of an earlier run), or truetape's own code was edited. "
            f"The new result is kept as {other}; "
            f"next: tape diff {run} {other}"
        )
        self.run = run
        self.other = other


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


def _sync_tree(files: Files, path: Path) -> None:
    for file in sorted(path.iterdir()):
        handle = files.open_read(file)
        files.data_sync(handle)
        files.close(handle)
    files.sync_directory(path)
