"""The gateway's modules import one another one way, in annotations too: none needs one that needs it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import adapters.ibkr.gateway

PACKAGE = "adapters.ibkr.gateway"
MODULES = sorted(Path(adapters.ibkr.gateway.__file__).parent.glob("*.py"))


def imported(path):
    """Return the modules of the package that a module imports anywhere in its text."""
    tree = ast.parse(path.read_text("utf-8"))
    found = [(n.module or "", n.names) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    inner = {module.removeprefix(f"{PACKAGE}.") for module, _ in found if module.startswith(f"{PACKAGE}.")}
    return inner | {alias.name for module, names in found if module == PACKAGE for alias in names}


def test_no_module_of_the_gateway_needs_one_that_needs_it():
    graph = {path.stem: imported(path) for path in MODULES}
    assert "mischief" in graph["session"]
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("mischief") < order.index("session") < order.index("server")


def test_a_circle_is_caught():
    graph = {path.stem: imported(path) for path in MODULES}
    graph["mischief"].add("session")
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()
