"""Hostile workbooks (fault 18): refused with a reason, in little memory and time, measured in a child."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.signals.workbooks import HOSTILE, digits, far, raw

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is measured by /proc, which this system lacks"
)
CHILD = Path(__file__).with_name("reader_child.py")
MEMORY_MB, SECONDS = 300, 5
PATIENCE_S = 60


def read(how, path):
    command = [sys.executable, str(CHILD), how, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_workbook_is_refused_in_bounds(kind, tmp_path):
    make, said = HOSTILE[kind]
    found = read("guarded", make(tmp_path / "hostile.xlsx"))
    assert said in found["said"]
    assert "hostile.xlsx" in found["said"]
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS


@pytest.mark.slow
def test_the_measure_catches_a_reader_without_the_checks(tmp_path):
    found = read("bare", raw(tmp_path / "hostile.xlsx", f"<row>{digits(1_500_000)}</row>"))
    assert found["peak_mb"] > MEMORY_MB or found["seconds"] > SECONDS


def test_a_far_cell_is_named_with_its_sheet(tmp_path):
    found = read("guarded", far(tmp_path / "far.xlsx"))
    assert found["said"].startswith("far.xlsx: sheet 'BMA' reaches cell")
