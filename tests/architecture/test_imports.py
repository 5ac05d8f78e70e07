"""Who may import whom. import-linter reads packages only, so the two top-level modules are held here."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "adapters", "eventstore", "projections", "core")


def imported(path: Path, *, lazily: bool) -> set[str]:
    """Return the top names of what a file imports; only those at module level, if not `lazily`."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = ast.walk(tree) if lazily else iter(tree.body)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def ours(names: set[str]) -> set[str]:
    return names & {*PACKAGES, "cli", "truetape"}


def test_the_command_line_imports_click_alone_before_a_verb_runs():
    standard = sys.stdlib_module_names
    assert imported(PROJECT / "cli.py", lazily=False) - standard == {"click"}


def test_the_command_line_reaches_the_system_through_app_only():
    # Errors carry the exit codes: the one thing that the command line knows of the core.
    assert ours(imported(PROJECT / "cli.py", lazily=True)) <= {"app", "core"}


def test_the_one_import_for_users_is_light():
    assert ours(imported(PROJECT / "truetape.py", lazily=False)) == {"core"}


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_imports_the_command_line(package):
    importers = [p for p in (PROJECT / package).rglob("*.py") if "cli" in imported(p, lazily=True)]
    assert importers == []


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "app"])
def test_nothing_below_app_imports_the_facade_for_users(package):
    importers = [p for p in (PROJECT / package).rglob("*.py") if "truetape" in imported(p, lazily=True)]
    assert importers == []


PLANTED = {
    "layers": ("projections/orders.py", "import eventstore.layout"),
    "rooms": ("eventstore/runs/proof.py", "import eventstore.journal.blocks"),
    "journal": ("eventstore/journal/blocks.py", "import pyarrow"),
    "purity": ("core/clock.py", "import time"),
    "ibapi": ("adapters/replay/source.py", "import ibapi"),
}


def test_the_contracts_catch_what_they_forbid(tmp_path):
    pytest.importorskip("importlinter", reason="import-linter comes with the extra `dev`")
    for package in PACKAGES:
        shutil.copytree(
            PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    assert verdicts(tmp_path) == dict.fromkeys(PLANTED, "KEPT")
    for file, line in PLANTED.values():
        target = tmp_path / file
        target.write_text(f"{target.read_text('utf-8')}\n{line}\n", "utf-8")
    assert verdicts(tmp_path) == dict.fromkeys(PLANTED, "BROKEN")


def verdicts(project: Path) -> dict[str, str]:
    """Return KEPT or BROKEN for each contract of the project at this path."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
    ]
    answer = subprocess.run(
        [*command, "--no-cache"], cwd=project, capture_output=True, text=True, check=False, timeout=60
    )
    text = " ".join(answer.stdout.split())
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    found = {}
    for contract in settings["tool"]["importlinter"]["contracts"]:
        after = text.partition(contract["name"])[2].split()
        found[contract["id"]] = after[0] if after else answer.stderr
    return found
