"""The sealing process, when whoever started it is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from eventstore.layout import Layout
from eventstore.sealing.client import SealJob, SealWorker
from tests.eventstore.sealed_logs import open_log, write_ticks

PROJECT = Path(__file__).resolve().parents[2]


def test_a_worker_whose_writer_was_killed_ends_without_a_word(tmp_path):
    worker = subprocess.Popen(
        [sys.executable, "-m", "eventstore.sealing.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
    )
    worker.stdout.close()  # as when the reading end died
    job = SealJob(root=str(tmp_path), segment=str(tmp_path / "nothing.evj"))
    worker.stdin.write(msgspec.json.encode(job) + b"\n")
    worker.stdin.close()
    assert (worker.wait(30), worker.stderr.read()) == (0, b"")
    worker.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to ignore")
def test_a_signal_to_the_whole_group_leaves_the_worker_to_its_writer(tmp_path):
    """systemd's stop and Ctrl-C: a worker that died of it would leave the segment that it seals unsealed."""
    root = tmp_path / "log"
    journal = open_log(root, sealing=False)
    write_ticks(journal, 500)
    journal.roll()
    worker = SealWorker(root)
    try:
        worker.offer(Layout(root).segments()[0])
        assert len(worker.drain(60)) == 1
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(worker.pid, number)
        write_ticks(journal, 500)
        journal.roll()
        worker.offer(Layout(root).segments()[1])
        assert len(worker.drain(60)) == 1
        assert worker.failures == []
    finally:
        worker.close()
        journal.close()
