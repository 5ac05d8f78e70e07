"""`tape diff`: two runs, and the first decision that differs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def tape(log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "cli.py"), "--log", str(log), *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> tuple[Path, str, str]:
    log = tmp_path_factory.mktemp("diff") / "log"
    first = json.loads(tape(log, "replay", "2025-07-03", "--json").stdout)["run"]
    settings = ["--strategy", "sma_cross", "--set", "instrument=ZVXA", "--set", "fast=21"]
    second = json.loads(tape(log, "replay", "2025-07-03", *settings, "--json").stdout)["run"]
    return log, first, second


def test_a_run_compared_with_itself_is_alike_and_exits_0(two_runs):
    log, first, _ = two_runs
    done = tape(log, "diff", first, first)
    assert (done.returncode, "decide alike" in done.stdout) == (0, True)


def test_runs_that_differ_exit_1_and_name_the_first_decision_and_its_input(two_runs):
    log, first, second = two_runs
    done = tape(log, "diff", first, second, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["first"], told["second"], told["same_decisions"]) == (first, second, False)
    difference = told["difference"]
    assert difference["number"] >= 1
    assert 0 < difference["first_at"] < 2**40
    assert difference["text"].startswith(f"decision {difference['number']} ")


def test_an_unknown_run_is_refused_with_the_runs_there_are(two_runs):
    log, first, _ = two_runs
    done = tape(log, "diff", "nosuchrun", first)
    assert (done.returncode, first in done.stderr) == (7, True)
