"""Finding plug-ins: bundled ones, entry points of installed packages, and `path/file.py:Name`.

Owns names, loading and its one way of failing, for every kind of plug-in (`app.plugins.kinds` has those).
Loading runs the file's top level, so a file is loaded only when it was named, or lies in a folder of plug-ins
and is seen to hold one.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import msgspec

from app.plugins.handlers import fault_of
from app.plugins.neighbours import join
from app.version import VERSION
from core.errors import UnknownPlugin, UnknownStrategy, UsageError, is_termination
from core.strategy import AnyStrategy, Strategy

PLUGINS = Path("plugins")


class Kind(msgspec.Struct, frozen=True):
    """A kind of plug-in: its group of entry points and its folders.

    `accepts` says whether an object is one, `written` whether a statement of a file defines one: a file is
    read before it is run. `bundled` has `module:attribute` by name. `fault` says what is wrong with one.
    """

    name: str
    group: str
    expected: str
    accepts: Callable[[Any], bool]
    written: Callable[[ast.stmt], bool]
    folders: tuple[Path, ...] = (PLUGINS,)
    bundled: Mapping[str, str] = {}
    unknown: type[UsageError] = UnknownPlugin
    fault: Callable[[Any], str] = lambda _: ""


class Found(msgspec.Struct, frozen=True):
    """A plug-in: what was loaded, the name it was found under and the digest of its source file.

    `origin` is `bundled`, a distribution or a file; `version` is the distribution's, or the file's
    `__version__`.
    """

    name: str
    item: Any
    origin: str
    source: str
    version: str = ""


class FoundStrategy(msgspec.Struct, frozen=True):
    """A strategy class, the name it was found under and the digest of its source file."""

    name: str
    type: type[AnyStrategy]
    origin: str
    source: str
    version: str = ""


def has_base(base: str) -> Callable[[ast.stmt], bool]:
    """Return what tells a class that is written with this base."""

    def written(node: ast.stmt) -> bool:
        if not isinstance(node, ast.ClassDef):
            return False
        bases = (one.value if isinstance(one, ast.Subscript) else one for one in node.bases)
        return any(getattr(one, "id", getattr(one, "attr", "")) == base for one in bases)

    return written


def is_a(base: type) -> Callable[[Any], bool]:
    """Return what tells a subclass of `base`."""
    return lambda item: isinstance(item, type) and issubclass(item, base)


STRATEGIES = Kind(
    "strategy",
    "truetape.strategies",
    "a subclass of truetape.Strategy",
    is_a(Strategy),
    has_base("Strategy"),
    folders=(Path("strategies"), PLUGINS),
    bundled={
        "sma_cross": "core.strategies.sma_cross:SmaCross",
        "buy_and_hold": "core.strategies.buy_and_hold:BuyAndHold",
        "composite": "core.strategies.composite:CompositeTrader",
    },
    unknown=UnknownStrategy,
    fault=fault_of,
)


def names(kind: Kind = STRATEGIES) -> dict[str, str]:
    """Return every plug-in that has a name, with where it comes from; loads none of them."""
    known = dict.fromkeys(kind.bundled, "bundled")
    for point in _entry_points(kind):
        known.setdefault(point.name, _distribution(point)[0])
    return known


def _entry_points(kind: Kind) -> Iterable[Any]:
    from importlib.metadata import entry_points  # noqa: PLC0415  (25 ms that bundled strategies need not pay)

    return entry_points(group=kind.group)


def _distribution(point: Any) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("entry point", "")


def find(spec: str) -> FoundStrategy:
    """Load the strategy `name` or `path/file.py[:Class]`; raises `UnknownStrategy`."""
    found = find_plugin(STRATEGIES, spec)
    return FoundStrategy(found.name, found.item, found.origin, found.source, found.version)


def find_plugin(kind: Kind, spec: str) -> Found:
    """Load what `spec` names: `path/file.py[:Name]`, a bundled name, an entry point, or a name in a folder.

    Raises the kind's error (`UnknownPlugin`, or what is derived from it), with file and line where it can.
    """
    path, _, name = spec.rpartition(":") if ".py:" in spec else (spec, "", "")
    if path.endswith(".py"):
        return _from_file(kind, Path(path), name)
    if spec in kind.bundled:
        module_name, _, attribute = kind.bundled[spec].partition(":")
        item = getattr(importlib.import_module(module_name), attribute)
        return _found(kind, spec, item, "bundled", VERSION)
    for point in _entry_points(kind):
        if point.name == spec:
            return _from_entry_point(kind, spec, point)
    inside = [one for one in in_folders(kind) if one.rpartition(":")[2] == spec]
    if len(inside) == 1:
        return find_plugin(kind, inside[0])
    raise kind.unknown(f"no {kind.name} {spec!r}; {_hint(kind, spec, inside)}")


def _hint(kind: Kind, spec: str, inside: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    if inside:
        return f"it may be {' or '.join(inside)}"
    known = sorted({*names(kind), *(one.rpartition(":")[2] for one in in_folders(kind) if ".py:" in one)})
    near = get_close_matches(spec, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    listed = f"known are {', '.join(known)}, or " if known else "expected "
    return f"{listed}path/file.py:Class"


def in_folders(kind: Kind = STRATEGIES) -> list[str]:
    """Return `file.py:Name` of all in the kind's folders, found by reading, not by running.

    A file that is no Python is returned by itself: whoever loads it is told what is wrong with it.
    """
    return [one for folder in kind.folders for one in in_directory(folder, kind)]


def in_directory(directory: Path, kind: Kind = STRATEGIES) -> list[str]:
    """Return `file.py:Name` of every plug-in in a directory."""
    found: list[str] = []
    for path in sorted(directory.glob("*.py")):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            found.append(str(path))
            continue
        found += [
            f"{path}:{node.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and kind.written(node)
        ]
    return found


def _found(kind: Kind, name: str, item: Any, origin: str, version: str = "") -> Found:
    if not kind.accepts(item):
        raise kind.unknown(f"{name}: {item!r} is not {kind.expected}")
    if fault := kind.fault(item):
        raise kind.unknown(f"{name}: {fault}")
    return Found(name, item, origin, _digest(item), version)


def source_file(item: Any) -> Path | None:
    """Return the file that a class or function was loaded from, `None` if there is none."""
    name = getattr(sys.modules.get(item.__module__), "__file__", None)
    return Path(name) if name else None


def _digest(item: Any) -> str:
    """Digest the whole source file, blind to line endings: equal code has equal digests anywhere."""
    source = source_file(item)
    raw = source.read_bytes() if source else item.__qualname__.encode()
    return hashlib.blake2b(raw.replace(b"\r\n", b"\n"), digest_size=16).hexdigest()


def _from_entry_point(kind: Kind, spec: str, point: Any) -> Found:
    try:
        item = point.load()
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        text = f"{spec}: entry point {point.value!r} does not load: {_last_place(error)}"
        raise kind.unknown(f"{text}{type(error).__name__}: {error}") from error
    return _found(kind, spec, item, *_distribution(point))


def _last_place(error: BaseException) -> str:
    """Return where an import came to its end, in front of what it said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = "<" if trace is None else trace.tb_frame.f_code.co_filename
    if trace is None or name.startswith("<") or name == sys.modules["importlib.metadata"].__file__:
        return ""  # the name that the entry point ends in is not there: the error says which
    return f"{name}:{trace.tb_lineno}: "


def _from_file(kind: Kind, path: Path, name: str) -> Found:
    if not path.is_file():
        raise kind.unknown(f"{path}: no such file; expected path/file.py:Class")
    try:
        module = load_file(path)
    except UnknownPlugin as error:
        raise kind.unknown(str(error)) from error
    own = {
        key: item
        for key, item in vars(module).items()
        if getattr(item, "__module__", None) == module.__name__ and kind.accepts(item)
    }
    if name and name not in own:
        near = f"it has {', '.join(own)}" if own else f"it has no such thing: {kind.expected}"
        raise kind.unknown(f"{path}: no {kind.name} {name!r}; {near}")
    if not name and len(own) != 1:
        has = f"has {', '.join(own)}" if own else f"has no {kind.name} ({kind.expected})"
        raise kind.unknown(f"{path}: {has}; name one {kind.name}: {path}:Class")
    chosen = name or next(iter(own))
    version = str(getattr(module, "__version__", ""))[:40]
    return _found(kind, f"{path.as_posix()}:{chosen}", own[chosen], str(path), version)


class _AsWritten(SourceFileLoader):
    """Compiles a file as it stands.

    Kept bytecode is told apart by size and whole seconds alone: code could run that is not the source which a
    run is known by.
    """

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # as the base class has it
        return self.source_to_code(self.get_data(self.path), self.path)


def load_file(path: Path) -> ModuleType:
    """Run the file as a module of its own; its directory comes last on the path and shadows nothing.

    Raises `UnknownPlugin` with file and line of what went wrong, and for a file that has itself loaded.
    """
    absolute = path.resolve()
    if absolute in _loading:
        _loading[absolute] = True
        raise _loads_itself(path)
    _loading[absolute] = False
    try:
        module = _run_file(absolute)
    finally:
        asked_again = _loading.pop(absolute)
    if asked_again:  # whoever asked may have passed over the refusal
        raise _loads_itself(path)
    return module


_loading: dict[Path, bool] = {}
"""The files that are being run now, and whether one has asked for itself."""


def _loads_itself(path: Path) -> UnknownPlugin:
    return UnknownPlugin(
        f"{path}: the file starts a command that reads the file again; put what it runs under "
        '`if __name__ == "__main__":`, so that only running it as a script runs that'
    )


def _run_file(absolute: Path) -> ModuleType:
    name = f"tape_strategy_{hashlib.blake2b(str(absolute).encode(), digest_size=6).hexdigest()}"
    loader = _AsWritten(name, str(absolute))
    spec = importlib.util.spec_from_file_location(name, absolute, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    join(absolute)
    try:
        loader.exec_module(module)
    except SyntaxError as error:
        place = f"{error.filename}:{error.lineno}" if error.lineno else str(absolute)
        raise UnknownPlugin(f"{place}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        raise UnknownPlugin(f"{place_of(error, absolute)}: {type(error).__name__}: {error}") from error
    return module


def place_of(error: BaseException, path: Path) -> str:
    """Return file and line of the deepest frame inside the plug-in's file."""
    line, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else str(path)
