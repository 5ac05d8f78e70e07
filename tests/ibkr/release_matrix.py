"""Run the wire's tests on other releases of `ibapi`: `python -m tests.ibkr.release_matrix FOLDER`.

Fetches each release into its own folder under FOLDER, which lies outside the project, then runs the tests
with that folder first on the path. Not part of the ordinary run; `test_releases.py` runs it on folders
that are there already, if TRUETAPE_IBAPI_RELEASES names them.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
RELEASES = (
    "ibapi-stable==10.37.2",
    "ibapi-stable==10.45.1",
    "ibapi-stable==10.50.2",
    "ibapi-latest==10.51.1",
)
WHICH = "from adapters.ibkr.wire.distribution import installed as i; print(*i().distributions, i().version)"


def fetch(release: str, folder: Path) -> Path:
    """Install a release alone into its folder, if it is not there; return the folder."""
    target = folder / release.replace("==", "-")
    if not (target / "ibapi").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
        subprocess.run([*pip, release], check=True, timeout=300)
    return target


def run(target: Path) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Return the name and version that our probe finds with this folder in front, and the tests' outcome."""
    found = _python(target, "-c", WHICH)
    ignored = "--ignore=tests/ibkr/test_releases.py"
    outcome = _python(target, "-m", "pytest", "tests/ibkr", ignored, "-p", "no:cacheprovider")
    return found.stdout.strip() or found.stderr, outcome


def _python(target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(PROJECT)])}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def main() -> int:
    """Print a line a release; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    failed = 0
    for release in RELEASES:
        found, outcome = run(fetch(release, folder))
        failed |= outcome.returncode
        print(f"{release:24} {found:24} {outcome.stdout.strip().splitlines()[-1]}", flush=True)
        if outcome.returncode:
            print(outcome.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
