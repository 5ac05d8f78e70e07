"""Settings from environment variables: `TAPE_RISK_MANAGEMENT__MAX_POSITION_SIZE=0.04`.

The name is `TAPE_`, the section, and after two underscores each the keys below it, in capitals. The value is
written as in TOML; text needs no quotes. Reads a mapping that is given to it, never the process's own.
"""

from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec

from app.configuration.problems import ConfigFile, section_type, wrong

PREFIX = "TAPE_"
_BETWEEN = "__"


class _Environment(ConfigFile):
    def place(self, path: tuple[str | int, ...]) -> str:
        """Return the variable that says it."""
        return PREFIX + _BETWEEN.join(map(str, path)).upper()


def from_environment(environment: Mapping[str, str], settings: type[msgspec.Struct]) -> ConfigFile:
    """Return what the variables say, as if they were a file; a name without `__` is not one of ours."""
    data: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and _BETWEEN in name:
            path = name.removeprefix(PREFIX).lower().split(_BETWEEN)
            table = data
            for key in path[:-1]:
                table = table.setdefault(key, {})
                if not isinstance(table, dict):
                    break
            else:
                table[path[-1]] = _value(text, _kind(settings, path))
    return _Environment("environment", data, {})


def _kind(section: type[msgspec.Struct] | None, path: list[str]) -> Any:
    """Return the type of a setting, or `None` if there is no such setting."""
    kind: Any = None
    for key in path:
        hints = get_type_hints(section, include_extras=True) if section else {}
        kind = hints.get(key)
        section = section_type(kind) if kind is not None else None
    return kind


def _value(text: str, kind: Any) -> Any:
    """Return the value of a variable: TOML if that is what its setting takes, else the text itself."""
    import tomllib  # noqa: PLC0415  # as in `app.configuration.reading`: mostly there is nothing to parse

    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
    return text if kind is not None and wrong(value, kind) and not wrong(text, kind) else value
