"""`init`, `strategies`, `config`, `export`: a project of one's own, and data that leave the log."""

import contextlib
import csv
import io
import os
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.replay.fixtures import load_fixture
from core.events import SignalReceived
from tests.live.processes import Running
from tests.logs import events_of

ROOT = Path(__file__).resolve().parents[2]


def pytest_in(directory: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # As the command `pytest` runs: unlike `python -m pytest`, without the current directory on the path.
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.slow
def test_init_writes_a_project_whose_test_passes_and_whose_strategy_replays(tape, tmp_path, log, monkeypatch):
    done = tape("init", "mine", "--json")
    assert done.code == 0
    assert done.json["written"] == [
        "mine/tape.toml",
        "mine/strategies/breakout.py",
        "mine/tests/test_breakout.py",
        "mine/plugins/opinion.py",
        "mine/tests/test_opinion.py",
        "mine/plugins/sizing.py",
        "mine/tests/test_sizing.py",
        "mine/conftest.py",
    ]
    result = pytest_in(tmp_path, "mine")  # as from an editor: not in the project's own directory
    assert result.returncode == 0, result.stdout + result.stderr
    monkeypatch.chdir(tmp_path / "mine")
    replayed = tape("--log", log, "replay", "2025-07-03", "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.json["fills"] > 0
    assert "strategies/breakout.py:Breakout" in tape("strategies").out
    listed = tape("plugins")
    assert (listed.code, "signal source  plugins/opinion.py:Opinion" in listed.out) == (0, True)
    assert "sizer  plugins/sizing.py:by_price" in listed.out
    demo = Running(log, "--log", str(log), "-q", "live", "--demo", "2025-07-02", "--speed", "60")
    demo.until(lambda: events_of(log, SignalReceived))
    code, _, said = demo.end()
    assert code == 130, said
    told = tape("--log", log, "sql", "SELECT DISTINCT source, instrument FROM signals", "--json").json
    assert {"source": "opinion", "instrument": "ZVXA"} in told


def test_the_test_of_the_signal_source_finds_an_opinion_that_is_none(tape, tmp_path):
    assert tape("init", "mine").code == 0
    code = tmp_path / "mine" / "plugins" / "opinion.py"
    code.write_text(code.read_text().replace("0.7", "7"))
    assert pytest_in(tmp_path / "mine", "tests/test_opinion.py").returncode == 1


def test_the_next_step_after_init_goes_to_a_folder_with_a_space(tape):
    words = shlex.split(tape("init", "my project").err)
    assert Path(words[words.index("cd") + 1], "tape.toml").is_file()


def test_init_overwrites_nothing(tape, tmp_path):
    (tmp_path / "tape.toml").write_text("mine = true")
    done = tape("init")
    assert done.code == 2
    assert "tape.toml" in done.err
    assert (tmp_path / "tape.toml").read_text() == "mine = true"
    assert not (tmp_path / "strategies").exists()


def test_strategies_show_parameters_and_what_does_not_load(tape, tmp_path):
    whole = tape("strategies", "--json")
    assert whole.code == 0
    sma = next(row for row in whole.json if row["name"] == "sma_cross")
    assert [(p["name"], p["required"], p["default"]) for p in sma["parameters"]] == [
        ("instrument", True, None),
        ("fast", False, 20),
        ("slow", False, 50),
        ("quantity", False, 100),
    ]
    (tmp_path / "broken.py").write_text("x = (")
    broken = tape("strategies", "broken.py", "--json")
    assert broken.code == 1
    assert "broken.py:1" in broken.json[-1]["error"]
    named = tape("strategies", "sma_cross", "sma_crosss", "--json")
    assert [row["name"] for row in named.json] == ["sma_cross", "sma_crosss"]
    assert (named.code, named.json[0]) == (1, sma)
    assert "sma_cross" in named.json[1]["error"]


def test_strategies_are_listed_without_running_files_that_hold_none(tape, tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "notes.py").write_text("raise SystemExit('was run')")
    assert tape("strategies").code == 0


def test_a_slice_of_one_type_is_exported_to_one_file(tape, sample_log, tmp_path):
    args = ["--log", sample_log, "export", "--type", "trade", "--instrument", "ZVXA", "--date", "2025-07-03"]
    done = tape(*args, "trades.parquet", "--json")
    assert done.code == 0
    table = pq.read_table(tmp_path / "trades.parquet")
    assert done.json["files"] == {"trades.parquet": table.num_rows}
    assert set(table["instrument"].to_pylist()) == {"ZVXA"}
    told = tape(*args, "trades.csv")
    assert told.code == 0
    for said in (done.err, told.err):
        begin, option, code = shlex.split(said.partition("next: ")[2])
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(code)  # what it says to do next
        assert (begin, option, f"[{table.num_rows} rows x " in shown.getvalue()) == ("python", "-c", True)
    with (tmp_path / "trades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seq"]) for row in rows] == table["seq"].to_pylist()
    assert [float(row["price"]) for row in rows] == table["price"].to_pylist()


def test_a_run_is_exported_to_a_directory_of_types(tape, sample_log, tmp_path):
    done = tape("--log", sample_log, "export", "out", "--run", "latest", "--json")
    assert done.code == 0
    fills = tape("--log", sample_log, "fills", "--json").json
    assert pq.read_table(tmp_path / "out" / "filled.parquet").num_rows == len(fills)


def test_an_ending_in_capitals_is_the_same_ending(tape, sample_log, tmp_path):
    done = tape("--log", sample_log, "export", "HALTS.CSV", "--type", "halt")
    assert (done.code, (tmp_path / "HALTS.CSV").is_file()) == (0, True)
    assert "read_csv" in done.err


def test_the_next_step_after_a_fixture_is_one_that_works_in_a_folder_with_a_space(tape, sample_log, tmp_path):
    done = tape("--log", sample_log, "export", "--fixture", "day", "my tests")
    assert Path(shlex.split(done.err.strip())[-1]).is_file()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ([], 2, "name OUT"),
        (["x.csv"], 2, "add --type"),
        (["x.xlsx", "--type", "trade"], 2, "expected .parquet or .csv"),
        (["x.csv", "--type", "bar"], 7, "no such events"),
        (["x.csv", "--type", "filled"], 7, "a run has its own: --run latest"),
        (["taken", "--type", "trade"], 2, "overwrites nothing"),
        (["x", "--date", "2020-01-01"], 7, "it has 2025-07-02"),
        (["no/such/dir/x.csv", "--type", "traed"], 2, "did you mean trade?"),
        (["--fixture", "a b"], 2, "letters, digits"),
        (["--fixture", "x", "--type", "trade"], 2, "leave out"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_nothing(tape, sample_log, tmp_path, args, code, says):
    (tmp_path / "taken").mkdir()
    done = tape("--log", sample_log, "export", *args, "--json")
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_fixture_of_no_run_leaves_nothing_behind(tape, tmp_path):
    assert tape("export", "--fixture", "nothing").code == 7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_becomes_a_test_that_passes_without_its_log(tape, log, tmp_path):
    done = tape("--log", log, "export", "--fixture", "quiet_morning", "--json")
    assert done.code == 0, done.err
    assert done.json["written"] == ["tests/fixtures/quiet_morning", "tests/fixtures/test_quiet_morning.py"]
    log.rename(tmp_path / "away")
    result = pytest_in(tmp_path, "tests/fixtures")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


def test_a_fixture_names_the_first_decision_that_a_changed_strategy_makes_differently(tape, log, tmp_path):
    source = (ROOT / "core" / "strategies" / "buy_and_hold.py").read_text()
    (tmp_path / "mine.py").write_text(source)
    args = ["--strategy", "mine.py:BuyAndHold", "--set", "instrument=ZVXA"]
    assert tape("--log", log, "replay", "2025-07-03", *args).code == 0
    assert tape("--log", log, "export", "--fixture", "held").code == 0
    fixture = load_fixture(tmp_path / "tests" / "fixtures" / "held")
    assert tape("--log", fixture.path, "verify").code == 0, "no high-water mark is needed there"
    assert "damaged" not in tape("--log", fixture.path, "status").err
    with chdir(tmp_path / "tests"):  # where a test runner may start
        same = load_fixture("fixtures/held").replay()
    assert (same.decisions_hash, same.difference) == (fixture.decisions_hash, None)
    (tmp_path / "mine.py").write_text(source.replace("first price of the period", "no reason at all"))
    changed = fixture.replay()
    assert changed.decisions_hash != fixture.decisions_hash
    assert changed.difference is not None
    assert changed.difference.startswith("decision 1 differs: OrderIntended: reason was 'first price")
