"""Runs: what a replay decided, kept beside the log outside its lock, named by what it followed from.

`runs/<id>/` holds `run.json`, one typed Parquet file per event type, and `meta.json` (wall time, host:
covered by no hash). It is built aside, fsynced and renamed, so a run is whole or absent. Events are
numbered from `RUN_BASE + 1`; below that, `at` and `cause` are seqs of the source. No tick is copied.

Two hashes. `run_hash` covers every event with its envelope; a source seq in `at` enters as its
ordinal among the inputs, so that equal data imported elsewhere hash alike. `decisions_hash` covers
type, time and payload of decisions only, without seqs and order ids. `run.json` also states the digest
of each Parquet file, and its own: what is read is compared with it first.
"""

from collections.abc import Iterator
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from core.errors import CorruptLog, DataMissing, UsageError
from core.events import Entry
from core.ports import RUN_BASE, Selection
from eventstore.layout import Layout
from eventstore.manifests.manifest import SealedFile, check_digest
from eventstore.tables.parquet import TypedFile, file_name
from eventstore.tables.schema import kinds, to_entries

DIFFERS = ".differs"
"""Ends the id of a run that came out different from the one of that id."""

_DOCUMENTS = frozenset({"run.json", "meta.json"})
_REPLAY_AGAIN = "remove the run and replay again"


class RunReader:
    """A published run. Reading checks what it reads and writes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checked: set[str] = set()
        try:
            data = (path / "run.json").read_bytes()
            self.summary = msgspec.json.decode(data, type=dict[str, Any])
            self._check_document(self.summary.pop("digest", None))
            listed = self.summary.get("files", {})
            self.files = msgspec.convert(listed, dict[str, SealedFile])
        except (OSError, msgspec.MsgspecError) as error:
            raise CorruptLog(
                f"{path / 'run.json'}: not a run ({error}); remove the directory and replay again"
            ) from error

    def _check_document(self, stated: str | None) -> None:
        if stated is not None and stated != document_digest(self.summary):
            raise CorruptLog(f"{self.path / 'run.json'}: it changed since it was written; {_REPLAY_AGAIN}")

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.summary.get('period')}>"

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


def document_digest(document: dict[str, Any]) -> str:
    """Return the digest that `run.json` states of all else in it; older ones state none."""
    as_read = msgspec.json.decode(msgspec.json.encode(document))
    return blake2b(msgspec.json.encode(as_read, order="sorted"), digest_size=16).hexdigest()


def list_runs(root: Path) -> list[RunReader]:
    """Return the published runs that can be read, oldest first (by `meta.json`, then id)."""
    found = [run for path in _directories(root) if isinstance(run := _opened(path), RunReader)]
    return sorted(found, key=lambda run: (_published(run.path), run.id))


def find_run(root: Path, name: str) -> RunReader:
    """Return the run with this id, unique id prefix, or `latest`; raises `DataMissing`, `UsageError`."""
    if not name.strip():
        raise UsageError("a run's name is empty; expected its id, the beginning of one, or latest")
    runs = list_runs(root)
    damaged = unreadable_runs(root)
    if damaged and (not runs or (name in damaged)):
        raise damaged.get(name) or next(iter(damaged.values()))
    if not runs:
        raise DataMissing(f"{root}: there are no runs yet; next: tape replay DATE")
    if name == "latest":
        return next((run for run in reversed(runs) if not run.id.endswith(DIFFERS)), runs[-1])
    matches = [run for run in runs if run.id == name] or [run for run in runs if run.id.startswith(name)]
    if len(matches) != 1:
        known = ", ".join(run.id for run in (matches or runs)[-5:])
        problem = "is not unique" if matches else "is not there"
        raise DataMissing(f"run {name!r} {problem} in {root}; the latest are: {known}")
    return matches[0]


def unreadable_runs(root: Path) -> dict[str, CorruptLog]:
    """Return why runs cannot be read, by their directories' names: `list_runs` leaves them out."""
    return {path.name: found for path in _directories(root) if isinstance(found := _opened(path), CorruptLog)}


def _directories(root: Path) -> list[Path]:
    directory = Layout(root).runs
    if not directory.is_dir():
        return []
    return [p for p in sorted(directory.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _opened(path: Path) -> RunReader | CorruptLog:
    try:
        return RunReader(path)
    except CorruptLog as error:
        return error


def _published(path: Path) -> int:
    try:
        meta = msgspec.json.decode((path / "meta.json").read_bytes(), type=dict[str, Any])
        return int(meta.get("published_ns", 0))
    except (OSError, msgspec.MsgspecError, TypeError, ValueError):
        return 0
