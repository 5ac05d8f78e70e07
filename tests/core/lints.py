"""What must never stand in `core` and `projections`, found in the syntax tree of a module.

`impurities` finds reads of a clock, of randomness, of the environment, threads and I/O. `mixed_comparisons`
finds a float compared with a `Decimal`, as far as names and annotations show it.
"""

import ast
from collections.abc import Iterator

BANNED_MODULES = {
    "asyncio",
    "duckdb",
    "ibapi",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pandas",
    "pyarrow",
    "queue",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "uuid",
}
BANNED_NAMES = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint", "hash", "id"}
BANNED_ATTRIBUTES = {"now", "today", "utcnow"}  # of datetime and date
PURE_PATHS = {"PurePath", "PurePosixPath", "PureWindowsPath"}


def impurities(source: str) -> list[str]:
    """Return `line: what` of everything impure in a module."""
    tree = ast.parse(source)
    aliases = _datetime_aliases(tree)
    return [f"{node.lineno}: {what}" for node in ast.walk(tree) for what in _impure(node, aliases)]


def _datetime_aliases(tree: ast.AST) -> set[str]:
    found = {"datetime", "date"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "datetime":
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def _impure(node: ast.AST, datetimes: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] in BANNED_MODULES | {"pathlib"}:
                yield f"import {alias.name}"
    elif isinstance(node, ast.ImportFrom):
        module = (node.module or "").partition(".")[0]
        if module in BANNED_MODULES:
            yield f"from {node.module}"
        if module == "pathlib" and not {alias.name for alias in node.names} <= PURE_PATHS:
            yield "from pathlib"
    elif isinstance(node, ast.Name) and node.id in BANNED_NAMES and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Attribute) and node.attr in BANNED_ATTRIBUTES:
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        if owner in datetimes:
            yield f"{owner}.{node.attr}"


DECIMAL_CALLS = {"Decimal", "money", "price", "divide"}


def mixed_comparisons(source: str) -> list[str]:
    """Return `line: comparison` of every comparison between what is a float and what is a `Decimal`."""
    found: list[str] = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            kinds = _annotated(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Compare):
                    sides = {_kind(side, kinds) for side in (node.left, *node.comparators)}
                    if {"float", "Decimal"} <= sides:
                        found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def _annotated(function: ast.FunctionDef) -> dict[str, str]:
    """Return the kinds of a function's arguments and local names, followed through assignments."""
    kinds: dict[str, str] = {}
    for argument in (*function.args.args, *function.args.kwonlyargs):
        kinds[argument.arg] = _named_kind(argument.annotation)
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            kinds[node.target.id] = _named_kind(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            kinds[node.targets[0].id] = _kind(node.value, kinds)
    return kinds


def _named_kind(annotation: ast.expr | None) -> str:
    text = ast.unparse(annotation) if annotation is not None else ""
    names = {name.strip() for name in text.split("|")}
    return "Decimal" if "Decimal" in names else "float" if "float" in names else ""


# Fields and view methods whose kind is fixed by core.events and core.views.
FLOATS = {"low", "high", "bid", "ask", "mark", "bid_size", "ask_size", "close"}
DECIMALS = {"quantity", "filled", "exposed", "equity", "cash", "average_cost", "realised", "multiplier"}


def _kind(node: ast.expr, kinds: dict[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return "float" if isinstance(node.value, float) else ""
    if isinstance(node, ast.Name):
        return "Decimal" if node.id == "ZERO" else kinds.get(node.id, "")
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "float" or called in FLOATS:
            return "float"
        return "Decimal" if called in DECIMAL_CALLS | DECIMALS else ""
    if isinstance(node, ast.Attribute):
        return "float" if node.attr in FLOATS else "Decimal" if node.attr in DECIMALS else ""
    if isinstance(node, ast.BinOp):
        return _kind(node.left, kinds) or _kind(node.right, kinds)
    if isinstance(node, ast.UnaryOp):
        return _kind(node.operand, kinds)
    return ""
