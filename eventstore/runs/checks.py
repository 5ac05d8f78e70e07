"""Checking a published run against itself: digests, numbering, counts and its decisions.

`run_hash` needs the source's order of inputs and is left to a replay. Reads only.
"""

from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import CorruptLog
from core.events import BY_TAG, EventType
from core.ports import RUN_BASE
from eventstore.runs.fingerprint import TableFingerprint
from eventstore.runs.proof import HASH_VERSION, ORDER_MARKS, joined_hash, payload_of
from eventstore.runs.reader import RunReader
from eventstore.tables import columns
from eventstore.tables.parquet import TypedFile, file_name
from eventstore.tables.schema import kinds


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
    if told.get("hash_version", 1) != HASH_VERSION:
        return found  # the same files have other hashes here: that says nothing of them
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
        payload = payload_of(kind, file.missing)  # the hash is over the fields that there were
        hashed = None if payload is None else TableFingerprint(kind.tag, kind.version, payload)
        for group in range(file.groups):
            for batch in file.read(group):
                seqs.append(columns.vector(batch.column("seq")))
                if hashed is not None:
                    hashed.update({name: batch.column(name) for name in payload or ()})
    return np.concatenate(seqs), None if hashed is None else hashed.digest()


def _decisions_hash(tables: dict[str, _Columns]) -> str:
    decided = {tag: (seqs, digest) for tag, (seqs, digest) in tables.items() if digest is not None}
    tags = list(decided)
    seqs = np.concatenate([np.empty(0, np.int64), *(decided[tag][0] for tag in tags)])
    codes = np.repeat(np.arange(len(tags)), [len(decided[tag][0]) for tag in tags])
    marks = np.array([ORDER_MARKS[BY_TAG[tag].type] for tag in tags], dtype="S8")
    ordered = marks[codes[np.argsort(seqs, kind="stable")]].tobytes() if tags else b""
    order = blake2b(ordered, digest_size=16).digest()
    return joined_hash(order, *(digest for tag in sorted(decided) if (digest := decided[tag][1])))
