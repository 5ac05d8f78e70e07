"""How a table will be read, found out from its first rows before any of them is in the log.

Owns what can be known from a file's head: which column is what, whose clock a time is, how long a bar is,
which way it runs. What cannot be known is asked for with the option to give; nothing is guessed in silence: a
plan says in words what was understood. Reads no more of a file than its first rows.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from adapters.replay.calendar import require_calendar
from adapters.replay.numerals import number, pointed
from adapters.replay.tables.clocks import runs_backwards
from adapters.replay.tables.columns import Layout, lay_out
from adapters.replay.tables.files import PEEK_ROWS, CsvFile, TableFile
from adapters.replay.tables.instruments import define, describe
from adapters.replay.tables.options import TableOptions
from adapters.replay.tables.times import Time, guess_formats, read_time
from core.clock import DAY_NS, SECOND_NS
from core.errors import UsageError

_LENGTHS = {"second": 1, "minute": 60, "hour": 3600, "daily": 86_400}

_Head = Sequence[Sequence[str]]
"""The first rows of a file as text."""


class TablePlan(msgspec.Struct, frozen=True):
    """How one file will be read; `describe()` says it to the user, `words` is kept in the log."""

    name: str
    kind: str
    feed: str
    layout: Layout
    words: str
    sample: Time
    length_ns: int
    note: str = ""
    instrument: str = ""
    backwards: bool = False

    @property
    def by_date(self) -> bool:
        """Whether rows are bars of whole sessions, told by their dates alone."""
        return _by_date(self.layout, self.sample, self.length_ns)

    @property
    def resolution(self) -> str:
        """The name of a bar's length; `tick` where rows have none."""
        return _resolution(self.length_ns)

    def describe(self) -> str:
        """Return one line for the user."""
        return "; ".join(filter(None, (f"{self.name}: {self.words}", self.instrument, self.note)))


def make_plan(file: TableFile, file_format: str, options: TableOptions) -> TablePlan:
    """Return how a file will be read; raises `UsageError` that says what to give or to mend."""
    layout = lay_out(file.name, file.header, options.kind, options.mapping)
    _require_instrument(file, layout, options)
    if options.exchange:
        require_calendar(options.exchange)
    rows = _head(file, options)
    times = _sample_times(file, layout, rows, options)
    _require_numbers(file, layout, rows, options)
    backwards = runs_backwards(layout, rows, options.time_format)
    times = times[::-1] if backwards else times
    length = _length_ns(file, layout, times)
    _require_clock(file, layout, times[0], length, options)
    return TablePlan(
        file.name,
        layout.kind,
        options.feed or f"{file_format}/{_resolution(length)}",
        layout,
        _words(file_format, layout, times[0], length, backwards, options),
        times[0],
        length,
        file.note,
        _instrument_words(layout, rows, options),
        backwards,
    )


def _require_instrument(file: TableFile, layout: Layout, options: TableOptions) -> None:
    if not options.instrument and "instrument" not in layout.texts:
        raise UsageError(
            f"{file.name}: which instrument is it? Add --symbol NAME, or map the column that "
            f"names it: --map instrument=COLUMN"
        )


def _head(file: TableFile, options: TableOptions) -> _Head:
    if isinstance(file, CsvFile) and file.delimiter == options.decimal:
        raise UsageError(f"{file.name}: --decimal ',': its columns are cut at commas already")
    rows = file.peek()
    if not rows:
        raise UsageError(f"{file.name}: holds no rows; expected some below its header")
    return rows


def _sample_times(file: TableFile, layout: Layout, rows: _Head, options: TableOptions) -> list[Time]:
    held = [row for row in rows if len(row) > max(layout.times)]
    texts = [" ".join(row[place] for place in layout.times) for row in held]
    times = [time for time in (read_time(text, options.time_format) for text in texts) if time]
    if not times:
        shown = repr(texts[0]) if texts else "which no row reaches"
        guessed = guess_formats(texts[:PEEK_ROWS]) if texts else []
        form = " or ".join(f"'{form}'" for form in guessed) or "such as '%d.%m.%Y %H:%M:%S'"
        raise UsageError(
            f"{file.name}: no time can be read in column {layout.columns['ts']!r} ({shown}); "
            f"give its form with --time-format {form}, or map another column: --map ts=COLUMN"
        )
    return times


def _require_numbers(file: TableFile, layout: Layout, rows: _Head, options: TableOptions) -> None:
    """Refuse a file whose first rows have no number where there must be one: no row is in the log yet."""
    for field, place in layout.required.items():
        texts = [text for row in rows if len(row) > place and (text := row[place].strip())]
        if texts and all(number(pointed(text, options.decimal)) is None for text in texts):
            raise UsageError(
                f"{file.name}: no number can be read in column {layout.columns[field]!r} "
                f"({texts[0]!r}){_number_advice(texts[0], field)}"
            )


def _number_advice(text: str, field: str) -> str:
    if "," not in text:
        return f"; map another column: --map {field}=COLUMN"
    other = "write nothing between thousands" if "." in text else "or add --decimal ','"
    return f"; write a decimal point, {other}"


def _length_ns(file: TableFile, layout: Layout, times: Sequence[Time]) -> int:
    """Return how long a bar is: the most common distance of its neighbours; 0 of trades and quotes."""
    if layout.kind != "bars":
        return 0
    if all(time.bare for time in times):
        return DAY_NS
    steps = [later.ns - earlier.ns for earlier, later in pairwise(times) if later.ns > earlier.ns]
    if not steps:
        raise UsageError(f"{file.name}: the length of one bar alone is unknown; expected two")
    return min(max(set(steps), key=steps.count), DAY_NS)


def _require_clock(
    file: TableFile, layout: Layout, sample: Time, length_ns: int, options: TableOptions
) -> None:
    if _by_date(layout, sample, length_ns):
        if not options.exchange:
            raise UsageError(
                f"{file.name}: daily bars with a date only end when their exchange closes; say "
                f"which one: --exchange XNYS (or, midnight to midnight: --exchange 24/7 --timezone ZONE)"
            )
    elif sample.wall and not options.timezone:
        raise UsageError(
            f"{file.name}: the times carry no offset from UTC; say whose clock they are, such as "
            f"--timezone America/New_York or --timezone UTC"
        )


def _by_date(layout: Layout, sample: Time, length_ns: int) -> bool:
    return layout.kind == "bars" and length_ns == DAY_NS and sample.bare


def _resolution(length_ns: int) -> str:
    if not length_ns:
        return "tick"
    return next(name for name, seconds in _LENGTHS.items() if length_ns <= seconds * SECOND_NS)


# -- in words ----------------------------------------------------------------------------------


def _words(
    file_format: str, layout: Layout, sample: Time, length_ns: int, backwards: bool, options: TableOptions
) -> str:
    words = [f"{file_format} {layout.kind}: {layout.describe()}"]
    if "instrument" not in layout.texts:
        words.append(f"instrument {options.instrument}")
    words.append(f"exchange {options.exchange}" if options.exchange else "no exchange")
    words += _clock_words(layout, sample, length_ns, options)
    if options.time_format:
        words.append(f"time format {options.time_format}")
    if backwards:
        words.append("newest row first")
    if options.decimal == ",":
        words.append("decimal comma")
    return "; ".join(words)


def _clock_words(layout: Layout, sample: Time, length_ns: int, options: TableOptions) -> list[str]:
    if _by_date(layout, sample, length_ns):
        return ["each bar spans its session"]
    words = [f"times of {options.timezone}" if sample.wall else "times with an offset or epoch"]
    if layout.kind == "bars":
        words.append(f"bars of {length_ns / SECOND_NS:g} s labelled at their {options.bar_time}")
    return words


def _instrument_words(layout: Layout, rows: _Head, options: TableOptions) -> str:
    """Say what the instruments of the first rows are; refuses what they cannot be."""
    place = layout.texts.get("instrument")
    names = {row[place].strip() for row in rows if len(row) > place} if place is not None else set()
    alone = place is None
    known = sorted(names - {""}) if not alone else [options.instrument or ""]
    return describe([define(options, name, 0, "", "", alone=alone) for name in known])
