"""A digest is the same in every process, whatever seeds its hashing."""

import os
import subprocess
import sys
from pathlib import Path

from tests.projections.build import charge, fill
from tests.properties.histories import digests, folded, history

ROOT = Path(__file__).parents[2]
REPORTS = [
    fill("F-1", "BUY", 30, "10.01", ts=2, order="a-1-0", strategy="a"),
    fill("F-2", "BUY", 10, "11.37", ts=3, order="b-1-1", strategy="b"),
    charge("F-1", "0.35", order="a-1-0"),
]
SCRIPT = "from tests.properties.test_digests import *; print(digests(folded(history(REPORTS))))"


def printed(seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_processes_with_different_hash_seeds_agree_on_every_digest():
    expected = str(digests(folded(history(REPORTS))))
    assert [printed("0"), printed("1")] == [expected, expected]


def test_a_digest_leaves_out_how_far_the_log_was_read():
    shorter, longer = folded(history(REPORTS)), folded(history(REPORTS))
    for projection in longer:
        projection.applied_seq += 1000
    assert digests(shorter) == digests(longer)
