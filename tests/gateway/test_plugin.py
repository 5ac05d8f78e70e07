"""The pytest plugin as a stranger's project sees it: a fixture that is simply there."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

STRANGER = """
import socket


def test_two_gateways_share_a_book(ib_gateway):
    first = ib_gateway(speed="step", faults="connect 1: close")
    line = socket.create_connection((first.host, first.port), 5)
    assert line.recv(1) == b""
    line.close()
    assert first.fired == ["connect 1: close"]
    first.stop()
    second = ib_gateway()
    assert second.book == first.book
    assert second.account == "DU1000001"
"""


@pytest.mark.slow
def test_installing_the_project_gives_pytest_the_fixture(tmp_path):
    assert [e.value for e in entry_points(group="pytest11", name="truetape_gateway")] == [
        "app.pytest_gateway"
    ]
    (tmp_path / "test_stranger.py").write_text(STRANGER)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_plugin_loads_nothing_until_a_test_asks_for_it():
    heavy = {"core", "msgspec", "numpy", "eventstore"}
    code = f"import sys, app.pytest_gateway; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
