"""No decision may depend on the order of a set: it changes with the hash seed of the process."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted(p for package in ("core", "projections") for p in (PROJECT / package).rglob("*.py"))


def iterated_sets(source: str) -> list[int]:
    """Return the lines where a set display, a set comprehension or `set(…)` is iterated."""
    nodes = ast.walk(ast.parse(source))
    loops = [node for node in nodes if isinstance(node, ast.For | ast.comprehension)]
    return [loop.iter.lineno for loop in loops if is_set(loop.iter)]


def is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in {"set", "frozenset"}
    return isinstance(node, ast.Set | ast.SetComp)


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(PROJECT).as_posix())
def test_a_module_of_the_core_iterates_over_no_set(module):
    assert iterated_sets(module.read_text("utf-8")) == []


def test_the_lint_catches_an_iterated_set():
    assert iterated_sets("for x in set(y):\n    pass\nz = [a for a in {1, 2}]") == [1, 3]
