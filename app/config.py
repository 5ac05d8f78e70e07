"""Reading the configuration: TOML and JSON files, merged in order, checked as a whole.

Every problem of every file is reported at once, each with file, line, section and what was expected.
Owns no defaults and no ranges (`app.settings` does); never reads the environment, never writes.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from app.lines import Path as KeyPath
from app.lines import json_lines, toml_lines
from app.settings import Settings, masked
from core.errors import ConfigError, InvalidEvent
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


class _File(msgspec.Struct):
    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def place(self, path: KeyPath) -> str:
        """Return `name:line` of a key, or of the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return f"{self.name}:{line}"
        return self.name


def load(paths: Sequence[Path] = (), *, log: str | None = None) -> Config:
    """Read and merge the files (later wins); without any, `./tape.toml` if it is there.

    `log` is the value of `--log` and wins over the files. Raises `ConfigError` that lists every problem.
    """
    chosen = list(paths) or [path for path in (Path(DEFAULT_FILE),) if path.is_file()]
    problems: list[str] = []
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path in chosen:
        try:
            file = _read(path)
        except ConfigError as error:
            problems.append(str(error))
            continue
        problems += _problems(file, Settings, file.data, ())
        _merge(merged, file.data, file, (), origins)
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
    data = {name: section for name, section in _plain(config).items() if name not in unused}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
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


def _plain(config: Config) -> dict[str, Any]:
    data = msgspec.to_builtins(config.settings, enc_hook=str)
    assert isinstance(data, dict)
    data["replay"]["cash"] = plain(money(config.settings.replay.cash))
    shown = masked(data)
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
    into: dict[str, Any], data: dict[str, Any], file: _File, path: KeyPath, origins: dict[str, str]
) -> None:
    """Merge tables key by key; everything else, lists too, is replaced as a whole."""
    for key, value in data.items():
        here = (*path, key)
        if isinstance(value, dict) and isinstance(into.setdefault(key, {}), dict):
            _merge(into[key], value, file, here, origins)
        else:
            into[key] = value
            origins[".".join(map(str, here))] = file.place(here)


def _read(path: Path) -> _File:
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
        raise ConfigError(f"{name}{place}: not TOML: {said}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: expected an object with sections, found {type(data).__name__}")
    return _File(name, data, lines)


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
        raise ConfigError(
            f"{path}: cannot read it: {error.strerror or error}; check the path given to -c"
        ) from error
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


def _problems(file: _File, kind: type[msgspec.Struct], data: Any, path: KeyPath) -> list[str]:
    """Return what is wrong with `data` as a `kind`, worded, one line a problem."""
    if not isinstance(data, dict):
        return [f"{file.place(path)}: {_label(path)}expected a section, found {data!r}"]
    known = get_type_hints(kind, include_extras=True)
    found: list[str] = []
    for key, value in data.items():
        here = (*path, key)
        if key not in known:
            found.append(_unknown(file, here, list(known)))
        elif section := _section_type(known[key]):
            found += _problems(file, section, value, here)
        elif section := _item_type(known[key]):
            found += _list_problems(file, section, value, here)
        elif wrong := _wrong(value, known[key]):
            found.append(f"{file.place(here)}: {_label(path)}{key} = {_shown(key, value)}: {wrong}")
    required = [
        field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in data
    ]
    return found + [f"{file.place(path)}: {_label(path)}needs a key {name!r}" for name in required]


def _list_problems(file: _File, section: type[msgspec.Struct], value: Any, path: KeyPath) -> list[str]:
    if not isinstance(value, list):
        header = ".".join(map(str, path))
        return [f"{file.place(path)}: {header} must be a list of tables: write [[{header}]] above its keys"]
    return [
        line for index, item in enumerate(value) for line in _problems(file, section, item, (*path, index))
    ]


def _unknown(file: _File, path: KeyPath, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    *section, key = path
    what = "key" if section else "section"
    near = get_close_matches(str(key), known, n=1)
    end = f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(known)}"
    return f'{file.place(path)}: {_label(tuple(section))}unknown {what} "{key}"{end}'


def _label(path: KeyPath) -> str:
    return f"[{'.'.join(map(str, path))}] " if path else ""


def _shown(key: str, value: Any) -> str:
    return repr(masked(value, key))


def _arguments(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _section_type(kind: Any) -> type[msgspec.Struct] | None:
    for option in _arguments(kind):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _item_type(kind: Any) -> type[msgspec.Struct] | None:
    return _section_type(get_args(kind)[0]) if get_origin(kind) is list else None


def _meta(kind: Any) -> msgspec.Meta | None:
    for option in _arguments(kind):
        if get_origin(option) is Annotated:
            return next((item for item in get_args(option)[1:] if isinstance(item, msgspec.Meta)), None)
    return None


def _wrong(value: Any, kind: Any) -> str | None:
    """Return why `value` is not a `kind`, with a hint where one is likely; `None` if it is."""
    meta = _meta(kind)
    extra = (meta.extra or {}) if meta else {}
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return _worded(str(error), value, extra)
    if isinstance(converted, Decimal):
        return _wrong_amount(converted, extra)
    return _refused(converted, extra.get("check"))


def _refused(value: Any, check: Callable[[Any], object] | None) -> str | None:
    """Return what a key's own check says of a value that has the right type."""
    try:
        if check is not None:
            check(value)
    except ValueError as error:
        return str(error)
    return None


def _wrong_amount(value: Decimal, extra: dict[str, Any]) -> str | None:
    try:
        amount = money(value)
    except InvalidEvent as error:
        return str(error)
    return "expected an amount that is not negative" if amount < extra.get("minimum", 0) else None


def _worded(message: str, value: Any, extra: dict[str, Any]) -> str:
    text = message[:1].lower() + message[1:].replace("`", "")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if extra.get("hint") == "fraction" and number:
        text = "expected a fraction between 0 and 1, where 0.05 means 5 %"
        if 1 < value <= 100:
            text += f"; did you mean {value / 100:g}?"
    return text
