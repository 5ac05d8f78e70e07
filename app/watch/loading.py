"""Finding listeners: `path/file.py:Class`, an entry point or a name in ./plugins, as strategies are found."""

from app.plugins.discovery import find_plugin, place_of, source_file
from app.plugins.kinds import LISTENERS
from core.errors import UsageError, is_termination
from core.listener import Listener


def load_listener(spec: str) -> Listener:
    """Load the file and make the listener; raises `UsageError` that says what is wrong."""
    found = find_plugin(LISTENERS, spec)
    kind: type[Listener] = found.item
    if not kind.told:
        raise UsageError(f"{found.name} is told of nothing; mark its methods with @on(…)")
    try:
        return kind()
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        path = source_file(kind)
        place = place_of(error, path) if path else found.origin
        raise UsageError(f"{place}: {kind.__name__}() raised {type(error).__name__}: {error}") from error
