"""`tape diff`: two runs, and the first decision that differs."""

import shutil

import pytest

from tests.conftest import new_run


@pytest.fixture(scope="module")
def two_runs(ib_gateway_log, tmp_path_factory):
    """A log with two runs of one date that decide differently, and their ids."""
    log = shutil.copytree(ib_gateway_log, tmp_path_factory.mktemp("diff") / "log")
    crossing = ["replay", "2025-07-03", "--strategy", "sma_cross", "--set", "instrument=ZVXA"]
    return log, new_run(log, *crossing), new_run(log, *crossing, "--set", "fast=21")


def test_a_run_compared_with_itself_is_alike_and_exits_0(tape, two_runs):
    log, first, _ = two_runs
    done = tape("--log", log, "diff", first, first)
    assert (done.code, "decide alike" in done.out) == (0, True)


def test_runs_that_differ_exit_1_and_name_the_first_decision_and_its_input(tape, two_runs):
    log, first, second = two_runs
    done = tape("--log", log, "diff", first, second, "--json")
    told = done.json
    assert done.code == 1
    assert (told["first"], told["second"], told["same_decisions"]) == (first, second, False)
    difference = told["difference"]
    assert difference["number"] >= 1
    assert 0 < difference["first_at"] < 2**40
    assert difference["text"].startswith(f"decision {difference['number']} ")


def test_an_unknown_run_is_refused_with_the_runs_there_are(tape, two_runs):
    log, first, _ = two_runs
    done = tape("--log", log, "diff", "nosuchrun", first)
    assert (done.code, first in done.err) == (7, True)
