"""What is wrong with a configuration: each problem by place, value and expectation, one line each.

Checks plain data against the sections of `app.configuration.settings`; reads no file and merges nothing.
"""

import math
from collections.abc import Callable, Collection
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from app.configuration.lines import Path as KeyPath
from app.configuration.settings import masked
from core.errors import InvalidEvent
from core.money import money


class ConfigFile(msgspec.Struct):
    """What a file (or the environment) says, and on which line."""

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int]

    def place(self, path: KeyPath) -> str:
        """Return `name:line` of a key, or of the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return f"{self.name}:{line}"
        return self.name


def problems_of(file: ConfigFile, kind: type[msgspec.Struct], data: Any, path: KeyPath) -> list[str]:
    """Return what is wrong with `data` as a `kind`, worded, one line a problem."""
    if not isinstance(data, dict):
        return [f"{file.place(path)}: {_label(path)}expected a section, found {data!r}"]
    known = get_type_hints(kind, include_extras=True)
    found: list[str] = []
    for key, value in data.items():
        here = (*path, key)
        if key not in known:
            found.append(_unknown(file, here, list(known)))
        elif section := section_type(known[key]):
            found += problems_of(file, section, value, here)
        elif section := _item_type(known[key]):
            found += _list_problems(file, section, value, here)
        elif (section := _named_type(known[key])) and isinstance(value, dict):
            for name, item in value.items():
                found += problems_of(file, section, item, (*here, name))
        elif said := wrong(value, known[key]):
            found.append(f"{file.place(here)}: {_label(path)}{key} = {_shown(key, value)}: {said}")
    required = [
        field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in data
    ]
    return found + [f"{file.place(path)}: {_label(path)}needs a key {name!r}" for name in required]


def _list_problems(file: ConfigFile, section: type[msgspec.Struct], value: Any, path: KeyPath) -> list[str]:
    if not isinstance(value, list):
        header = ".".join(map(str, path))
        return [f"{file.place(path)}: {header} must be a list of tables: write [[{header}]] above its keys"]
    return [
        line for index, item in enumerate(value) for line in problems_of(file, section, item, (*path, index))
    ]


_NEAR = 0.7
"""How alike two names are before one is thought to be meant by the other."""


def nearest(key: str, known: Collection[str]) -> str:
    """Return the known key that was probably meant, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    near = get_close_matches(key, known, n=1, cutoff=_NEAR)
    return near[0] if near else ""


def _unknown(file: ConfigFile, path: KeyPath, known: list[str]) -> str:
    *section, key = path
    what = "key" if section else "section"
    near = nearest(str(key), known)
    end = f'; did you mean "{near}"?' if near else f"; known are {', '.join(known)}"
    return f'{file.place(path)}: {_label(tuple(section))}unknown {what} "{key}"{end}'


def _label(path: KeyPath) -> str:
    return f"[{'.'.join(map(str, path))}] " if path else ""


def _shown(key: str, value: Any) -> str:
    return repr(masked(value, key))


def _arguments(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def section_type(kind: Any) -> type[msgspec.Struct] | None:
    """Return the section that a key holds, or `None` for a plain value."""
    for option in _arguments(kind):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _item_type(kind: Any) -> type[msgspec.Struct] | None:
    return section_type(get_args(kind)[0]) if get_origin(kind) is list else None


def _named_type(kind: Any) -> type[msgspec.Struct] | None:
    """Return the section that each entry of a table of sections holds."""
    return section_type(get_args(kind)[1]) if get_origin(kind) is dict else None


def _meta(kind: Any) -> msgspec.Meta | None:
    for option in _arguments(kind):
        if get_origin(option) is Annotated:
            return next((item for item in get_args(option)[1:] if isinstance(item, msgspec.Meta)), None)
    return None


def wrong(value: Any, kind: Any) -> str | None:
    """Return why `value` is not a `kind`, with a hint where one is likely; `None` if it is."""
    meta = _meta(kind)
    extra = (meta.extra or {}) if meta else {}
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return _worded(str(error), value, extra) + _meant(value, kind)
    if isinstance(converted, Decimal):
        if isinstance(value, str) and not value.isascii():
            return "expected an amount in the digits 0 to 9"
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


def _meant(value: Any, kind: Any) -> str:
    """Return what was probably meant by a value of the wrong type."""
    plain = [get_args(one)[0] if get_origin(one) is Annotated else one for one in _arguments(kind)]
    for one in plain:
        if get_origin(one) is Literal:
            return f"; expected one of {', '.join(map(str, get_args(one)))}"
        if get_origin(one) is list and isinstance(value, str):
            return f"; expected a list: {[part.strip() for part in value.split(',')]}"
        if one in (int, float) and isinstance(value, str) and _is_number(value):
            return "; write it without quotes"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _worded(message: str, value: Any, extra: dict[str, Any]) -> str:
    text = message[:1].lower() + message[1:].replace("`", "")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if extra.get("hint") == "fraction" and number:
        text = "expected a fraction between 0 and 1, where 0.05 means 5 %"
        if 1 < value <= 100:
            text += f"; did you mean {value / 100:g}?"
    return text
