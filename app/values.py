"""Values as people and programs read them: amounts, times, counts and sizes as text; anything as JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from core.clock import SECOND_NS
from core.money import plain


def to_json(value: Any) -> str:
    """Return JSON: money as strings without exponent, times as they are, NaN and infinity as null."""
    if isinstance(value, list) and value:
        # One row a line: still one document, and readable and cheap where there are many rows.
        rows = (json_row(row) for row in value)
        return "[\n  " + ",\n  ".join(rows) + "\n]"
    return json.dumps(jsonable(value), ensure_ascii=False, indent=2, allow_nan=False)


def json_row(value: Any) -> str:
    """Return JSON on one line."""
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False)


def jsonable(value: Any) -> Any:
    """Return plain data that JSON can carry; structs become objects in the order of their fields."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else None
        case msgspec.Struct():
            return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [jsonable(item) for item in value]
        case _:
            return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value) if value.is_finite() else None
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()
        case _:
            return jsonable(value.item()) if hasattr(value, "item") else str(value)


def cell(value: Any) -> str:
    """Return a value for a table: amounts without exponent, nothing for `None`, one line only."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return plain(value)
        case float():
            return f"{value:.10g}"
        case _:
            return str(value).replace("\r", " ").replace("\n", " ")


def when(ts: int | None, zone: str = "UTC") -> str:
    """Return a time in ns since 1970 UTC as ISO 8601 in `zone`, with only the digits that it needs.

    UTC ends in `Z`, others in their offset; nanoseconds are never rounded away.
    """
    if ts is None:
        return ""
    seconds, nanos = divmod(ts, SECOND_NS)
    second, offset = _second(seconds, zone)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    if 0 < len(fraction) < 4:
        fraction = f"{fraction:0<4}"
    return second + fraction + offset


@lru_cache(maxsize=4096)
def _second(seconds: int, zone: str) -> tuple[str, str]:
    """Return a whole second as text, and what its offset is written as; many events share one."""
    moment = datetime.fromtimestamp(seconds, UTC if zone == "UTC" else _zone(zone))
    return moment.strftime("%Y-%m-%dT%H:%M:%S"), "Z" if zone == "UTC" else moment.isoformat()[-6:]


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number and its noun: `1 session`, `2 sessions`; `many` where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
