"""Finding strategies: bundled ones, entry points of installed packages, and `path/file.py:Class`.

Owns names and loading, and the check of parameters. Loading runs the file's top level, so a file is
loaded only when it was named, or lies in `./strategies` and holds a strategy.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from core.errors import UnknownStrategy, UsageError, is_termination
from core.strategy import AnyStrategy, Parameters, Strategy

ENTRY_POINTS = "truetape.strategies"
BUNDLED = {
    "sma_cross": "core.strategies.sma_cross:SmaCross",
    "buy_and_hold": "core.strategies.buy_and_hold:BuyAndHold",
    "composite": "core.strategies.composite:CompositeTrader",
}
DIRECTORY = Path("strategies")


class FoundStrategy(msgspec.Struct, frozen=True):
    """A strategy class, the name it was found under and the digest of its source file."""

    name: str
    type: type[AnyStrategy]
    origin: str
    source: str


class ParameterInfo(msgspec.Struct, frozen=True):
    """A declared parameter; `required` ones have no default."""

    name: str
    type: str
    required: bool
    default: Any


def names() -> dict[str, str]:
    """Return every strategy that has a name, with where it comes from; loads none of them."""
    known = dict.fromkeys(BUNDLED, "bundled")
    for point in _entry_points():
        known.setdefault(point.name, point.dist.name if point.dist else "entry point")
    return known


def _entry_points() -> Iterable[Any]:
    from importlib.metadata import entry_points  # noqa: PLC0415  (25 ms that bundled strategies need not pay)

    return entry_points(group=ENTRY_POINTS)


def find(spec: str) -> FoundStrategy:
    """Load the strategy `name` or `path/file.py[:Class]`; raises `UnknownStrategy`."""
    path, _, class_name = spec.rpartition(":") if ".py:" in spec else (spec, "", "")
    if path.endswith(".py"):
        return _from_file(Path(path), class_name)
    if spec in BUNDLED:
        module_name, _, attribute = BUNDLED[spec].partition(":")
        return _found(spec, getattr(importlib.import_module(module_name), attribute), "bundled")
    for point in _entry_points():
        if point.name == spec:
            return _from_entry_point(spec, point)
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    near = get_close_matches(spec, names(), n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"known are {', '.join(sorted(names()))}, or path/file.py:Class"
    )
    raise UnknownStrategy(f"no strategy {spec!r}; {hint}")


def in_directory(directory: Path = DIRECTORY) -> list[str]:
    """Return `file.py:Class` of every strategy in the directory, found by reading, not by running."""
    found: list[str] = []
    for path in sorted(directory.glob("*.py")):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            found.append(str(path))
            continue
        found += [
            f"{path}:{node.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef) and _is_strategy(node)
        ]
    return found


def describe(kind: type[AnyStrategy]) -> list[ParameterInfo]:
    """Return the declared parameters of a strategy, in their order."""
    return [
        ParameterInfo(
            field.name,
            _type_name(field.type),
            field.required,
            None if field.default is msgspec.NODEFAULT else field.default,
        )
        for field in msgspec.structs.fields(kind.parameters)
    ]


def parameters(found: FoundStrategy, values: Mapping[str, Any]) -> Parameters:
    """Return `values` (text is converted) as the declared parameters; `UsageError` lists every problem."""
    declared = {field.name: field for field in msgspec.structs.fields(found.type.parameters)}
    problems = [_unknown(found.name, key, declared) for key in values if key not in declared]
    for name, field in declared.items():
        if name not in values:
            if field.required:
                problems.append(f"{found.name}: needs a value for {name!r}: --set {name}=…")
            continue
        try:
            msgspec.convert(values[name], field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{found.name}: {name}={values[name]!s}: {_worded(error)}")
    if problems:
        raise UsageError("\n".join(problems))
    try:
        return msgspec.convert(dict(values), found.type.parameters, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{found.name}: {_worded(error)}") from error


def _worded(error: msgspec.ValidationError) -> str:
    text = str(error).replace("`", "")
    return text[:1].lower() + text[1:]


def _unknown(strategy: str, key: str, declared: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    near = get_close_matches(key, list(declared), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(declared) or 'none'}"
    return f"{strategy}: no parameter {key!r}; {hint}"


def _type_name(kind: Any) -> str:
    plain = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    return getattr(plain, "__name__", None) or str(plain)


def _is_strategy(node: ast.ClassDef) -> bool:
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return any(getattr(base, "id", getattr(base, "attr", "")) == "Strategy" for base in bases)


def _found(name: str, kind: Any, origin: str) -> FoundStrategy:
    if not (isinstance(kind, type) and issubclass(kind, Strategy)):
        raise UnknownStrategy(f"{name}: {kind!r} is not a subclass of truetape.Strategy")
    return FoundStrategy(name, kind, origin, _digest(kind))


def source_file(kind: type) -> Path | None:
    """Return the file that a class was loaded from, `None` if there is none."""
    name = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(name) if name else None


def _digest(kind: type) -> str:
    """Digest the whole source file, blind to line endings: equal code has equal digests anywhere."""
    source = source_file(kind)
    raw = source.read_bytes() if source else kind.__qualname__.encode()
    return hashlib.blake2b(raw.replace(b"\r\n", b"\n"), digest_size=16).hexdigest()


def _from_entry_point(spec: str, point: Any) -> FoundStrategy:
    try:
        kind = point.load()
    except Exception as error:
        raise UnknownStrategy(f"{spec}: entry point {point.value!r} does not load: {error}") from error
    return _found(spec, kind, point.dist.name if point.dist else "entry point")


def _from_file(path: Path, class_name: str) -> FoundStrategy:
    if not path.is_file():
        raise UnknownStrategy(f"{path}: no such file; expected path/file.py:Class")
    module = load_file(path)
    own = {
        name: item
        for name, item in vars(module).items()
        if isinstance(item, type) and issubclass(item, Strategy) and item.__module__ == module.__name__
    }
    if class_name and class_name not in own:
        near = f"it has {', '.join(own)}" if own else "it has no subclass of truetape.Strategy"
        raise UnknownStrategy(f"{path}: no strategy {class_name!r}; {near}")
    if not class_name and len(own) != 1:
        raise UnknownStrategy(f"{path}: has {len(own)} strategies; name one: {path}:Class")
    name = class_name or next(iter(own))
    return _found(f"{path.as_posix()}:{name}", own[name], str(path))


def load_file(path: Path) -> ModuleType:
    """Run the file as a module of its own; its directory comes last on the path and shadows nothing.

    Raises `UnknownStrategy` with file and line of what went wrong.
    """
    absolute = path.resolve()
    name = f"tape_strategy_{hashlib.blake2b(str(absolute).encode(), digest_size=6).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, absolute)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(absolute.parent) not in sys.path:
        sys.path.append(str(absolute.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UnknownStrategy(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        raise UnknownStrategy(f"{place_of(error, absolute)}: {type(error).__name__}: {error}") from error
    return module


def place_of(error: BaseException, path: Path) -> str:
    """Return file and line of the deepest frame inside the strategy file."""
    line, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else str(path)
