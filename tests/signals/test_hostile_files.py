"""Hostile workbooks (fault 18): refused with a reason in little memory and time, measured in a child."""

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.conftest import sampled
from tests.signals.workbooks import HEADER, HOSTILE, cells, digits, far, raw

pytestmark = [
    pytest.mark.signal,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(),
        reason="peak memory is measured by /proc, which this system lacks",
    ),
]
CHILD = Path(__file__).with_name("reader_child.py")
MEMORY_MB, SECONDS = 300, 5
PATIENCE_S = 60


def read(how, path):
    command = [sys.executable, str(CHILD), how, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", sampled(HOSTILE, 2))
def test_a_hostile_workbook_is_refused_in_bounds(kind, tmp_path):
    make, said = HOSTILE[kind]
    found = read("guarded", make(tmp_path / "hostile.xlsx"))
    assert said in found["said"]
    assert "hostile.xlsx" in found["said"]
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS


@pytest.mark.slow
def test_the_measure_catches_a_reader_without_the_checks(tmp_path):
    found = read("bare", raw(tmp_path / "hostile.xlsx", f"<row>{digits(800_000)}</row>"))
    assert found["peak_mb"] > MEMORY_MB or found["seconds"] > SECONDS


def test_a_far_cell_is_named_with_its_sheet(tmp_path):
    found = read("guarded", far(tmp_path / "far.xlsx"))
    assert found["said"].startswith("far.xlsx: sheet 'BMA' reaches cell")


def test_ten_thousand_unknown_symbols_and_dates_are_rejected_in_bounds(tmp_path):
    rows = [
        cells(n, f"X{n:06d}", "<v>1</v>", f"20{n % 30:02d}-0{n % 9 + 1}-{n % 28 + 1:02d}")
        for n in range(2, 9_900)
    ]
    found = read("guarded", raw(tmp_path / "many.xlsx", HEADER + "".join(rows)))
    assert found["said"].count("unknown symbol") == len(rows)
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS


def test_ten_thousand_different_days_are_read_in_bounds(tmp_path):
    days = [date(2015, 7, 11) + timedelta(days=n % 3650) for n in range(9_000)]
    rows = [cells(n, "ACME", "<v>1</v>", day.isoformat()) for n, day in enumerate(days, 2)]
    found = read("guarded", raw(tmp_path / "many.xlsx", HEADER + "".join(rows)))
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS
