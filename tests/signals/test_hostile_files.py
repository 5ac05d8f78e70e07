"""Hostile workbooks (fault 18): refused with a reason in little memory and time, measured in a process."""

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


@pytest.fixture(scope="module")
def read():
    """Read a file in a process of its own, and return what it said of itself."""
    with subprocess.Popen(
        [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:

        def ask(how, path):
            reader.stdin.write(f"{how} {path}\n")
            reader.stdin.flush()
            told = json.loads(reader.stdout.readline())
            assert "ended" not in told, f"the reader of {path} ended with {told['ended']}"
            return told

        yield ask
        reader.stdin.close()


@pytest.mark.parametrize("kind", sampled(HOSTILE, 2))
def test_a_hostile_workbook_is_refused_in_bounds(read, kind, tmp_path):
    make, said = HOSTILE[kind]
    found = read("guarded", make(tmp_path / "hostile.xlsx"))
    assert said in found["said"]
    assert "hostile.xlsx" in found["said"]
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS


@pytest.mark.slow
def test_the_measure_catches_a_reader_without_the_checks(read, tmp_path):
    found = read("bare", raw(tmp_path / "hostile.xlsx", f"<row>{digits(600_000)}</row>"))
    assert found["peak_mb"] > MEMORY_MB or found["seconds"] > SECONDS


def test_a_far_cell_is_named_with_its_sheet(read, tmp_path):
    found = read("guarded", far(tmp_path / "far.xlsx"))
    assert found["said"].startswith("far.xlsx: sheet 'BMA' reaches cell")


def test_ten_thousand_unknown_symbols_and_dates_are_rejected_in_bounds(read, tmp_path):
    rows = [
        cells(n, f"X{n:06d}", "<v>1</v>", f"20{n % 30:02d}-0{n % 9 + 1}-{n % 28 + 1:02d}")
        for n in range(2, 9_900)
    ]
    found = read("guarded", raw(tmp_path / "many.xlsx", HEADER + "".join(rows)))
    assert found["said"].count("unknown symbol") == len(rows)
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS


def test_ten_thousand_different_days_are_read_in_bounds(read, tmp_path):
    days = [date(2015, 7, 11) + timedelta(days=n % 3650) for n in range(9_000)]
    rows = [cells(n, "ACME", "<v>1</v>", day.isoformat()) for n, day in enumerate(days, 2)]
    found = read("guarded", raw(tmp_path / "many.xlsx", HEADER + "".join(rows)))
    assert found["peak_mb"] < MEMORY_MB
    assert found["seconds"] < SECONDS
