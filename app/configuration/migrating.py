"""`tape config migrate`: from another bot's configuration to ours, naming all that has no place here.

What is known and valid is carried over, under its new name where that is certain. Nothing is guessed: a value
out of its range, or a key without a meaning here, stays in the new file as a comment with the reason.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from app.configuration.problems import nearest, section_type, wrong
from app.configuration.reading import read
from app.configuration.settings import Settings, masked
from core.errors import UsageError

RENAMED: dict[tuple[str, str], str] = {
    ("ibkr", "clientId"): "client_id",
    ("ibkr", "client"): "client_id",
    ("ibkr", "account_id"): "account",
    ("ibkr", "reconnect_interval"): "reconnect_interval_s",
    ("ibkr", "max_reconnects"): "max_reconnect_attempts",
    ("ibkr", "reconnect_attempts"): "max_reconnect_attempts",
    ("risk_management", "max_position_pct"): "max_position_size",
    ("risk_management", "max_position"): "max_position_size",
    ("risk_management", "max_daily_loss_pct"): "max_daily_loss",
    ("risk_management", "daily_loss_limit"): "max_daily_loss",
    ("risk_management", "max_drawdown_pct"): "max_drawdown",
    ("risk_management", "max_portfolio_exposure"): "max_portfolio_risk",
    ("risk_management", "stop_loss"): "stop_loss_pct",
    ("risk_management", "take_profit"): "take_profit_pct",
    ("trading", "symbols"): "watchlist",
    ("trading", "max_retries"): "order_retries",
    ("trading", "max_order_retries"): "order_retries",
}
"""Keys of other bots that mean the same here, in the same unit, however they are written."""
_NO_TIMEOUT = "pong_deadline_s and reconnect_interval_s say when a connection is made anew"
_NO_INTERVAL = "a strategy is told of every event; what it does by the clock is a timer"
ELSEWHERE: dict[tuple[str, ...], str] = {
    ("ibkr", "timeout"): _NO_TIMEOUT,
    ("ibkr", "connection_timeout"): _NO_TIMEOUT,
    ("ibkr", "readonly"): "tape live --observe sends no order",
    ("ibkr", "read_only"): "tape live --observe sends no order",
    ("trading", "order_timeout"): "an order ends by its time in force, or a strategy cancels it",
    ("trading", "order_retry_delay"): "an order is put up again at once, within order_retry_within_s",
    ("trading", "retry_delay"): "an order is put up again at once, within order_retry_within_s",
    ("trading", "interval"): _NO_INTERVAL,
    ("trading", "update_interval"): _NO_INTERVAL,
    ("trading", "mode"): "tape live --demo is a demo, tape replay a backtest",
    ("logging",): "[logs] has directory, level and keep_days",
    ("database",): "[log] path says where the event log is",
    ("email",): "[alerts] webhook is told of trouble",
    ("telegram",): "[alerts] webhook is told of trouble",
    ("backtest",): "[replay] has cash, commission and fills",
}
"""What does the job of sections and keys that have no counterpart."""


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
    for title, section in file.data.items():
        name = _same(title, known)
        kind = section_type(known.get(name))
        if kind is None or not isinstance(section, dict):
            near = nearest(title, known)
            reason = "expected a section" if kind else _no_such("section", (title,), near and f"[{near}]")
            left.append(f"{file.place((title,))}: {title}: {reason}")
            lines += _comment(reason, title, section)
            continue
        lines.append(f"[{name}]")
        keys = get_type_hints(kind, include_extras=True)
        taken: dict[str, str] = {}
        for old, value in section.items():
            key = _same(_RENAMED.get((name, _plain(old))) or old, keys)
            reason = _reason(name, old, key, value, keys, taken)
            if reason:
                left.append(f"{file.place((title, old))}: [{title}] {old} = {masked(value, old)!r}: {reason}")
                lines += _comment(reason, old, value)
                continue
            taken[key] = old
            carried.append(f"{name}.{key}")
            if (name, key) != (title, old):
                renamed[f"{title}.{old}"] = f"{name}.{key}"
            lines.append(f"{key} = {_toml(value)}")
        lines.append("")
    return Migrated("\n".join(lines).rstrip() + "\n", carried, renamed, left)


def write_new(path: Path, text: str) -> None:
    """Write the new file; raises `UsageError` if there is one already or it cannot be written."""
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError as error:
        raise UsageError(f"{path} exists; name another file with --output") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot write it: {error.strerror}") from error
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a file would be in the way of the whole one
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


def _same(name: str, known: Collection[str]) -> str:
    """Return the known name that differs in case and underscores only, or the name itself."""
    if name in known:
        return name
    return next((one for one in known if _plain(one) == _plain(name)), name)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


_RENAMED = {(section, _plain(old)): new for (section, old), new in RENAMED.items()}


def _reason(section: str, old: str, key: str, value: Any, keys: dict[str, Any], taken: dict[str, str]) -> str:
    """Return why a key is not carried over; empty if it is."""
    if key not in keys:
        return _no_such("key", (section, old), nearest(key, keys))
    if key in taken:
        return f"{taken[key]} says this already"
    if value is None:
        return "has no value"
    said = wrong(value, keys[key])
    if said is None:
        return "" if _writable(value) else "expected a value or a list of values"
    hint = ELSEWHERE.get((section, old))
    return f"{said}; {hint}" if hint else said


def _no_such(what: str, path: tuple[str, ...], near: str) -> str:
    if path in ELSEWHERE:
        return f"no {what} of this name; {ELSEWHERE[path]}"
    return f"no {what} of this name" + (f"; did you mean {near}?" if near else "")


def _comment(reason: str, key: str, value: Any) -> list[str]:
    shown = json.dumps(masked(value, key), ensure_ascii=False)
    return [f"# left out: {' '.join(reason.split())}", f"# {key} = {shown}"]


def _writable(value: Any) -> bool:
    if isinstance(value, list | dict):
        return all(_writable(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str | bool | int | float)


def _toml(value: Any) -> str:
    """Return a value as TOML; JSON writes scalars the same way."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
