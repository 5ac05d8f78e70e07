"""A session that is killed leaves no process behind that waits for ever or writes what the next one uses."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests import forked
from tests.live.leading import lead
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


@pytest.mark.parametrize("child", sorted(APP.rglob("*child.py")), ids=lambda path: path.stem)
def test_every_child_of_ours_ends_with_its_starter(child):
    assert "    end_with_starter(" in child.read_text("utf-8")
