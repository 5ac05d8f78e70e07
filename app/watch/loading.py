"""Finding listeners: `path/file.py:Class`, as strategies are found."""

from pathlib import Path

from app.discovery import load_file
from core.errors import TapeError, UsageError
from core.listener import Listener


def load_listener(spec: str) -> Listener:
    """Load the file and make the listener; raises `UsageError` that says what is wrong."""
    path, _, name = spec.rpartition(":") if ".py:" in spec else (spec, "", "")
    if not path.endswith(".py"):
        raise UsageError(f"{spec}: expected path/file.py:Class")
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file; expected path/file.py:Class")
    try:
        module = load_file(Path(path))
    except TapeError as error:
        raise UsageError(str(error)) from error
    own = {
        key: item
        for key, item in vars(module).items()
        if isinstance(item, type) and issubclass(item, Listener) and item.__module__ == module.__name__
    }
    if name not in own and (name or len(own) != 1):
        known = ", ".join(own) or "no subclass of truetape.Listener"
        raise UsageError(f"{path}: name one of its listeners as {path}:Class; it has {known}")
    kind = own[name or next(iter(own))]
    if not kind.told:
        raise UsageError(f"{path}: {kind.__name__} is told of nothing; mark its methods with @on(…)")
    try:
        return kind()
    except Exception as error:
        raise UsageError(f"{path}: {kind.__name__}() raised {type(error).__name__}: {error}") from error
