"""The sealing process, when whoever started it is gone."""

import subprocess
import sys
from pathlib import Path

import msgspec

from eventstore.seal_client import SealJob

PROJECT = Path(__file__).resolve().parents[2]


def test_a_worker_whose_writer_was_killed_ends_without_a_word(tmp_path):
    worker = subprocess.Popen(
        [sys.executable, "-m", "eventstore.seal_worker"],
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
