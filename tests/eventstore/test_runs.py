"""Runs on disk: what is published is checked when it is read, and `verify_run` finds what differs."""

import json
import shutil
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.errors import CorruptLog
from core.events import AccountMarked, Filled, OrderIntended, Recorded, RiskApproved
from core.ports import RUN_BASE, Selection
from eventstore.integrity.verify import verify
from eventstore.layout import Layout
from eventstore.manifests.manifest import digest_of
from eventstore.runs import proof
from eventstore.runs import writer as run_writer
from eventstore.runs.checks import verify_run
from eventstore.runs.reader import RunReader, document_digest, find_run, list_runs, unreadable_runs
from eventstore.runs.writer import RunWriter
from eventstore.tables.parquet import file_name
from eventstore.tables.schema import arrow_schema, kind_of
from tests.eventstore.sealed_logs import open_log, sample_of, write_ticks

INPUTS = 300


def _write(
    root: Path, run: str = "r1", *, value: float = 0.5, commit_every: int = 7, published: int = 1
) -> RunReader:
    """A run with decisions of three types in turn, and facts between them."""
    writer = RunWriter(root, lambda seqs: seqs - 1)
    for n in range(1, INPUTS + 1):
        intent = writer.append(sample_of(OrderIntended, n), at=n)
        writer.append(sample_of(RiskApproved, n), at=n, cause=intent)
        if n % 3 == 0:
            writer.append(Recorded(n, "s", "χ" * (n % 4), value * n), at=n)
        if n % 5 == 0:
            writer.append(sample_of(Filled, n), at=n, cause=intent)
            writer.append(sample_of(AccountMarked, n), at=n)
        if n % commit_every == 0:
            writer.commit(sync=False)
    return writer.publish(run, {"options": {}}, {"published_ns": published})


def test_texts_that_repeat_are_plain_texts_to_every_reader(tmp_path, monkeypatch):
    runs = [_write(tmp_path / "once")]
    monkeypatch.setattr(run_writer, "_FLUSH_EVENTS", 40)  # pieces of which each has a dictionary of its own
    runs.append(_write(tmp_path / "often"))
    assert runs[0].summary["run_hash"] == runs[1].summary["run_hash"]
    for kind in map(kind_of, (OrderIntended, RiskApproved, Filled, Recorded, AccountMarked)):
        once, often = (pq.read_table(run.path / file_name(kind)) for run in runs)
        assert once.schema.equals(arrow_schema(kind, recv=False), check_metadata=True)
        assert often.equals(once, check_metadata=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "log"
    journal = open_log(root)
    write_ticks(journal, 20)
    journal.close()
    _write(root)
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def run(root):
    return Layout(root).runs / "r1"


def _flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 0x04
    path.write_bytes(data)


def _edit(run: Path, **changes: object) -> None:
    """Change `run.json`, and put its own digest right."""
    document = json.loads((run / "run.json").read_text()) | changes
    del document["digest"]
    (run / "run.json").write_text(json.dumps({**document, "digest": document_digest(document)}))


def test_a_whole_run_has_no_problem(root, run):
    assert verify_run(run) == []
    assert verify(root).findings == []


def test_the_decisions_hash_of_the_files_is_that_of_the_writer_however_it_was_cut(root, tmp_path):
    one = RunReader(Layout(root).runs / "r1")
    other = _write(root, "r2", commit_every=INPUTS)
    changed = _write(root, "r3", value=0.25)
    assert one.summary["decisions_hash"] == other.summary["decisions_hash"]
    assert one.summary["run_hash"] == other.summary["run_hash"]
    assert changed.summary["decisions_hash"] != one.summary["decisions_hash"]
    assert verify(root).findings == []
    assert verify(root).runs == 3


@pytest.mark.parametrize("name", ["order_intended.parquet", "filled.parquet"])
@pytest.mark.parametrize("at", [0.0, 0.4, 0.9, 1.0])
def test_one_flipped_bit_is_refused_by_the_reader_and_named_by_verify(root, run, name, at):
    _flip(run / name, at)
    with pytest.raises(CorruptLog, match=rf"{name}: the file changed since it was written"):
        list(RunReader(run).entries())
    found = verify(root).findings
    assert [Path(finding.path).name for finding in found] == [name]


def test_any_changed_word_of_run_json_is_found(root, run):
    text = (run / "run.json").read_text()
    places = [place for place in range(len(text)) if text[place].isalnum()]
    for place in places[:: max(1, len(places) // 60)]:
        other = "1" if text[place] == "0" else "0"
        (run / "run.json").write_text(text[:place] + other + text[place + 1 :])
        with pytest.raises(CorruptLog, match=r"run\.json: (it changed since it was written|not a run)"):
            RunReader(run)
    (run / "run.json").write_text(text)
    assert verify(root).ok


def test_a_run_of_an_older_program_has_no_digest_of_its_own(root, run):
    document = json.loads((run / "run.json").read_text())
    del document["digest"]
    (run / "run.json").write_text(json.dumps(document))
    assert verify(root).ok
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace('"run_hash"', '"run_hush"'))
    assert verify(root).ok, "the negative control: without the digest nothing tells"


def test_the_only_run_being_damaged_is_not_told_as_none_being_there(root, run):
    (run / "run.json").write_text("{")
    assert list_runs(root) == []
    assert list(unreadable_runs(root)) == ["r1"]
    with pytest.raises(CorruptLog, match=r"run\.json: not a run"):
        find_run(root, "latest")
    _write(root, "r2")
    assert find_run(root, "latest").id == "r2"
    with pytest.raises(CorruptLog, match=r"r1/run\.json: not a run"):
        find_run(root, "r1")


def test_what_is_not_damaged_can_still_be_read(run):
    _flip(run / "filled.parquet", 0.5)
    selection = Selection(types=frozenset({Recorded}))
    assert sum(len(batch) for batch in RunReader(run).entries(selection)) == INPUTS // 3


@pytest.mark.parametrize(
    ("break_it", "file", "message"),
    [
        (lambda run: (run / "filled.parquet").unlink(), "filled.parquet", "missing"),
        (lambda run: (run / "filled.parquet").write_bytes(b""), "filled.parquet", "0 bytes, expected"),
        (lambda run: (run / "fx.parquet").write_bytes(b"?"), "fx.parquet", "does not list"),
        (lambda run: (run / "run.json").unlink(), "run.json", "not a run"),
        (lambda run: (run / "run.json").write_bytes(b"[]"), "run.json", "not a run"),
        (lambda run: _edit(run, files={}), "filled.parquet", "does not list"),
        (lambda run: _edit(run, files={"filled.parquet": 3}), "run.json", "not a run"),
        (lambda run: _edit(run, run_events=7), "run.json", "counts 7 events"),
        (lambda run: _edit(run, types={"filled": 1}), "run.json", "its files hold"),
        (lambda run: _edit(run, types={"from_the_future": 1}), "run.json", "upgrade"),
        (lambda run: _edit(run, decisions_hash="00"), "run.json", "states decisions_hash 00"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_run_is_named(root, run, break_it, file, message):
    break_it(run)
    found = verify(root).findings
    assert any(Path(f.path).name == file and message in f.message for f in found), found


def test_an_exchanged_table_with_its_digest_put_right_is_found_by_the_decisions_hash(root, run):
    other = _write(root, "r3", value=0.25)
    shutil.copyfile(other.path / "recorded.parquet", run / "recorded.parquet")
    files = json.loads((run / "run.json").read_text())["files"]
    digest = digest_of(run / "recorded.parquet")
    _edit(run, files={**files, "recorded.parquet": {"sha256": digest.sha256, "size": digest.size}})
    assert [f.message for f in verify(root).findings if "decisions_hash" in f.message]
    assert len(verify_run(run)) == 1


def test_two_decisions_that_changed_places_are_found(root, run):
    """Their columns hash alike; only the order of types tells."""
    writer = RunWriter(root, np.copy)
    swapped = RunWriter(root, np.copy)
    recorded, approved = Recorded(1, "s", "n", 1.0), sample_of(RiskApproved, 1)
    for one, events in ((writer, [recorded, approved]), (swapped, [approved, recorded])):
        for event in events:
            one.append(event, at=1)
    first, second = writer.publish("a", {}, {}), swapped.publish("b", {}, {})
    assert first.summary["decisions_hash"] != second.summary["decisions_hash"]
    assert verify_run(first.path) == verify_run(second.path) == []


def test_a_gap_in_the_numbering_is_found(run, monkeypatch):
    monkeypatch.setattr("eventstore.runs.checks.RUN_BASE", RUN_BASE - 1)
    assert any("without gaps" in problem for problem in verify_run(run))


def test_replaying_again_replaces_a_damaged_run_and_keeps_a_whole_one(root, run):
    before = (run / "run.json").stat().st_ino
    _write(root)
    assert (run / "run.json").stat().st_ino == before
    _flip(run / "filled.parquet", 0.5)
    again = _write(root)
    assert again.path == run
    assert verify_run(run) == []
    assert (run / "run.json").stat().st_ino != before


def test_replaying_again_makes_a_run_the_latest_again(root):
    _write(root, "r2", value=0.7, published=2)
    assert find_run(root, "latest").id == "r2"
    again = _write(root, published=3)
    assert (find_run(root, "latest").id, again.problems()) == ("r1", [])


def test_a_run_without_events_is_whole(root):
    empty = RunWriter(root, np.copy).publish("empty", {}, {})
    assert verify_run(empty.path) == []
    assert list(empty.entries()) == [[]]


def test_amounts_in_a_run_read_back_exactly(root):
    writer = RunWriter(root, np.copy)
    writer.append(AccountMarked(1, "a", "USD", Decimal("0.1"), Decimal("-3")), at=1)
    run = writer.publish("amounts", {}, {})
    [[entry]] = run.entries()
    assert (str(entry.event.equity), str(entry.event.cash)) == ("0.1", "-3")


def test_a_hash_made_another_way_is_no_damage_but_a_changed_file_still_is(root, run):
    _edit(run, decisions_hash="00", hash_version=proof.HASH_VERSION + 1)
    assert verify(root).ok
    _flip(run / "filled.parquet", 0.5)
    assert [Path(found.path).name for found in verify(root).findings] == ["filled.parquet"]
