"""Searching parameters as users do: processes change no result, kills and repetitions lose nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import cli
from app.optimize.reading import SharedReader
from app.optimize.trials import TrialStore
from core.errors import ExitCode
from core.events import Trade
from core.ports import Selection
from eventstore.reading.reader import LogReader
from tests.conftest import Tape
from tests.orphans import gone, until
from tests.research.conftest import make_log

DAYS = ["2025-06-30", "2025-07-01", "2025-07-02", "2025-07-03"]
HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SEARCH = ("optimize", "searched.py:Searched", "--jobs", "1")
SEARCH += ("--range", "below=51:53:0.5", "--range", "hold=3:12:3")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_log(tmp_path_factory.mktemp("made"), DAYS, 120, 60)


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """The current directory of a command: a log, and the strategy."""
    shutil.copytree(made, tmp_path / "tape-log")
    shutil.copy(HERE / "searched.py", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made_and_searched(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in which `SEARCH` has run."""
    place = tmp_path_factory.mktemp("searched")
    shutil.copytree(made, place / "tape-log")
    shutil.copy(HERE / "searched.py", place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert cli.main(["-q", *SEARCH]) == 0
    return place / "tape-log"


@pytest.fixture
def searched(made_and_searched: Path, tmp_path: Path) -> Path:
    """The current directory of a command that searches again: all trials of `SEARCH` are known."""
    shutil.copytree(made_and_searched, tmp_path / "tape-log")
    shutil.copy(HERE / "searched.py", tmp_path)
    return tmp_path


def without_circumstance(told: dict[str, Any]) -> dict[str, Any]:
    """Return a study without what tells how it came about: how much was known, and where the page is."""
    counts = {key: value for key, value in told["counts"].items() if key != "known"}
    return {**told, "counts": counts, "html": ""}


def forget(root: Path) -> None:
    shutil.rmtree(root / "optimize")
    shutil.rmtree(root / "runs")


def test_results_do_not_depend_on_the_number_of_processes(here: Path, tape: Tape) -> None:
    one = tape(*SEARCH, "--jobs", 1, "--json")
    assert one.code == ExitCode.OK, one.err
    assert one.json["counts"] == {
        "trials": 20,
        "scored": 20,
        "unscored": 0,
        "failed": 0,
        "refused": 0,
        "skipped": 0,
        "known": 0,
    }
    forget(here / "tape-log")
    three = tape(*SEARCH, "--jobs", 3, "--json")
    assert without_circumstance(three.json) == without_circumstance(one.json)
    scores = [row["score"] for row in one.json["rows"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 5


@pytest.mark.extended
def test_a_bayesian_search_does_not_depend_on_the_number_of_processes(here: Path, tape: Tape) -> None:
    pytest.importorskip("optuna")
    command = (*SEARCH, "--search", "bayesian", "--trials", 23, "--seed", 4, "--json")
    one = tape(*command, "--jobs", 1)
    assert one.code == ExitCode.OK, one.err
    forget(here / "tape-log")
    two = tape(*command, "--jobs", 2)
    assert without_circumstance(two.json) == without_circumstance(one.json)
    other = tape(*command[:-1], "--seed", 5, "--json")
    assert [r["parameters"] for r in other.json["rows"]] != [r["parameters"] for r in one.json["rows"]]


def test_what_ran_before_is_not_run_again(searched: Path, tape: Tape) -> None:
    first = tape(*SEARCH, "--json")
    store = TrialStore(searched / "tape-log")
    ids = list(store.ids())
    assert len(ids) == 20
    (store.directory / f"{ids[3]}.json").unlink()
    torn = store.directory / f"{ids[7]}.json"
    torn.write_bytes(torn.read_bytes()[:40])
    times = {path.name: path.stat().st_mtime_ns for path in store.directory.iterdir()}
    again = tape(*SEARCH, "--json")
    assert again.json["counts"]["known"] == 18
    assert without_circumstance(again.json) == without_circumstance(first.json)
    changed = [
        path.name for path in store.directory.iterdir() if times.get(path.name) != path.stat().st_mtime_ns
    ]
    assert sorted(changed) == [f"{ids[3]}.json", f"{ids[7]}.json"]


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_leaves_no_process(here: Path, tape: Tape) -> None:
    command = [*SEARCH[:2], "--jobs", "2", "--range", "below=51:53:0.4", "--range", "hold=3:8:1"]
    command += ["--choice", "fault=stay"]
    for name in ("app", "core", "json"):  # modules of the user's with names of ours are none of its business
        (here / f"{name}.py").write_text("raise RuntimeError('imported from the current directory')\n")
    store, stay = TrialStore(here / "tape-log"), here / "stay"
    stay.touch()
    running = subprocess.Popen(
        [sys.executable, str(PROJECT / "cli.py"), *command],
        cwd=here,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        stuck = [here / "stuck-5", here / "stuck-6"]
        until(lambda: all(one.exists() for one in stuck) or running.poll() is not None)
        workers = [one.pid for one in psutil.Process(running.pid).children(recursive=True)]
    finally:
        running.kill()
        running.wait()
    try:
        ends, clings = (int(one.read_text()) for one in stuck)
        assert {ends, clings} < set(workers)
        until(lambda: gone(ends))
        assert not gone(clings), "a worker that does not end with its leader would be seen"
    finally:
        stay.unlink()
    until(lambda: all(map(gone, workers)))
    done = len(list(store.ids()))
    assert 0 < done < 36, "killed in the middle"
    told = tape(*command, "--json").json
    assert told["counts"]["known"] == done
    assert told["counts"]["trials"] == told["counts"]["scored"] == 36
    kept = {row["run"]: row["score"] for row in told["rows"]}
    forget(here / "tape-log")
    whole = tape(*command, "--json").json
    assert {row["run"]: row["score"] for row in whole["rows"]} == kept


def test_a_trial_that_fails_is_a_row_with_its_reason(here: Path, tape: Tape) -> None:
    done = tape(*SEARCH[:4], "--choice", "fault=,raise,exit", "--range", "hold=3:5:1", "--jobs", 2, "--json")
    assert done.code == ExitCode.OK, done.err
    assert done.json["counts"]["scored"] == 3
    assert done.json["counts"]["failed"] == 6
    reasons = {row["parameters"]["fault"]: row["reason"] for row in done.json["rows"]}
    assert reasons[""] == ""
    assert "as planted" in reasons["raise"]
    assert "searched.py:" in reasons["raise"]
    assert reasons["exit"] == "its process ended with code 3"
    page = Path(done.json["html"]).read_text("utf-8")
    assert "as planted &lt;b&gt;" in page
    assert "as planted <b>" not in page


def test_a_search_without_any_result_says_so(here: Path, tape: Tape) -> None:
    done = tape(*SEARCH[:4], "--choice", "fault=raise", "--range", "hold=3:4:1")
    assert done.code == ExitCode.FOUND
    assert "2 failed" in done.out
    assert "as planted" in done.err


def test_what_a_strategy_prints_is_not_the_answer(here: Path, tape: Tape) -> None:
    done = tape(*SEARCH, "--set", "fault=print", "--json")
    assert json.loads(done.out)["counts"]["scored"] == 20


def test_a_trial_is_a_run_that_can_be_made_whole(searched: Path, tape: Tape) -> None:
    told = tape(*SEARCH, "--json").json
    assert told["runs"] == [told["best"]["run"]]
    assert (searched / "tape-log" / "runs" / told["best"]["run"]).is_dir()
    worst = [row for row in told["rows"] if row["score"] is not None][-1]
    assert not (searched / "tape-log" / "runs" / worst["run"]).exists()
    run = tape("replay", worst["run"], "--json")
    assert run.code == ExitCode.OK, run.err
    trial = TrialStore(searched / "tape-log").get(worst["run"])
    assert trial is not None
    assert run.json["run"] == worst["run"]
    assert run.json["run_hash"] == trial.summary["run_hash"]
    assert float(run.json["end_equity"]) - 100_000 == pytest.approx(worst["measures"]["net_profit"])
    report = tape("report", worst["run"], "--json").json
    assert report["figures"]["trades"] == worst["measures"]["trades"]
    assert report["figures"]["profit_factor"] == pytest.approx(worst["measures"]["profit_factor"])


def test_a_trial_that_comes_out_different_as_a_run_is_named(searched: Path, tape: Tape) -> None:
    told = tape(*SEARCH, "--json").json
    store = TrialStore(searched / "tape-log")
    trial = store.get(told["rows"][-1]["run"])
    assert trial is not None
    trial.summary["run_hash"] = "0" * 32
    store.put(trial)
    done = tape("replay", trial.run)
    assert done.code == ExitCode.FOUND
    assert "comes out different" in done.err


@pytest.mark.extended
def test_every_trial_can_be_kept_as_a_whole_run(searched: Path, tape: Tape) -> None:
    light = tape(*SEARCH, "--json").json
    whole = tape(*SEARCH, "--json", "--keep", "all").json
    assert whole["counts"]["known"] == 1, "the best was whole already"
    assert without_circumstance(whole) == without_circumstance(light)
    assert {row["run"] for row in whole["rows"]} == {
        path.name for path in (searched / "tape-log" / "runs").iterdir() if path.is_dir()
    }


def test_walk_forward_tries_what_was_chosen_where_it_was_not(here: Path, tape: Tape) -> None:
    done = tape(*SEARCH, "--walk-forward", 3, "--json")
    assert done.code == ExitCode.OK, done.err
    told = done.json
    assert [fold["test"] for fold in told["folds"]] == DAYS[1:]
    assert [fold["train"] for fold in told["folds"]] == [
        DAYS[0],
        f"{DAYS[0]}..{DAYS[1]}",
        f"{DAYS[0]}..{DAYS[2]}",
    ]
    for number, fold in enumerate(told["folds"]):
        scores = {json.dumps(r["parameters"]): r["score"] for r in told["rows"] if r["fold"] == number}
        assert scores[json.dumps(fold["parameters"])] == max(scores.values())
    product = 1.0
    for fold in told["folds"]:
        product *= 1 + fold["measures"]["return"]
    assert told["walk_forward"]["return"] == pytest.approx(product - 1)
    assert told["runs"] == [fold["run"] for fold in told["folds"]]
    assert told["best"] is None


def test_the_least_drawdown_is_the_best(searched: Path, tape: Tape) -> None:
    told = tape(*SEARCH, "--objective", "max_drawdown", "--json").json
    scores = [row["score"] for row in told["rows"]]
    assert scores == sorted(scores)
    other = tape(*SEARCH, "--objective", "max_drawdown", "--max", "--json").json
    assert other["best"]["score"] == max(scores)
    assert other["study"] != told["study"]


def test_conditions_leave_combinations_out(searched: Path, tape: Tape) -> None:
    told = tape(*SEARCH, "--where", "hold * 10 < below and hold > 2", "--json").json
    assert told["counts"]["skipped"] == 15
    assert {row["parameters"]["hold"] for row in told["rows"]} == {3}


@pytest.mark.slow
def test_the_page_needs_nothing_else_and_is_small(here: Path, tape: Tape) -> None:
    command = (*SEARCH[:4], "--range", "below=51:53:0.2", "--range", "hold=3:12:1")
    done = tape(*command, "--html", "page.html")
    assert "wrote page.html" in done.out
    page = (here / "page.html").read_text("utf-8")
    assert len(page) < 300_000
    assert page.count("<rect") == 110
    for outside in ("http:", "https:", "src=", "@import", "url(", "<script", "<link"):
        assert outside not in page
    assert "prefers-color-scheme:dark" in page
    assert "Deflated Sharpe ratio" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--range", "belwo=1:2"), "did you mean 'below'?"),
        (("--range", "below=40:99"), "expected float <= 60.0"),
        (("--range", "hold=3:4", "--where", "other > 1"), "no parameter 'other'"),
        (("--range", "hold=3:4", "--where", "hold > 9"), "excludes all 2"),
        (("--range", "hold=3:40", "--trials", "5"), "more than --trials 5"),
        (("--range", "hold=3:4", "--walk-forward", "4"), "needs at least 5 sessions"),
        (("--range", "hold=3:4", "--rolling"), "--walk-forward"),
        (("--range", "hold=3:4", "--heatmap", "hold,nothing"), "--heatmap hold,nothing"),
    ],
)
def test_rubbish_is_refused_with_a_hint(
    here: Path, tape: Tape, arguments: tuple[str, ...], words: str
) -> None:
    done = tape(*SEARCH[:4], *arguments)
    assert done.code == ExitCode.USAGE
    assert words in done.err
    assert not (here / "tape-log" / "optimize").exists()


def test_without_optuna_a_bayesian_search_is_refused(
    here: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = tape(*SEARCH, "--search", "bayesian")
    assert done.code == ExitCode.USAGE
    assert "pip install 'truetape[optimize]'" in done.err


# -- one decoding for all trials ---------------------------------------------------------------


class Counting:
    """A reader that counts how often market data are decoded."""

    def __init__(self, reader: LogReader) -> None:
        self.reader = reader
        self.decoded = 0

    def __getattr__(self, name: str) -> Any:
        self.decoded += name == "market"
        return getattr(self.reader, name)


def test_a_shared_reader_reads_once_and_gives_the_same(made: Path) -> None:
    plain, counting = LogReader(made), Counting(LogReader(made))
    shared = SharedReader(counting)  # type: ignore[arg-type]
    choice = Selection(types=frozenset({Trade}), last_seq=200)
    expected = [list(chunk.events) for chunk in plain.market(choice)]
    assert [list(chunk.events) for chunk in shared.market(choice)] == expected
    assert [list(chunk.events) for chunk in shared.market(choice)] == expected
    assert counting.decoded == 1
    assert list(shared.entries()) == list(plain.entries())
    assert (shared.last_seq(), shared.coverage()) == (plain.last_seq(), plain.coverage())


def test_a_shared_reader_keeps_no_more_than_there_is_room_for(made: Path) -> None:
    counting = Counting(LogReader(made))
    shared = SharedReader(counting, events_max=10)  # type: ignore[arg-type]
    for _ in range(2):
        assert sum(len(chunk.events) for chunk in shared.market()) == 480
    assert counting.decoded == 2


SCRIPT = """
import contextlib, sys
import cli
import app.optimize.executing
print("the script ran", flush=True)
if "broken" in sys.argv:
    app.optimize.executing.without_main = contextlib.nullcontext
print(cli.main(["-q", *sys.argv[1].split()]))
"""


def script_runs(here: Path, *more: str) -> int:
    """How often a script without a guard for `__main__` is run by the search it starts."""
    (here / "script.py").write_text(SCRIPT, "utf-8")
    command = "optimize searched.py:Searched --jobs 2 --range hold=3:4"
    done = subprocess.run(
        [sys.executable, here / "script.py", command, *more],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.count("the script ran")


def test_a_search_does_not_run_the_script_that_started_it_again(here: Path) -> None:
    assert script_runs(here) == 1


@pytest.mark.extended
def test_the_check_of_scripts_catches_workers_that_import_them(here: Path) -> None:
    assert script_runs(here, "broken") > 1
