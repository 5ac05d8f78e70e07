"""Trials that are kept: what a light run came to, a file each, under the id of the run it would be.

`optimize/trials/<run id>.json` in the log's directory, written aside and renamed: there or not. A file that a
loss of power left torn is no trial, and is run again. Studies lie beside them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from app.optimize.measures import Every
from app.replay.proving import OutcomeChanged
from app.replay.replaying import again
from core.errors import DataMissing, StoreError
from eventstore.reading.reader import LogReader

Status = Literal["done", "failed", "refused"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One combination over one period. `summary` says all that the run follows from and its hashes.

    `failed`: the strategy raised; `refused`: it or the replay would not start; `reason` says why.
    """

    run: str
    status: Status
    parameters: dict[str, Any]
    period: str
    reason: str = ""
    measures: dict[str, float | None] = {}
    every: Every = "day"
    returns: list[float] = []
    summary: dict[str, Any] = {}


class TrialStore:
    """The trials of one log. Processes may share it: what they write for one id is the same."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "optimize" / "trials"

    def get(self, run: str) -> Trial | None:
        """Return the trial of a run id; `None` if it is not there, or torn."""
        try:
            return msgspec.json.decode((self.directory / f"{run}.json").read_bytes(), type=Trial)
        except (OSError, msgspec.MsgspecError):
            return None

    def put(self, trial: Trial) -> None:
        """Keep a trial; raises `StoreError`."""
        write_whole(self.directory / f"{trial.run}.json", msgspec.json.encode(trial))

    def ids(self) -> Iterator[str]:
        """Yield the ids of all trials."""
        yield from sorted(path.stem for path in self.directory.glob("*.json"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside and rename it; raises `StoreError`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def find_trial(root: Path, name: str) -> Trial | None:
    """Return the trial with this id or unique beginning of one; raises `DataMissing` if it is not unique."""
    store = TrialStore(root)
    found = [run for run in store.ids() if run.startswith(name)]
    if name in found:
        found = [name]
    if len(found) > 1:
        raise DataMissing(f"trial {name!r} is not unique in {root}: {', '.join(found[:5])}")
    return store.get(found[0]) if found else None


def expand(root: Path, trial: Trial) -> str:
    """Make the whole run of a trial and return its id; raises `OutcomeChanged` if it is another."""
    run = again(root, LogReader(root), trial).run()
    if run.id == trial.run and run.summary["run_hash"] != trial.summary["run_hash"]:
        raise OutcomeChanged(
            f"trial {trial.run} comes out different as a run: the strategy depends on more than the log"
        )
    return run.id
