"""Time columns of unknown make: text, epoch numbers or Parquet timestamps in, ns out.

Each time is `wall` (the clock of some place: needs a time zone) or not (an offset, a zone's name or an epoch
was given), and may be a bare date. Reads no files.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.replay.calendar import utc_ns, zone
from adapters.replay.parsed import Column, IntColumn
from core.errors import UsageError

_FRACTION = re.compile(r"\.(\d{7,9})(?=$|[+-Z])")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (wall clocks are counted from their own 1970)
_EPOCH_UTC = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f")
_FORMATS = (*(day + clock for day in ("%Y/%m/%d", "%d.%m.%Y") for clock in _CLOCKS), "%Y%m%d %H:%M:%S")
_ZONED = re.compile(r"(.*\d) +([A-Za-z]+(?:/[A-Za-z0-9_+-]+)+|UTC|GMT)")
_DAYS = ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%m-%d-%Y", "%d-%m-%Y", "%d %b %Y")
_GUESSES = tuple(
    day + clock
    for day in _DAYS
    for clock in (*_CLOCKS, " %I:%M %p", " %I:%M:%S %p", ", %I:%M %p", ", %H:%M:%S")
)
FIRST_NS = -2_208_988_800 * 10**9
"""1900: an earlier time is a mistake, as is one from 2101 on; it also keeps ns within 64 bits."""
LAST_NS = 4_133_980_800 * 10**9
_EPOCH_LIMITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
"""Below the first number, ns per unit is the second: seconds, milliseconds, microseconds; else ns."""


class Time(NamedTuple):
    """One time: ns since 1970, of a `wall` clock or UTC; `bare` is a date without a time."""

    ns: int
    wall: bool
    bare: bool


class Times(NamedTuple):
    """A column of times; `bad` rows could not be read and hold 0."""

    ns: IntColumn
    wall: NDArray[np.bool_]
    bad: NDArray[np.bool_]


def read_time(text: str, time_format: str | None = None) -> Time | None:
    """Read one time, `None` if it cannot be: by strptime's `time_format`, else ISO 8601, dates and epochs."""
    text = text.strip()
    if time_format is not None:
        return _formatted(text, time_format)
    if re.fullmatch(r"(19|20|21)\d\d[01]\d[0-3]\d", text, re.ASCII):
        return _formatted(text, "%Y%m%d")
    if re.fullmatch(r"\d+(\.\d+)?([eE]\+?\d+)?", text, re.ASCII):
        return _epoch(text)
    if named := _ZONED.fullmatch(text):
        return _in_zone(named[1], named[2])
    fraction = _FRACTION.search(text)
    extra = 0
    if fraction is not None:  # the standard library reads microseconds only
        digits = fraction.group(1).ljust(9, "0")
        extra, text = int(digits[6:]), text.replace(fraction.group(0), "." + digits[:6])
    try:
        return _time(datetime.fromisoformat(text), bare=len(text) <= 10, extra_ns=extra)
    except ValueError:
        found = (_formatted(text, known) for known in _FORMATS)
        return next((time for time in found if time is not None), None)


def _in_zone(text: str, name: str) -> Time | None:
    """Read the time of a zone that is named behind it: `20240103 09:30:00 US/Eastern`."""
    time = read_time(text)
    if time is None or not time.wall:
        return None
    try:
        place = zone(name)
    except UsageError:
        return None
    return Time(int(utc_ns(np.array([time.ns]), place)[0]), wall=False, bare=False)


def guess_formats(texts: Sequence[str]) -> list[str]:
    """Return formats that all of some texts have: to be asked for, as day and month may be either way."""
    return [form for form in _GUESSES if all(_formatted(text.strip(), form) is not None for text in texts)]


def _formatted(text: str, time_format: str) -> Time | None:
    try:
        when = datetime.strptime(text, time_format)  # noqa: DTZ007  (a wall clock unless the format has %z)
    except ValueError:
        return None
    return _time(when, bare="%H" not in time_format and "%I" not in time_format and "%T" not in time_format)


def _time(when: datetime, *, bare: bool, extra_ns: int = 0) -> Time | None:
    since = when - _EPOCH if when.tzinfo is None else when - _EPOCH_UTC
    ns = since // timedelta(microseconds=1) * 1000 + extra_ns
    return Time(ns, when.tzinfo is None, bare) if FIRST_NS <= ns < LAST_NS else None


def _epoch(text: str) -> Time | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    scale = next((scale for limit, scale in _EPOCH_LIMITS if value < limit), 1)
    ns = int(value * scale)
    return Time(ns, wall=False, bare=False) if ns < LAST_NS else None


def read_times(texts: Column, time_format: str | None = None) -> Times:
    """Read a column of text; vectorised where all of it is ISO 8601 of one make."""
    if time_format is None and len(texts):
        epochs = _epochs(texts)
        if epochs is not None:
            return Times(epochs, np.zeros(len(epochs), dtype=bool), np.zeros(len(epochs), dtype=bool))
        if (zoned := _all_in_zone(texts)) is not None:
            return zoned
        for wall in (True, False):
            ns = _cast(texts, wall=wall)
            if ns is not None:
                return Times(ns, np.full(len(ns), wall), (ns < FIRST_NS) | (ns >= LAST_NS))
    read = [read_time(text, time_format) for text in texts.tolist()]
    return Times(
        np.array([time.ns if time else 0 for time in read], dtype=np.int64),
        np.array([bool(time and time.wall) for time in read], dtype=bool),
        np.array([time is None for time in read], dtype=bool),
    )


def _all_in_zone(texts: Column) -> Times | None:
    """Read times that all name the same zone at once."""
    found = _ZONED.fullmatch(str(texts[0]).strip())
    end = found and f" {found[2]}"
    if not end or not all(text.endswith(end) for text in texts.tolist()):
        return None
    try:
        place = zone(end[1:])
    except UsageError:
        return None
    read = read_times(np.array([text.removesuffix(end).rstrip() for text in texts.tolist()], dtype=object))
    bad = read.bad | ~read.wall
    return Times(np.where(bad, 0, utc_ns(read.ns, place)), np.zeros(len(texts), dtype=bool), bad)


def _epochs(texts: Column) -> IntColumn | None:
    """Read whole epoch numbers at once; `None` leaves dates of eight digits and all else to the slow path."""
    if not str(texts[0]).isdecimal():
        return None
    import pyarrow as pa  # noqa: PLC0415  (heavy: only where files are read)

    try:
        values: IntColumn = pa.array(texts, pa.string()).cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if values.min() < 10**8:
        return None
    limits, scales = zip(*_EPOCH_LIMITS, strict=True)
    scale = np.select([values < limit for limit in limits], scales, default=1).astype(np.int64)
    return values * scale if np.all(values.astype(float) * scale < LAST_NS) else None


def _cast(texts: Column, *, wall: bool) -> IntColumn | None:
    import pyarrow as pa  # noqa: PLC0415  (heavy: only where files are read)

    # The cast would take eight digits for a date and other digits for an error: leave numbers to read_time.
    if str(texts[0]).strip().replace(".", "").isdecimal():
        return None
    try:
        cast = pa.array(texts, pa.string()).cast(pa.timestamp("ns", tz=None if wall else "UTC"))
    except pa.ArrowInvalid:
        return None
    if cast.null_count:
        return None
    ns: IntColumn = cast.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return ns


def arrow_times(column: Any) -> Times:
    """Read a Parquet column: timestamps (with or without zone), dates, epoch integers or text."""
    import pyarrow as pa  # noqa: PLC0415

    kind, missing = column.type, np.asarray(column.is_null())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        ns = column.cast(pa.timestamp("ns", tz=getattr(kind, "tz", None)), safe=False)
        ns = ns.cast(pa.int64()).fill_null(0)
        wall = getattr(kind, "tz", None) is None
        values = ns.to_numpy(zero_copy_only=False)
        bad = missing | (values < FIRST_NS) | (values >= LAST_NS)
        return Times(values, np.full(len(column), wall), bad)
    texts = np.array([str(value) for value in column.to_pylist()], dtype=object)
    return read_times(texts)


def is_bare(time: Any) -> bool:
    """Return whether a Parquet value is a date without a time."""
    return isinstance(time, date) and not isinstance(time, datetime)
