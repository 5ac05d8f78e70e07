"""A session that is killed leaves no process behind that waits for ever or writes what the next one uses."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests import forked
from tests.live.leading import lead
from tests.live.processes import EARLY, HELD, PROJECT, Running
from tests.orphans import gone, until

APP = Path(__file__).resolve().parents[2] / "app"


def test_whom_a_killed_session_asked_or_told_ends_though_it_never_returns(sample_log, tmp_path):
    said = tmp_path / "said.txt"
    assert forked.run(lead, sample_log, tmp_path, errors=said, timeout_s=120) == -signal.SIGKILL, (
        said.read_text()
    )
    started = json.loads((tmp_path / "started.json").read_bytes())
    (careless,) = started.pop("careless")
    try:
        for name, pids in started.items():
            assert len(pids) == {"plug-in": 2, "listener": 1}[name]
            until(lambda pids=pids: all(map(gone, pids)))
        assert not gone(careless), "what does not follow its starter outlives it: the test would see it"
    finally:
        os.kill(careless, signal.SIGKILL)


def start_and_be_killed(log, place):
    """Start a session that is held and one that is careless, each with a log of its own, and die."""
    started = []
    for name, program in {"held": HELD, "careless": (str(PROJECT / "cli.py"),)}.items():
        root = shutil.copytree(log, place / name)
        options = ["--log", str(root), "live", "--demo", "--speed", "60", "--strategy", EARLY]
        started.append(Running(root, *options, program=program))
    pids = [session.until(session.status)["pid"] for session in started]
    (place / "started.json").write_text(json.dumps(pids))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.extended
def test_a_session_of_a_test_that_is_killed_ends_with_it(ib_gateway_log, tmp_path):
    said = tmp_path / "said.txt"
    code = forked.run(start_and_be_killed, ib_gateway_log, tmp_path, errors=said, timeout_s=120)
    assert code == -signal.SIGKILL, said.read_text()
    held, careless = json.loads((tmp_path / "started.json").read_text())
    try:
        until(lambda: gone(held))
        assert not gone(careless)
    finally:
        os.kill(careless, signal.SIGKILL)


@pytest.mark.parametrize("child", sorted(APP.rglob("*child.py")), ids=lambda path: path.stem)
def test_every_child_of_ours_ends_with_its_starter(child):
    assert "    end_with_starter(" in child.read_text("utf-8")
