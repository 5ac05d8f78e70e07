"""Runs on disk: whole or absent, hashed whatever the pieces they came in, and checked byte by byte."""

import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CorruptLog, DataMissing, StoreError
from core.events import (
    BY_TYPE,
    CashAdjusted,
    Filled,
    OrderIntended,
    Recorded,
    RiskApproved,
    SessionStarted,
    TimerFired,
    types_of,
)
from core.ports import RUN_BASE, Selection
from eventstore.files import Files
from eventstore.runs import writer as run_writer
from eventstore.runs.checks import verify_run
from eventstore.runs.reader import RunReader, document_digest, find_run, list_runs
from eventstore.runs.writer import RunWriter

ROOT = Path(__file__).resolve().parents[2]


def intent(n, order="s-1-1"):
    quantity = Decimal(1 + n % 7)
    return OrderIntended(
        n, order, "SIM", "s", "ACME", "BUY", quantity, "LMT", Decimal("9.5"), None, "DAY", "r"
    )


def some_events(count):
    """Return `(event, at, cause)` of a session in miniature; `at` 1 to 100 are source seqs."""
    made = [(CashAdjusted(0, "SIM", "USD", Decimal(100), "start"), 0, None)]
    for n in range(1, count):
        at = 1 + n // 3
        if n % 3 == 0:
            made.append((intent(n, f"s-1-{n}"), at, None))
        elif n % 3 == 1:
            cause = RUN_BASE + n
            made.append((RiskApproved(n, f"s-1-{n - 1}", 1, "SIM", "s", "ACME", "none"), at, cause))
        else:
            made.append((Recorded(n, "s", "x", n / 8), at, None))
    return made


def identity(seqs):
    return seqs.copy()


def write(root, events, *, cuts=(7,), ordinals=identity, run="abc", files=None, summary=None):
    writer = RunWriter(root, ordinals, files)
    start, n = 0, 0
    while start < len(events):
        for event, at, cause in events[start : start + cuts[n % len(cuts)]]:
            writer.append(event, at, cause)
        writer.commit(sync=False)
        start, n = start + cuts[n % len(cuts)], n + 1
    return writer.publish(run, summary or {"period": "x"}, {"published_ns": 5})


def hashes(run):
    return run.summary["run_hash"], run.summary["decisions_hash"]


def test_a_run_reads_back_what_was_recorded(tmp_path):
    events = some_events(50)
    run = write(tmp_path, events)
    (found,) = run.entries()
    assert [(e.event, e.at, e.cause) for e in found] == events
    assert [e.seq for e in found] == list(range(RUN_BASE + 1, RUN_BASE + 51))
    assert run.last_seq() == RUN_BASE + 50
    assert run.summary["types"] == {
        "cash_adjusted": 1,
        "order_intended": 16,
        "recorded": 16,
        "risk_approved": 17,
    }
    assert verify_run(run.path) == []


def test_a_run_is_filtered_by_type_and_seq(tmp_path):
    run = write(tmp_path, some_events(30))
    wanted = Selection(types=frozenset({Recorded}), first_seq=RUN_BASE + 10, last_seq=RUN_BASE + 20)
    (found,) = run.entries(wanted)
    assert [type(e.event) for e in found] == [Recorded] * 3
    assert all(RUN_BASE + 10 <= e.seq <= RUN_BASE + 20 for e in found)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 120), st.lists(st.integers(1, 50), min_size=1, max_size=4), st.integers(1, 60))
def test_hashes_and_bytes_do_not_depend_on_where_batches_and_pieces_were_cut(
    tmp_path_factory, count, cuts, flush
):
    root, events = tmp_path_factory.mktemp("cuts"), some_events(count)
    whole = write(root, events, cuts=(10_000,), run="whole")
    before = run_writer._FLUSH_EVENTS
    run_writer._FLUSH_EVENTS = flush
    try:
        pieces = write(root, events, cuts=cuts, run="pieces")
    finally:
        run_writer._FLUSH_EVENTS = before
    assert hashes(pieces) == hashes(whole)
    assert list(pieces.entries()) == list(whole.entries())


def changed(index, **fields):
    events = some_events(30)
    event, at, cause = events[index]
    events[index] = (msgspec.structs.replace(event, **fields), at, cause)
    return events


def swapped():
    events = some_events(30)
    events[3], events[5] = events[5], events[3]
    return events


def moved(index, at=None, cause=None):
    events = some_events(30)
    event, old_at, old_cause = events[index]
    events[index] = (event, old_at if at is None else at, old_cause if cause is None else cause)
    return events


@pytest.mark.parametrize(
    ("events", "run_differs", "decisions_differ"),
    [
        (some_events(30), False, False),
        (changed(3, quantity=Decimal(99)), True, True),
        (changed(3, ts=99), True, True),
        (changed(3, limit=None), True, True),
        (changed(3, order="s-1-99"), True, False),  # ids are no part of what was decided
        (changed(5, value=0.0), True, True),  # what a strategy records is a decision
        (changed(0, amount=Decimal(7)), True, False),  # cash is not
        (moved(4, at=9), True, False),
        (moved(4, cause=RUN_BASE + 1), True, False),
        (swapped(), True, True),
        (some_events(29), True, True),
    ],
)
def test_what_each_hash_covers(tmp_path, events, run_differs, decisions_differ):
    known, other = write(tmp_path, some_events(30), run="a"), write(tmp_path, events, run="b")
    assert (hashes(known)[0] != hashes(other)[0]) is run_differs
    assert (hashes(known)[1] != hashes(other)[1]) is decisions_differ


def test_a_run_hash_sees_positions_among_the_inputs_not_seqs_of_the_source(tmp_path):
    shifted = [(e, at + 1000 if at else at, cause) for e, at, cause in some_events(30)]
    plain = write(tmp_path, some_events(30), run="a")
    moved_log = write(
        tmp_path, shifted, run="b", ordinals=lambda seqs: np.where(seqs >= 1000, seqs - 1000, seqs)
    )
    assert hashes(plain) == hashes(moved_log)
    assert hashes(plain)[0] != hashes(write(tmp_path, shifted, run="c"))[0]


def test_meta_and_names_of_machines_are_in_no_hash(tmp_path):
    a, b = write(tmp_path, some_events(9), run="a"), write(tmp_path, some_events(9), run="b")
    (b.path / "meta.json").write_text('{"published_ns": 99, "host": "elsewhere"}')
    assert hashes(a) == hashes(RunReader(b.path))
    assert verify_run(b.path) == []
    assert [r.id for r in list_runs(tmp_path)] == ["a", "b"]


def test_every_decision_type_has_a_payload_without_ids():
    assert {BY_TYPE[t].tag for t in types_of("decision")} >= {"order_intended", "cancel_intended", "recorded"}
    assert not {Filled, SessionStarted, TimerFired} & types_of("decision")


# -- publishing --------------------------------------------------------------------------------


class Failing(Files):
    """The real file system until the named call, which fails."""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def __getattribute__(self, name):
        if name not in {"_name", "__class__"} and name == object.__getattribute__(self, "_name"):

            def fail(*args):
                raise OSError(28, "No space left on device")

            return fail
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("call", ["open_read", "data_sync", "sync_directory", "rename"])
def test_a_run_that_cannot_be_finished_is_not_visible(tmp_path, call):
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, some_events(9), files=Failing(call))
    assert list_runs(tmp_path) == []
    with pytest.raises(DataMissing, match="there are no runs yet"):
        find_run(tmp_path, "latest")


CRASH = """
import os, sys
from pathlib import Path
from eventstore.files import Files
from tests.replay.test_runs import some_events, write


class Killed(Files):
    def rename(self, source, target):
        os._exit(9)


write(Path(sys.argv[1]), some_events(50), files=Killed())
"""


def test_a_process_that_dies_between_build_and_rename_leaves_no_run(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path)], env=environment, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 9
    (left,) = (tmp_path / "runs").iterdir()
    assert left.name.startswith(".tmp-")
    assert (left / "run.json").exists()  # it was complete, and still is not a run
    assert list_runs(tmp_path) == []
    # The next one is not disturbed by it, and removes it; what is being built is left alone.
    other = RunWriter(tmp_path, identity)
    assert write(tmp_path, some_events(50)).id == "abc"
    assert len(list((tmp_path / "runs").iterdir())) == 2
    other.abandon()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["abc"]


class Outrun(Files):
    """Somebody else publishes a run of that name between the last look at the name and the rename."""

    def __init__(self, root, count):
        super().__init__()
        self._others = [(root, some_events(count))]

    def rename(self, source, target):
        if source.name.startswith(".tmp-") and self._others:
            write(*self._others.pop())
        super().rename(source, target)


def test_two_that_publish_the_same_run_at_the_same_time_both_have_it(tmp_path):
    run = write(tmp_path, some_events(9), files=Outrun(tmp_path, 9))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["abc"]
    assert verify_run(run.path) == []


def test_two_runs_of_one_name_that_differ_are_both_kept_though_one_was_faster(tmp_path):
    with pytest.raises(run_writer.NondeterministicRun):
        write(tmp_path, some_events(9), files=Outrun(tmp_path, 10))
    assert find_run(tmp_path, "abc").summary["run_events"] == 10
    assert find_run(tmp_path, "abc.differs").summary["run_events"] == 9


def test_a_damaged_run_is_replaced_though_somebody_else_replaces_it_too(tmp_path):
    run = write(tmp_path, some_events(9))
    for file in run.path.glob("*.parquet"):
        file.write_bytes(b"damaged")
    assert verify_run(write(tmp_path, some_events(9), files=Outrun(tmp_path, 9)).path) == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["abc"]


def test_an_abandoned_run_leaves_nothing(tmp_path):
    writer = RunWriter(tmp_path, identity)
    for event, at, cause in some_events(20):
        writer.append(event, at, cause)
    writer.commit(sync=True)
    writer.abandon()
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_that_differs_is_kept_beside_the_first(tmp_path):
    first = write(tmp_path, some_events(9))
    with pytest.raises(run_writer.NondeterministicRun, match=r"kept as abc\.differs"):
        write(tmp_path, some_events(10))
    assert hashes(find_run(tmp_path, "abc")) == hashes(first)
    assert find_run(tmp_path, "abc.differs").summary["run_events"] == 10


def test_runs_are_found_by_id_unique_prefix_or_latest(tmp_path):
    for run in ("abc1", "abd2", "xyz"):
        write(tmp_path, some_events(9), run=run)
    assert find_run(tmp_path, "abc1").id == find_run(tmp_path, "abc").id == "abc1"
    assert find_run(tmp_path, "latest").id == "xyz"
    for name, says in (("ab", "is not unique"), ("nope", "is not there")):
        with pytest.raises(DataMissing, match=says):
            find_run(tmp_path, name)


def test_a_place_where_no_run_can_be_built_is_named(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(Path, "mkdir", lambda self, **kwargs: None if kwargs else refuse(self))
    with pytest.raises(StoreError, match="cannot build a run here: Permission denied"):
        RunWriter(tmp_path, identity)


# -- verifying ---------------------------------------------------------------------------------


def test_every_flipped_byte_of_every_file_is_found(tmp_path):
    run = write(tmp_path, some_events(40))
    for file in sorted(run.path.glob("*.parquet")):
        data = file.read_bytes()
        for offset in {0, 4, len(data) // 3, len(data) // 2, len(data) - 5, len(data) - 1}:
            damaged = bytearray(data)
            damaged[offset] ^= 0x10
            file.write_bytes(damaged)
            (problem,) = verify_run(run.path)
            assert file.name in problem
            with pytest.raises(CorruptLog, match=file.name):
                list(RunReader(run.path).entries())
        file.write_bytes(data)
    assert verify_run(run.path) == []


def test_files_that_are_gone_added_or_cut_are_found(tmp_path):
    run = write(tmp_path, some_events(40))
    victim = run.path / "recorded.parquet"
    assert victim.exists()
    data = victim.read_bytes()
    victim.unlink()
    assert any("recorded.parquet" in problem for problem in verify_run(run.path))
    victim.write_bytes(data[:-1])
    assert any("recorded.parquet" in problem for problem in verify_run(run.path))
    victim.write_bytes(data)
    shutil.copy(victim, run.path / "filled.parquet")
    assert any("filled.parquet" in problem for problem in verify_run(run.path))


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"decisions_hash": "0" * 32}, "decisions_hash"),
        ({"run_events": 39}, "counts 39 events"),
        ({"types": {"recorded": 40}}, "its files hold"),
    ],
)
def test_a_run_json_that_contradicts_its_files_is_found(tmp_path, edit, says):
    run = write(tmp_path, some_events(40))
    document = msgspec.json.decode((run.path / "run.json").read_bytes()) | edit
    del document["digest"]
    document["digest"] = document_digest(document)
    (run.path / "run.json").write_bytes(msgspec.json.encode(document))
    assert any(says in problem for problem in verify_run(run.path))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x00" * 10])
def test_a_run_json_that_is_none_is_named(tmp_path, content):
    run = write(tmp_path, some_events(9))
    (run.path / "run.json").write_bytes(content)
    assert any("run.json" in problem for problem in verify_run(run.path))


def test_a_damaged_run_is_made_whole_by_running_it_again(tmp_path):
    run = write(tmp_path, some_events(9))
    (run.path / "recorded.parquet").write_bytes(b"rubbish")
    assert verify_run(run.path)
    assert hashes(write(tmp_path, some_events(9))) == hashes(run)
    assert verify_run(run.path) == []
