"""The official client against the gateway: the installed release, and others where they were fetched.

Each release runs in a process of its own. `TAPE_IBAPI_RELEASES` names a folder with one sub-folder for
each further release (`pip install --no-deps --target FOLDER/10.37.2 ibapi-stable==10.37.2`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("official.py")
FOLDER = os.environ.get("TAPE_IBAPI_RELEASES", "")
RELEASES = sorted(Path(FOLDER).iterdir()) if FOLDER else []
EXPECTED = {
    "nextValidId", "managedAccounts", "error", "tickPrice", "tickSize", "tickString",
    "marketDataType", "tickReqParams", "orderStatus", "openOrder", "openOrderEnd", "execDetails",
    "execDetailsEnd",
    "position", "positionEnd", "updateAccountValue", "updatePortfolio", "accountDownloadEnd",
    "accountSummary", "accountSummaryEnd", "pnl", "contractDetails", "contractDetailsEnd",
    "historicalData", "historicalDataEnd",
    "tickByTickAllLast", "completedOrder", "completedOrdersEnd", "currentTime", "symbolSamples",
}  # fmt: skip


def round_trip(port: int, path: str = "") -> dict[str, object]:
    env = {**os.environ, "PYTHONPATH": path} if path else dict(os.environ)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(port)],
        capture_output=True,
        text=True,
        timeout=90,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", [163, 176, 187, 194, 200])
def test_the_installed_release_makes_the_whole_round(ib_gateway, version):
    found = round_trip(ib_gateway(server_version=version).port)
    assert found["server"] == version
    missing = EXPECTED - set(found["kinds"])  # type: ignore[call-overload]
    assert missing == set()


@pytest.mark.skipif(not RELEASES, reason="TAPE_IBAPI_RELEASES names no folder with further releases of ibapi")
@pytest.mark.parametrize("version", [157, 176, 200])
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_other_releases_make_the_whole_round(ib_gateway, release, version):
    found = round_trip(ib_gateway(server_version=version).port, str(release))
    assert EXPECTED - set(found["kinds"]) == set()  # type: ignore[call-overload]
    assert found["server"] == version
