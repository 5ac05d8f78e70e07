"""A replay loads neither pandas nor duckdb nor the broker: they cost more than a short replay itself."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_CHILD = """
import sys
import cli
code = cli.main(["--log", sys.argv[1], "-q", "replay", "2025-07-03"])
unwanted = {"pandas", "duckdb", "exchange_calendars", "adapters.ibkr.wire", "asyncio"}
unwanted |= {"pyarrow.compute", "importlib.metadata"}
print(code, sorted(unwanted & set(sys.modules)))
"""


def test_a_replay_loads_no_heavy_package_that_it_does_not_need(tmp_path):
    make = [sys.executable, str(PROJECT / "cli.py"), "--log", str(tmp_path / "log"), "-q"]
    subprocess.run([*make, "import", "--format", "sample"], check=True, capture_output=True)
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "log")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.splitlines()[-1] == "0 []"
