"""Reading the configuration: TOML and JSON files and the environment, merged in order, checked as a whole.

Every problem of every file is reported at once, each with file, line, section and what was expected.
Owns no defaults and no ranges (`app.configuration.settings` does); the caller gives the environment. It
writes nothing.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.configuration.environment import from_environment
from app.configuration.lines import Path as KeyPath
from app.configuration.lines import json_lines, toml_lines
from app.configuration.problems import ConfigFile, problems_of
from app.configuration.settings import Settings, masked
from core.errors import ConfigError
from core.money import money, plain

DEFAULT_FILE = "tape.toml"
_SIZE_LIMIT = 1_000_000
_DECIDE_NOTHING = frozenset(("log", "live", "alerts", "health", "logs"))
_LIVE_ONLY = frozenset(("ibkr",))


class Config(msgspec.Struct, frozen=True):
    """The checked settings and where each of them comes from (`trading.toml:14`, `--log`, `default`)."""

    settings: Settings
    origins: dict[str, str]
    files: tuple[str, ...] = ()


def load(
    paths: Sequence[Path] = (), *, log: str | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """Read and merge the files (later wins); without any, `./tape.toml` if it is there.

    Variables of the `environment` (`TAPE_SECTION__KEY`) win over the files, and `log`, the value of `--log`,
    wins over both. Raises `ConfigError` that lists every problem.
    """
    chosen = list(paths) or [path for path in (Path(DEFAULT_FILE),) if path.is_file()]
    problems: list[str] = []
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path in chosen:
        try:
            file = read(path)
        except ConfigError as error:
            problems.append(str(error))
            continue
        problems += problems_of(file, Settings, file.data, ())
        _merge(merged, file.data, file, (), origins)
    variables = from_environment(environment or {}, Settings)
    problems += problems_of(variables, Settings, variables.data, ())
    _merge(merged, variables.data, variables, (), origins)
    if problems:
        raise ConfigError("\n".join(problems))
    if log is not None:
        if not log:
            raise ConfigError("--log: expected a directory, found an empty name")
        merged.setdefault("log", {})["path"] = log
        origins["log.path"] = "--log"
    return Config(msgspec.convert(merged, Settings), origins, tuple(str(path) for path in chosen))


def canonical(config: Config, *, replay: bool = False) -> tuple[str, str]:
    """Return the effective settings as canonical JSON and its hash (blake2b, 16 bytes, hex).

    Sections that decide nothing are left out: the same run must have the same hash wherever its log lies and
    whoever watches, and a `replay` whatever broker is configured. Secrets are masked.
    """
    unused = _DECIDE_NOTHING | _LIVE_ONLY if replay else _DECIDE_NOTHING
    text = json.dumps(_plain(config, unused), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text, hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def effective(config: Config) -> list[tuple[str, Any, str]]:
    """Return `(dotted key, value, origin)` of every setting, secrets masked, in the order of the sections."""
    return [
        (key, value, config.origins.get(key) or _origin_around(config.origins, key))
        for key, value in _leaves(_plain(config), "")
    ]


def _origin_around(origins: dict[str, str], key: str) -> str:
    """A list is one value of the file that has it; its items share the list's origin."""
    while "." in key:
        key = key.rpartition(".")[0]
        if key in origins:
            return origins[key]
    return "default"


def _plain(config: Config, without: Collection[str] = ()) -> dict[str, Any]:
    data = msgspec.to_builtins(config.settings, enc_hook=str)
    assert isinstance(data, dict)
    data["replay"]["cash"] = plain(money(config.settings.replay.cash))
    shown = masked({name: section for name, section in data.items() if name not in without})
    assert isinstance(shown, dict)
    return shown


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{prefix}.{index}")
    else:
        yield prefix, value


def _merge(
    into: dict[str, Any], data: dict[str, Any], file: ConfigFile, path: KeyPath, origins: dict[str, str]
) -> None:
    """Merge tables key by key; everything else, lists too, is replaced as a whole."""
    for key, value in data.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(into.setdefault(key, {}), dict):
            _merge(into[key], value, file, here, origins)
        else:
            into[key] = value
            origins[".".join(map(str, here))] = file.place(here)


def read(path: Path) -> ConfigFile:
    """Read a TOML or JSON file (by its suffix); raises `ConfigError`. What it says is not checked yet."""
    import tomllib  # noqa: PLC0415  # a run without a configuration file need not load it

    name = str(path)
    text = _text(path)
    try:
        if path.suffix.lower() == ".json":
            data = json.loads(text, object_pairs_hook=_unique)
            lines = json_lines(text)
        else:
            data = tomllib.loads(text)
            lines = toml_lines(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}: not JSON: {error.msg} (column {error.colno})") from error
    except tomllib.TOMLDecodeError as error:
        place, said = _toml_place(str(error), text)
        ending = "" if path.suffix.lower() == ".toml" else "; files are TOML, or JSON if they end in .json"
        raise ConfigError(f"{name}{place}: not TOML: {said}{ending}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: expected an object with sections, found {type(data).__name__}")
    return ConfigFile(name, data, lines)


def _toml_place(message: str, text: str) -> tuple[str, str]:
    """Return `:line` and what is wrong there; the parser puts the place behind its words."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if not found:
        return "", message
    if found[2] is None:
        return f":{text.rstrip().count(chr(10)) + 1}", f"{found[1]} (at the end)"
    return f":{found[2]}", f"{found[1]} (column {found[3]})"


def _text(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > _SIZE_LIMIT:
            raise ConfigError(f"{path}: larger than {_SIZE_LIMIT:,} bytes; that is no configuration file")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read it: {error.strerror or error}; check the path") from error
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        named = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise ConfigError(f"{path}:{line}: not {named} text; save the file as UTF-8") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [key for key, _ in pairs]
        twice = sorted({key for key in names if names.count(key) > 1})
        raise ValueError(f"key given twice: {', '.join(map(repr, twice))}; keep one")
    return table
