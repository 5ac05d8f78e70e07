"""An import that was interrupted: a part of a day never passes for the day."""

import json
import shutil
from contextlib import ExitStack

import pytest

from adapters.replay.sample import import_sample
from app.data import importing
from app.data.importing import import_builtin_sample
from app.operation.writing import writing
from core.events import ImportStarted
from eventstore.reading.reader import LogReader
from tests.research.conftest import make_log

REPLAY = ("replay", "2025-07-03", "--strategy", "buy_and_hold", "--set", "instrument=ZVXA", "--json")


@pytest.fixture
def part(tmp_path):
    """A log in which the import of the sample was stopped in its second day."""

    def advance(done: int, _total: int | None) -> None:
        if done > 130_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_builtin_sample(tmp_path / "part", advance)
    return tmp_path / "part"


def test_a_sample_that_was_interrupted_is_completed_and_gives_the_run_of_a_whole_one(
    tape, part, ib_gateway_log, tmp_path
):
    done = tape("--log", part, "status", "--json")
    assert [text for text in done.json["unfinished"] if "sample-2025-07-03 into sample/tick" in text]
    told = tape("--log", part, *REPLAY)
    assert "holds a part of the built-in sample only" in told.err
    shutil.copytree(ib_gateway_log, tmp_path / "whole")
    assert told.json == tape("--log", tmp_path / "whole", *REPLAY).json
    assert tape("--log", part, "status", "--json").json["unfinished"] == []


def test_a_sample_that_another_process_is_making_is_waited_for(tape, tmp_path, monkeypatch):
    root = tmp_path / "log"
    with ExitStack() as other:
        held = other.enter_context(writing(root)).journal

        def meanwhile(_seconds: float) -> None:
            import_sample(held, LogReader(root), ("2025-07-03",))
            other.close()

        monkeypatch.setattr(importing, "sleep", meanwhile)
        done = tape("--log", root, *REPLAY)
    assert (done.code, done.json["events"] > 0) == (0, True)
    assert tape("--log", root, "sql", "SELECT count(*) AS n FROM feeds", "--json").json == [{"n": 1}]


def test_a_log_that_another_process_keeps_is_not_waited_for_for_ever(tape, tmp_path, monkeypatch):
    looks: list[float] = []
    monkeypatch.setattr(importing, "sleep", looks.append)
    monkeypatch.setattr(importing, "_LOOKS", 3)
    with writing(tmp_path / "log"):
        done = tape("--log", tmp_path / "log", *REPLAY)
    assert (done.code, looks) == (6, [0.1] * 3)
    assert "held by process" in done.err


def test_a_part_of_an_import_is_another_content_than_the_whole(part, ib_gateway_log):
    from app.composition.definitions import definitions_of  # noqa: PLC0415
    from app.replay.planning import Period, Planner  # noqa: PLC0415
    from core.strategy import Subscription  # noqa: PLC0415

    period, wanted = Period("2025-07-03", "2025-07-03"), [Subscription("ZVXA")]
    logs = [LogReader(root) for root in (part, ib_gateway_log)]
    found = [Planner(log, definitions_of(log)).plan(period, wanted).content for log in logs]
    assert found[0] != found[1]


def test_a_replay_of_a_part_says_so(tape, tmp_path):
    root = make_log(tmp_path, ["2025-07-02"], 240, 13)
    replay = ("--log", root, "replay", "2025-07-02", "--strategy", "buy_and_hold", "--set", "instrument=ABC")
    assert "did not end" not in tape(*replay).err
    with writing(root) as writer:
        files = json.dumps([{"name": "of/more.csv", "digest": "x", "first": 1, "rows": 9}])
        writer.journal.append(ImportStarted(0, "x", "csv/tick", "csv", files))
        writer.journal.commit(sync=False)
    told = tape(*replay).err
    assert "the import of more.csv into csv/tick did not end: only a part of its rows is there" in told
    assert "next: run that import again, then this" in told
