"""`tape config migrate`: from another bot's configuration to ours, naming all that has no place here.

What is known and valid is carried over, under its new name where that is certain. Nothing is guessed: a value
out of its range, or a key without a meaning here, stays in the new file as a comment with the reason.
"""

import json
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from app.config import read
from app.config_problems import ConfigFile, nearest, problems_of, section_type
from app.settings import Settings, masked
from core.errors import UsageError

RENAMED: dict[tuple[str, str], str] = {
    ("ibkr", "clientId"): "client_id",
    ("ibkr", "client"): "client_id",
    ("ibkr", "account_id"): "account",
    ("ibkr", "reconnect_interval"): "reconnect_interval_s",
    ("ibkr", "max_reconnects"): "max_reconnect_attempts",
    ("risk_management", "max_position_pct"): "max_position_size",
    ("risk_management", "max_position"): "max_position_size",
    ("risk_management", "max_daily_loss_pct"): "max_daily_loss",
    ("risk_management", "daily_loss_limit"): "max_daily_loss",
    ("risk_management", "max_portfolio_exposure"): "max_portfolio_risk",
    ("risk_management", "stop_loss"): "stop_loss_pct",
    ("risk_management", "take_profit"): "take_profit_pct",
    ("trading", "symbols"): "watchlist",
    ("trading", "max_retries"): "order_retries",
}
"""Keys of other bots that mean the same here, in the same unit."""


class Migrated(msgspec.Struct, frozen=True):
    """The text of the new file, the keys carried over, and what was not, each with its reason."""

    text: str
    carried: list[str]
    renamed: dict[str, str]
    left: list[str]


def migrate(path: Path) -> Migrated:
    """Read an old configuration (JSON or TOML); raises `ConfigError` if it cannot be read at all."""
    file = read(path)
    carried: list[str] = []
    renamed: dict[str, str] = {}
    left: list[str] = []
    lines = [f"# From {path.name}. `tape config` shows what is in effect.", ""]
    known = get_type_hints(Settings, include_extras=True)
    for name, section in file.data.items():
        kind = section_type(known.get(name))
        if kind is None or not isinstance(section, dict):
            near = nearest(name, known)
            reason = f"no section of this name{f'; did you mean [{near}]?' if near else ''}"
            left.append(f"{file.place((name,))}: {name}: {reason}")
            lines += _comment(reason, name, section)
            continue
        lines.append(f"[{name}]")
        for old, value in section.items():
            key = RENAMED.get((name, str(old)), str(old))
            problems = _problems(file, kind, name, old, key, value)
            if problems or not _writable(value):
                reason = problems[0] if problems else "expected a value or a list of values"
                left.append(f"{file.place((name, old))}: [{name}] {old} = {masked(value, old)!r}: {reason}")
                lines += _comment(reason, old, value)
                continue
            carried.append(f"{name}.{key}")
            if key != old:
                renamed[f"{name}.{old}"] = f"{name}.{key}"
            lines.append(f"{key} = {_toml(value)}")
        lines.append("")
    return Migrated("\n".join(lines).rstrip() + "\n", carried, renamed, left)


def write_new(path: Path, text: str) -> None:
    """Write the new file; raises `UsageError` if there is one already or it cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists; name another file with --output") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot write it: {error.strerror}") from error


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file, for editors that check and complete it."""
    found = msgspec.json.schema(Settings, ref_template="#/$defs/{name}")
    cash = found["$defs"]["ReplaySection"]["properties"]["cash"]
    found["$defs"]["ReplaySection"]["properties"]["cash"] = {
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "format": "decimal"}],
        "default": cash["default"],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "truetape", **found}


def _problems(
    file: ConfigFile, kind: type[msgspec.Struct], section: str, old: str, key: str, value: Any
) -> list[str]:
    one = ConfigFile(file.name, {}, {(section, key): file.lines.get((section, old), 0)})
    known = get_type_hints(kind, include_extras=True)
    if key not in known:
        near = nearest(key, known)
        hint = f"; did you mean {near}?" if near else ""
        return [f"no key of this name{hint}"]
    return [
        said.partition("] ")[2].partition(": ")[2]
        for said in problems_of(one, kind, {key: value}, (section,))
    ]


def _comment(reason: str, key: str, value: Any) -> list[str]:
    shown = json.dumps(masked(value, key), ensure_ascii=False)
    return [f"# left out: {' '.join(reason.split())}", f"# {key} = {shown}"]


def _writable(value: Any) -> bool:
    if isinstance(value, list):
        return all(_writable(item) for item in value)
    return isinstance(value, str | bool | int | float)


def _toml(value: Any) -> str:
    """Return a scalar or list as TOML; JSON writes these the same way."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)
