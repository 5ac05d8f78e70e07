"""`tape replay` and `tape report`: from nothing to a run, and everything that may be asked wrongly."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.plugins.handlers import fault_of
from truetape import Parameters, Strategy

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "run",
    "events",
    "intents",
    "orders",
    "fills",
    "commissions",
    "start_equity",
    "end_equity",
    "max_drawdown",
    "run_hash",
    "decisions_hash",
}

RAISING = """
from truetape_for_tests import Parameters, Strategy


class Raising(Strategy[Parameters]):
    def subscriptions(self):
        from truetape_for_tests import Subscription

        return [Subscription("ZVXA")]

    def on_trade(self, trade):
        raise RuntimeError("as it happens")
""".replace("truetape_for_tests", "core.strategy")


def test_the_first_command_makes_a_log_from_the_sample_and_says_so(tape, tmp_path):
    done = tape("replay", "2025-07-03", "--json")
    assert done.code == 0
    assert "making it from the built-in sample (synthetic data)" in done.err
    assert "next: tape why F-1" in done.err
    assert done.json.keys() >= KEYS
    assert (tmp_path / "tape-log" / "sealed").is_dir()
    assert all(isinstance(done.json[key], int) for key in ("events", "intents", "orders", "fills"))
    assert all(isinstance(done.json[key], str) for key in KEYS - {"events", "intents", "orders", "fills"})
    assert tape("why", "F-1").code == 0


def test_the_same_replay_again_is_the_same_run(tape, sample_log, log):
    told = tape("--log", log, "report", "--json").json
    again = tape("--log", log, "replay", told["run"], "--json")
    assert again.code == 0
    assert again.json["run"] == told["run"]
    assert again.json["run_hash"] == told["figures"]["run_hash"]
    assert tape("--log", log, "status", "--json").json["runs"]["count"] == 1


@pytest.fixture
def held(tape, log, tmp_path):
    """A run of a strategy whose file can be changed: the run's id and the file."""
    source = tmp_path / "mine.py"
    shutil.copy(ROOT / "core" / "strategies" / "buy_and_hold.py", source)
    chosen = ["--strategy", "mine.py:BuyAndHold", "--set", "instrument=ZVXA"]
    return tape("--log", log, "replay", "2025-07-03", *chosen, "--json").json["run"], source


def test_a_run_whose_strategy_decides_otherwise_now_is_not_proven(tape, log, held):
    run, source = held
    source.write_text(source.read_text().replace("self.params.quantity,", "self.params.quantity + 1,"))
    done = tape("--log", log, "replay", run, "--json")
    assert (done.code, done.out) == (1, "")
    assert "decision 1 differs: OrderIntended: quantity was 100 and is 101" in done.err
    assert "changed since then: the code of BuyAndHold (mine.py:BuyAndHold)" in done.err
    differing = re.search(r"tape (--log \S+ diff \w+ \w+)", done.err)
    assert tape(*differing[1].split()).code == 1


def test_a_run_whose_strategy_was_edited_without_effect_is_proven_and_the_change_is_named(tape, log, held):
    run, source = held
    source.write_text(source.read_text() + "# a remark\n")
    done = tape("--log", log, "replay", run, "--json")
    assert done.code == 0
    assert done.json["run"] != run
    assert f"run {run} comes out the same, though there is a change in the code of BuyAndHold" in done.err


def test_a_run_whose_strategy_is_not_where_it_was_says_where_to_look(tape, log, held):
    run, source = held
    source.rename(source.with_name("moved.py"))
    done = tape("--log", log, "replay", run)
    assert (done.code, done.out) == (2, "")
    assert f"mine.py: no such file; expected path/file.py:Class; so run {run} names it" in done.err
    assert f"next: tape --log {log} replay 2025-07-03 --strategy FILE.py:Class" in done.err


def test_another_assumption_is_another_run(tape, log):
    args = ["--log", log, "replay", "2025-07-03", "--json"]
    slow = tape(*args, "--latency-ms", "250").json
    costly = tape(*args, "--cash", "5000").json
    assert slow["run"] != costly["run"]
    assert costly["start_equity"] == "5000"


def test_the_configuration_chooses_strategy_limits_and_cash(tape, log, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "[replay]\ncash = 20000\n[risk_management]\nmax_position_size = 0.1\n"
        "[[replay.strategy]]\nname = 'sma_cross'\nid = 'crosser'\n"
        "parameters = { instrument = 'ZVXA', fast = 40 }\n"
    )
    done = tape("--log", log, "-c", path, "replay", "2025-07-03", "--set", "slow=120", "--json")
    assert done.code == 0
    assert done.json["start_equity"] == done.json["end_equity"] == "20000"
    assert done.json["refused"] == done.json["intents"] > 0
    told = tape("--log", log, "report", "--json").json
    assert told["refused_by_rule"] == {"max_position_size": done.json["intents"]}
    (ran,) = told["strategies"]
    assert ran["id"] == "crosser"
    assert ran["parameters"] == {"instrument": "ZVXA", "fast": 40, "slow": 120, "quantity": 100}
    order = tape("--log", log, "orders", "--json").json[0]
    assert order["state"] == "Refused"
    assert "10.00% of equity" in order["message"]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["2013-10-07"], 7, "nearest dates are 2025-07-02"),
        (["2025-13-01"], 2, "is no date"),
        (["2025-07-03..2025-07-02"], 2, "after the last one"),
        (["nonesuch"], 7, "the latest are"),
        (["2025-07-03", "--strategy", "sma_cros"], 2, "did you mean 'sma_cross'?"),
        (["2025-07-03", "--strategy", "nowhere.py:X"], 2, "nowhere.py: no such file"),
        (["2025-07-03", "--strategy", "sma_cross"], 2, "needs a value for 'instrument'"),
        (["2025-07-03", "--set", "fats=3"], 2, "did you mean 'fast'?"),
        (["2025-07-03", "--set", "fast"], 2, "expected key=value"),
        (["2025-07-03", "--set", "fast=many"], 2, "fast=many"),
        (["2025-07-03", "--set", "fast=60"], 2, "must be smaller than slow"),
        (["2025-07-03", "--set", "instrument=ZVXQ"], 2, "did you mean ZVX"),
        (["2025-07-03", "--set", "quantity=0"], 2, "quantity=0"),
        (["2025-07-03", "--cash", "lots"], 2, "--cash lots"),
        (["2025-07-03", "--commission", "free"], 2, "free"),
        (["2025-07-03", "--feed", "lean/tick"], 7, "no feed 'lean/tick' in this log; it has sample/tick"),
        (["2025-7-3", "--set", "fast=3"], 2, "'2025-7-3' is neither a date"),
        (["2025-07-02..", "--cash", "5"], 2, "'2025-07-02..' is neither a date"),
        (["nonesuch", "--cash", "5"], 7, "run 'nonesuch' is not there"),
        (["latest", "--cash", "5"], 2, "leave out cash"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_words(tape, sample_log, args, code, says):
    done = tape("--log", sample_log, "replay", *args, "--json")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("error: ")
    assert says in done.err


def test_a_strategy_that_raises_ends_in_8_with_its_run_kept(tape, log, tmp_path):
    (tmp_path / "raising.py").write_text(RAISING)
    done = tape("--log", log, "replay", "2025-07-03", "--strategy", "raising.py:Raising", "--json")
    assert (done.code, done.out) == (8, "")
    assert "on_trade at raising.py:12" in done.err
    assert "RuntimeError: as it happens" in done.err
    assert "Traceback" not in done.err
    (failed,) = tape("--log", log, "events", "--type", "strategy_failed", "--json").json
    assert (failed["data"]["handler"], failed["data"]["line"]) == ("on_trade", 12)
    _, _, suggested = done.err.strip().partition("next: tape ")
    assert suggested.startswith(f"--log {log} state --run ")
    assert tape(*suggested.split()).code == 0


HEAD = """
import sys

from truetape import Parameters, Strategy


class P(Parameters, frozen=True):
    instrument: str = "ZVXA"


class Odd(Strategy[P]):
"""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def __init__(self, params):\n        raise ValueError('too early')", "in __init__ at {}/odd.py:13"),
        (
            "def subscriptions(self):\n        return 1 / 0",
            "in subscriptions at {}/odd.py:13: ZeroDivisionError",
        ),
        ("def __init__(self, params):\n        sys.exit(3)", "in __init__ at {}/odd.py:13: SystemExit: 3"),
        ("def on_trade(self, trade):\n        sys.exit(3)", "in on_trade at odd.py:13"),
        ("def on_trade(self, trade):\n        self.record('x', 'many')", "expected a number, not str"),
    ],
)
def test_a_strategy_that_goes_wrong_is_no_bug_of_ours_and_ends_in_8(tape, log, tmp_path, body, says):
    (tmp_path / "odd.py").write_text(f"{HEAD}    {body}\n")
    done = tape("--log", log, "replay", "2025-07-03", "--strategy", "odd.py:Odd", "--json")
    assert (done.code, done.out) == (8, "")
    assert says.format(tmp_path) in done.err


def test_a_quantity_in_words_is_refused_and_the_strategy_goes_on(tape, log, tmp_path):
    body = "asked = False\n    def on_trade(self, trade):\n        if not self.asked:\n"
    body += "            self.asked = True\n            self.buy('ZVXA', 'many', reason='')"
    (tmp_path / "odd.py").write_text(f"{HEAD}    {body}\n")
    done = tape("--log", log, "replay", "2025-07-03", "--strategy", "odd.py:Odd", "--json")
    assert (done.code, done.json["refused"], done.json["orders"]) == (0, 1, 0)
    report = tape("--log", log, "report", done.json["run"], "--json").json
    assert report["refused_by_rule"] == {"quantity": 1}


def test_a_termination_signal_in_a_handler_is_not_taken_for_a_strategy_that_exits(log, tmp_path):
    body = "def on_trade(self, trade):\n        os.kill(os.getpid(), signal.SIGTERM)"
    (tmp_path / "odd.py").write_text(f"import os, signal\n{HEAD}    {body}\n")
    command = [sys.executable, str(ROOT / "cli.py"), "--log", str(log), "replay", "2025-07-03"]
    command += ["--strategy", "odd.py:Odd"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "stopped; no run is kept\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = (", "broken.py:1"),
        ("import sys\n\nsys.exit(4)\n", "broken.py:3: SystemExit: 4"),
        ("\nimport nonesuch_module\n", "broken.py:2: ModuleNotFoundError"),
        ("class X: pass", "it has no such thing: a subclass of truetape.Strategy"),
    ],
)
def test_a_strategy_file_that_does_not_load_is_named_with_its_line(tape, sample_log, tmp_path, text, says):
    (tmp_path / "broken.py").write_text(text)
    done = tape("--log", sample_log, "replay", "2025-07-03", "--strategy", "broken.py:X")
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (
            "def on_trade(self, trade, more): ...",
            "missing a required argument: 'more'; expected def on_trade(self, trade)",
        ),
        ("def on_start(self, first): ...", "expected def on_start(self)"),
        ("def on_trdae(self, trade): ...", "on_trdae is no handler; did you mean on_trade?"),
        (
            "def on_tick(self, tick): ...",
            "on_tick is no handler, and it has no other: handlers are on_start,",
        ),
        ("async def on_trade(self, trade): ...", "on_trade is async, so what it says would never run"),
        ("def on_trade(self, trade): yield", "on_trade is a generator (it has a yield), so what it says"),
        ("on_trade = None", "on_trade is None, which cannot be called"),
    ],
)
def test_a_handler_that_would_never_be_called_is_refused(tape, sample_log, tmp_path, handler, says):
    (tmp_path / "odd.py").write_text(f"{HEAD}    {handler}\n")
    done = tape("--log", sample_log, "replay", "2025-07-03", "--strategy", "odd.py:Odd")
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_what_a_strategy_prints_does_not_get_into_the_json(tape, morning, tmp_path):
    body = "def on_start(self): print('from a handler')"
    (tmp_path / "odd.py").write_text(f"print('from the file')\n{HEAD}    {body}\n")
    done = tape("--log", morning, "replay", "2025-07-02", "--strategy", "odd.py:Odd", "--json")
    assert done.json["intents"] == 0
    assert "from the file" in done.err
    assert "from a handler" in done.err


def test_handlers_with_defaults_decorators_and_methods_of_ones_own_are_taken():
    class Fine(Strategy[Parameters]):
        def on_trade(self, trade, seen=0): ...

        on_fill = staticmethod(print)
        on_quote = functools.partialmethod(on_trade, seen=1)

        def on_regime(self): ...

    assert fault_of(Fine) == ""


def test_hashes_do_not_depend_on_hash_seed_zone_or_place(tape, sample_log, tmp_path):
    told = tape("--log", sample_log, "report", "--json").json
    shutil.copytree(sample_log, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "elsewhere" / "runs" / told["run"])
    args = [
        "replay",
        "2025-07-03",
        "--strategy",
        "sma_cross",
        "--strategy",
        "buy_and_hold",
        "--set",
        "instrument=ZVXA",
    ]
    args += ["--set", "sma_cross.fast=40", "--set", "sma_cross.slow=120", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, str(ROOT / "cli.py"), "--log", "elsewhere", *args]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["run"] == told["run"]
    assert again["run_hash"] == told["figures"]["run_hash"]
    assert again["decisions_hash"] == told["figures"]["decisions_hash"]


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e300"])
def test_an_amount_of_time_that_nobody_can_wait_for_is_refused(tape, log, value):
    assert tape("--log", log, "replay", "2025-07-03", "--latency-ms", value).code == 2
    assert tape("--log", log, "sql", "SELECT 1", "--timeout", value).code == 2
    assert tape("--log", log, "seal", "--timeout", value).code == 2


def test_a_latency_that_is_no_number_is_refused_as_one(tape, log):
    done = tape("--log", log, "replay", "2025-07-03", "--latency-ms", "soon")
    assert done.code == 2
    assert "'soon' is not a number" in done.err


def test_a_run_that_failed_is_marked_in_sql(tape, log, tmp_path):
    (tmp_path / "raising.py").write_text(RAISING)
    tape("--log", log, "replay", "2025-07-03", "--strategy", "raising.py:Raising")
    rows = tape(
        "--log", log, "sql", "SELECT failed, count(*) AS n FROM runs GROUP BY ALL ORDER BY ALL", "--json"
    )
    assert rows.json == [{"failed": False, "n": 1}, {"failed": True, "n": 1}]


def test_the_report_of_a_failed_run_says_what_failed(tape, log, tmp_path):
    (tmp_path / "raising.py").write_text(RAISING)
    assert tape("--log", log, "replay", "2025-07-03", "--strategy", "raising.py:Raising").code == 8
    done = tape("--log", log, "report")
    assert (
        "FAILED, so the figures end there: strategy Raising raised in on_trade at raising.py:12" in done.out
    )
    assert "as it happens" in tape("--log", log, "report", "--json").json["failed"]


def test_a_replay_does_not_fail_where_views_sql_cannot_be_written(tape, log):
    (log / "views.sql").unlink()
    (log / "views.sql").mkdir()
    done = tape(
        "--log", log, "replay", "2025-07-03", "--strategy", "buy_and_hold", "--set", "instrument=ZVXA"
    )
    assert done.code == 0, done.err
    assert len(list(log.glob("runs/[0-9a-f]*"))) == 2
