"""The core and the folds are functions of events: no clock, no file, no chance. What imports cannot show."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted(p for package in ("core", "projections") for p in (PROJECT / package).rglob("*.py"))

IMPURE_CALLS = frozenset({"open", "print", "input", "eval", "exec", "id", "hash", "globals", "__import__"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today", "fromtimestamp"})


def impurities(source: str) -> list[str]:
    """Return the calls that make a result depend on more than the arguments, as `line: call`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
            found.append(f"{node.lineno}: {called.id}()")
        elif isinstance(called, ast.Attribute) and called.attr in IMPURE_METHODS:
            # A time zone makes fromtimestamp a pure conversion; the host's zone would be an input.
            if called.attr == "fromtimestamp" and len(node.args) + len(node.keywords) > 1:
                continue
            found.append(f"{node.lineno}: .{called.attr}()")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(PROJECT).as_posix())
def test_a_module_of_the_core_depends_on_its_arguments_alone(module):
    assert impurities(module.read_text("utf-8")) == []


def iterated_sets(source: str) -> list[int]:
    """Return the lines where a set literal or `set(…)` is iterated: its order changes with the hash seed."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        targets = [node.iter] if isinstance(node, ast.For | ast.comprehension) else []
        for target in targets:
            is_call = isinstance(target, ast.Call) and isinstance(target.func, ast.Name)
            if isinstance(target, ast.Set | ast.SetComp) or (
                is_call and target.func.id in {"set", "frozenset"}
            ):
                lines.append(target.lineno)
    return lines


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(PROJECT).as_posix())
def test_a_module_of_the_core_iterates_over_no_set(module):
    assert iterated_sets(module.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from datetime import datetime\nx = datetime.now()",
        "open('a')",
        "datetime.fromtimestamp(1)",
        "print(1)",
    ],
)
def test_the_lint_catches_what_it_forbids(planted):
    assert len(impurities(planted)) == 1


def test_the_lint_catches_an_iterated_set():
    assert iterated_sets("for x in set(y):\n    pass\nz = [a for a in {1, 2}]") == [1, 3]
