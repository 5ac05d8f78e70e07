"""A replay loads neither pandas nor duckdb nor the broker: they cost more than a short replay itself."""

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_CHILD = """
import sys
import cli
code = cli.main(["--log", sys.argv[1], "-q", "replay", "2025-07-03"])
unwanted = {"pandas", "duckdb", "exchange_calendars", "adapters.ibkr.wire", "asyncio"}
unwanted |= {"pyarrow.compute", "importlib.metadata", "tomllib"}
print(code, sorted(unwanted & set(sys.modules)))
"""


def test_a_replay_loads_no_heavy_package_that_it_does_not_need(ib_gateway_log, tmp_path):
    root = shutil.copytree(ib_gateway_log, tmp_path / "log")
    command = [sys.executable, "-c", _CHILD, str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.splitlines()[-1] == "0 []"
