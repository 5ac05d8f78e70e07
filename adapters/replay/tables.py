"""Imports trades, quotes or bars from CSV and Parquet files with a mapping of their columns.

Owns the meaning of tables: which column is what, whose clock a time is, what a bar spans. Whatever
cannot be known from the file is asked for with the option to give; nothing is guessed in silence: a
plan says in words what was understood. Files are read by table_files.py, appended by importing.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.replay.calendar import (
    DAY_NS,
    SECOND_NS,
    UNLISTED,
    exchange_code,
    local_dates,
    require_calendar,
    sessions,
    utc_ns,
    zone,
)
from adapters.replay.held_bars import HeldBars
from adapters.replay.importing import (
    Definitions,
    FileSlice,
    ImportSet,
)
from adapters.replay.merging import merged
from adapters.replay.rows import NO_TIMES, Draft, IntColumn, Parsed, finish, number, pointed
from adapters.replay.table_clocks import of_wall, runs_backwards, turned
from adapters.replay.table_columns import KINDS, Layout, lay_out
from adapters.replay.table_files import PEEK_ROWS, Block, CsvFile, ParquetFile, TableFile
from adapters.replay.table_instruments import InstrumentOptions, check_options, define, describe
from adapters.replay.table_rows import BUILDERS, Spans
from adapters.replay.table_times import Time, guess_formats, read_time
from core.errors import DataMissing, UsageError
from core.events import Event, FeedDefined, InstrumentDefined, SessionScheduled

FORMATS = ("csv", "parquet")
RUN_DAYS = 31
_LENGTHS = {"second": 1, "minute": 60, "hour": 3600, "daily": 86_400}


class TableOptions(InstrumentOptions, frozen=True, kw_only=True):
    """What a user says of the files. `None` is to be found out, or refused where it cannot be.

    `mapping` goes from field (`ts`, `price`, `bid_size`, …) to column. `bar_time` tells whether the time
    of an intraday bar is its `start` or its `end`.
    """

    kind: str | None = None
    mapping: Mapping[str, str] = {}
    timezone: str | None = None
    exchange: str | None = None
    instrument: str | None = None
    feed: str | None = None
    time_format: str | None = None
    bar_time: str = "start"
    decimal: str = "."


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
    def daily(self) -> bool:
        """Whether rows are bars of whole sessions."""
        return self.kind == "bars" and self.length_ns == DAY_NS

    def describe(self) -> str:
        """Return one line for the user."""
        return "; ".join(filter(None, (f"{self.name}: {self.words}", self.instrument, self.note)))


def parse_mapping(text: str) -> dict[str, str]:
    """Read `ts=Time,price=Price`; raises `UsageError`."""
    mapping = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = pair.partition("=")
        if not equals or not field.strip() or not column.strip():
            raise UsageError(f"--map {pair!r}: expected FIELD=COLUMN, such as ts=Time,price=Price,size=Qty")
        mapping[field.strip()] = column.strip()
    return mapping


def plan_tables(files: Sequence[Path], file_format: str, options: TableOptions) -> list[TablePlan]:
    """Return how the files would be read, without importing them."""
    return [table.plan for table in open_tables(files, file_format, options)]


def open_tables(files: Sequence[Path], file_format: str, options: TableOptions) -> list["Table"]:
    """Open the files and plan their reading, each as a set of its own.

    Raises `DataMissing` for a file that does not exist, `UsageError` for what cannot be understood.
    """
    if file_format not in FORMATS:
        raise UsageError(f"--format {file_format!r}: expected one of lean, {', '.join(FORMATS)}")
    if not files:
        raise UsageError(f"--format {file_format} needs at least one FILE")
    if options.bar_time not in {"start", "end"}:
        raise UsageError(f"--bar-time {options.bar_time!r}: expected start or end")
    if options.kind not in {None, *KINDS}:
        raise UsageError(f"--kind {options.kind!r}: expected one of {', '.join(KINDS)}")
    check_options(options)
    if options.decimal not in {".", ","}:
        raise UsageError(f"--decimal {options.decimal!r}: expected . or ,")
    for path in files:
        if not path.is_file():
            what = "is no file that can be read twice" if path.exists() else "no such file"
            raise DataMissing(f"{path}: {'is a directory: name the files in it' if path.is_dir() else what}")
    if options.exchange is not None:
        options = msgspec.structs.replace(options, exchange=exchange_code(options.exchange))
    opened = CsvFile if file_format == "csv" else ParquetFile
    return [Table(opened(path), file_format, options) for path in files]


class _Drafted(NamedTuple):
    # A block before the verdict on its times: what its rows refer to, and they by instrument.
    definitions: Definitions
    drafts: Mapping[str, Draft]


class Table:
    """One file, its plan, and the events in it."""

    def __init__(self, file: TableFile, file_format: str, options: TableOptions) -> None:
        self._file = file
        self._options = options
        self._timezone = zone(options.timezone) if options.timezone else None
        self.plan = self._make_plan(file_format)
        self._scheduled: list[SessionScheduled] = []
        self._held = HeldBars()

    def import_set(self) -> ImportSet:
        """Return the file as an import set."""
        rows = (FileSlice(self._file.name, self._file.digest, 1, self._file.rows),)
        return ImportSet(
            self.plan.feed, self.plan.words, rows, self._feed_definition, self._items, self._held
        )

    def _make_plan(self, file_format: str) -> TablePlan:
        options, rows = self._options, self._file.peek()
        layout = lay_out(self._file.name, self._file.header, options.kind, options.mapping)
        if not options.instrument and "instrument" not in layout.texts:
            raise UsageError(
                f"{self._file.name}: which instrument is it? Add --symbol NAME, or map the column that "
                f"names it: --map instrument=COLUMN"
            )
        if options.exchange:
            require_calendar(options.exchange)
        if isinstance(self._file, CsvFile) and self._file.delimiter == options.decimal:
            raise UsageError(f"{self._file.name}: --decimal ',': its columns are cut at commas already")
        if not rows:
            raise UsageError(f"{self._file.name}: holds no rows; expected some below its header")
        times = self._sample_times(layout, rows)
        self._require_numbers(layout, rows)
        backwards = runs_backwards(layout, rows, options.time_format)
        times = times[::-1] if backwards else times
        length = self._length(layout.kind, times)
        daily = length == DAY_NS and layout.kind == "bars"
        self._require_clock(times[0], daily=daily)
        feed = options.feed or f"{file_format}/{_resolution(length)}"
        clock = self._clock_words(times[0], daily, length, layout)
        words = f"{file_format} {layout.kind}: {layout.describe()}{clock}"
        words += "; newest row first" if backwards else ""
        words += "; decimal comma" if options.decimal == "," else ""
        note, instrument = self._file.note, self._instrument_words(layout, rows)
        return TablePlan(
            self._file.name, layout.kind, feed, layout, words, times[0], length, note, instrument, backwards
        )

    def _instrument_words(self, layout: Layout, rows: Sequence[Sequence[str]]) -> str:
        """Say what the instruments of the first rows are; refuses what they cannot be."""
        place = layout.texts.get("instrument")
        names = {row[place].strip() for row in rows if len(row) > place} if place is not None else set()
        alone = place is None
        known = sorted(names - {""}) if not alone else [self._options.instrument or ""]
        return describe([define(self._options, name, 0, "", "", alone=alone) for name in known])

    def _sample_times(self, layout: Layout, rows: Sequence[Sequence[str]]) -> list[Time]:
        held = [row for row in rows if len(row) > max(layout.times)]
        texts = [" ".join(row[place] for place in layout.times) for row in held]
        times = [time for time in (read_time(text, self._options.time_format) for text in texts) if time]
        if not times:
            shown = repr(texts[0]) if texts else "which no row reaches"
            guessed = guess_formats(texts[:PEEK_ROWS]) if texts else []
            form = " or ".join(f"'{form}'" for form in guessed) or "such as '%d.%m.%Y %H:%M:%S'"
            raise UsageError(
                f"{self._file.name}: no time can be read in column {layout.columns['ts']!r} ({shown}); "
                f"give its form with --time-format {form}, or map another column: --map ts=COLUMN"
            )
        return times

    def _require_numbers(self, layout: Layout, rows: Sequence[Sequence[str]]) -> None:
        """Refuse a file whose first rows have no number where there must be one: no row is in the log yet."""
        for field, place in layout.required.items():
            texts = [text for row in rows if len(row) > place and (text := row[place].strip())]
            if texts and all(number(pointed(text, self._options.decimal)) is None for text in texts):
                comma = ""
                if "," in texts[0]:
                    other = "write nothing between thousands" if "." in texts[0] else "or add --decimal ','"
                    comma = f"; write a decimal point, {other}"
                raise UsageError(
                    f"{self._file.name}: no number can be read in column {layout.columns[field]!r} "
                    f"({texts[0]!r}){comma or f'; map another column: --map {field}=COLUMN'}"
                )

    def _length(self, kind: str, times: Sequence[Time]) -> int:
        """Return how long a bar is: the most common distance of its neighbours."""
        if kind != "bars":
            return 0
        if all(time.bare for time in times):
            return DAY_NS
        steps = [later.ns - earlier.ns for earlier, later in pairwise(times) if later.ns > earlier.ns]
        if not steps:
            raise UsageError(f"{self._file.name}: the length of one bar alone is unknown; expected two")
        return min(max(set(steps), key=steps.count), DAY_NS)

    def _require_clock(self, sample: Time, *, daily: bool) -> None:
        if daily and sample.bare:
            if not self._options.exchange:
                raise UsageError(
                    f"{self._file.name}: daily bars with a date only end when their exchange closes; say "
                    f"which one: --exchange XNYS (or, midnight to midnight: --exchange 24/7 --timezone ZONE)"
                )
            return
        if sample.wall and self._timezone is None:
            raise UsageError(
                f"{self._file.name}: the times carry no offset from UTC; say whose clock they are, such as "
                f"--timezone America/New_York or --timezone UTC"
            )

    def _clock_words(self, sample: Time, daily: bool, length: int, layout: Layout) -> str:
        options = self._options
        words = [f"instrument {options.instrument}"] if "instrument" not in layout.texts else []
        words.append(f"exchange {options.exchange}" if options.exchange else "no exchange")
        if daily and sample.bare:
            words.append("each bar spans its session")
        else:
            words.append(f"times of {options.timezone}" if sample.wall else "times with an offset or epoch")
            if layout.kind == "bars":
                words.append(f"bars of {length / SECOND_NS:g} s labelled at their {options.bar_time}")
        if options.time_format:
            words.append(f"time format {options.time_format}")
        return "; " + "; ".join(words)

    def _feed_definition(self) -> list[Event]:
        sample, timezone = self.plan.sample, self._timezone
        first = np.array([sample.ns], dtype=np.int64)
        ts = int((utc_ns(first, timezone) if sample.wall and timezone else first)[0])
        return [
            FeedDefined(
                ts,
                feed=self.plan.feed,
                source="files",
                resolution=_resolution(self.plan.length_ns),
                consolidated="venue" not in self.plan.layout.texts,
                description="as in the files; whether prices are adjusted is not known",
            )
        ]

    def _items(self, slices: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        whole = [(1, self._file.rows)]
        assert [(piece.first, piece.rows) for piece in slices] == whole, "tables are read whole"
        self._scheduled = []
        last: dict[str, int] = {}
        held: _Drafted | None = None
        for drafted in self._drafts():
            if held is not None:
                yield from self._judged(held, drafted.drafts, last)
            held = drafted
        if held is not None:
            yield from self._judged(held, {}, last)

    def _drafts(self) -> Iterator["_Drafted"]:
        known: set[str] = set()
        whole = self.plan.backwards or "instrument" in self.plan.layout.texts
        wanted = self.plan.layout.wanted(self._options.time_format, self._options.decimal)
        for read in self._file.blocks(wanted, whole=whole):
            block = turned(read) if self.plan.backwards else read
            ts = self._utc(block)
            definitions = Definitions(self._definitions(block.parsed, ts, known))
            yield _Drafted(definitions, dict(self._by_instrument(block.parsed, ts)))

    def _judged(
        self, held: "_Drafted", following: Mapping[str, Draft], last: dict[str, int]
    ) -> Iterator[list[Event] | Definitions]:
        """Yield the items of a block, its times judged together with those of the block after it."""
        yield held.definitions
        files = []
        for name, draft in held.drafts.items():
            ahead = following[name].times() if name in following else NO_TIMES
            rows = finish(draft, previous_ts=last.get(name, 0), ahead=ahead)
            files.append([rows])
            if len(rows):
                last[name] = int(rows.keys[-1])
        yield from merged(files, self._held.check)

    def _utc(self, block: Block) -> IntColumn:
        """Return ns UTC, rejecting what cannot be read; a bare date stays midnight of the wall clock."""
        parsed, times = block.parsed, block.times
        parsed.reject(
            times.bad, lambda row: f"field ts: {block.shown(row)!r} is not a time between 1900 and 2100"
        )
        if self.plan.daily and self.plan.sample.bare:
            return times.ns
        if self._timezone is None:
            unknown = times.wall & ~times.bad
            parsed.reject(unknown, lambda _: "field ts: has no offset, and no --timezone was given")
            return times.ns
        return np.where(times.wall, of_wall(block, self._timezone), times.ns)

    def _definitions(self, parsed: Parsed, ts: IntColumn, known: set[str]) -> list[Event]:
        good = np.ones(parsed.rows, dtype=bool)
        good[list(parsed.reasons)] = False
        if not good.any():
            return []
        scheduled = self._schedule(ts[good])
        names = parsed.columns["instrument"][good].tolist() if "instrument" in parsed.columns else []
        new = sorted({name.strip() for name in names} or {self._options.instrument or ""})
        begin = scheduled[0].begin if scheduled else int(ts[good][0])
        defined = []
        for name in (name for name in new if name and name not in known):
            try:
                defined.append(self._instrument(name, begin))
            except UsageError as error:
                self._undefined(parsed, name, str(error))
        known.update(new)
        return [*defined, *scheduled]

    def _undefined(self, parsed: Parsed, name: str, why: str) -> None:
        """Reject the rows of an instrument that no row of the plan named."""
        mine = [text.strip() == name for text in parsed.columns["instrument"].tolist()]
        parsed.reject(np.array(mine, dtype=bool), lambda _: f"field instrument: {why}")

    def _schedule(self, ts: IntColumn) -> list[SessionScheduled]:
        """Return the sessions that the block's times reach and no earlier block did."""
        bare = self.plan.daily and self.plan.sample.bare
        days = local_dates(ts, zone("UTC") if bare or self._timezone is None else self._timezone)
        timezone = self._options.timezone or "UTC"
        if self._options.exchange is None:
            found = [held for day in days for held in sessions(UNLISTED, day, day, timezone)]
        else:
            # A session may reach into the day before or after its date, unless dates are all there is.
            margin = timedelta(days=0 if bare else 1)
            found = [
                held
                for first, last in _runs(days)
                for held in sessions(self._options.exchange, first - margin, last + margin, timezone)
            ]
        dates = {held.date for held in self._scheduled}
        new = [held for held in found if held.date not in dates]
        self._scheduled = sorted([*self._scheduled, *new], key=lambda held: held.begin)
        return new

    def _instrument(self, name: str, ts: int) -> InstrumentDefined:
        options = self._options
        exchange = self._scheduled[0].exchange if self._scheduled else options.exchange or UNLISTED
        # An exchange has a clock of its own, whatever clock the file's times were written by.
        timezone = self._scheduled[0].timezone if self._scheduled else options.timezone or "UTC"
        return define(options, name, ts, exchange, timezone, alone="instrument" not in self.plan.layout.texts)

    def _by_instrument(self, parsed: Parsed, ts: IntColumn) -> Iterator[tuple[str, Draft]]:
        """Yield the rows of each instrument; rows in order of time are asked of each apart."""
        if "instrument" not in parsed.columns:
            name = self._options.instrument or ""
            yield name, self._draft(parsed, ts, name)
            return
        names = parsed.columns["instrument"]
        parsed.reject(names == "", lambda _: "field instrument: empty")
        for name in sorted(set(names.tolist())):
            mine = np.flatnonzero(names == name)
            yield name, self._draft(parsed.only(mine), ts[mine], name.strip())

    def _draft(self, parsed: Parsed, ts: IntColumn, instrument: str) -> Draft:
        return BUILDERS[self.plan.kind](parsed, self._spans(parsed, ts), self.plan.feed, instrument)

    def _spans(self, parsed: Parsed, ts: IntColumn) -> Spans:
        """Give each row its start and end, and reject rows of no session."""
        if self.plan.daily and self.plan.sample.bare:
            by_date = {held.date: held for held in self._scheduled}
            held = [by_date.get(day.isoformat()) for day in _dates(ts)]
            missing = np.array([known is None for known in held], dtype=bool)
            begins = np.array([known.open if known else 0 for known in held], dtype=np.int64)
            ends = np.array([known.close if known else 0 for known in held], dtype=np.int64)
        else:
            length = self.plan.length_ns
            begins = ts - length if self._options.bar_time == "end" else ts
            ends, missing = begins + length, self._outside(begins)
        days = _dates(ts) if missing.any() else []
        parsed.reject(missing, lambda row: f"{days[row]} is not a session of {self._options.exchange}")
        return Spans(begins, ends)

    def _outside(self, ts: IntColumn) -> NDArray[np.bool_]:
        """Return where a time is in no session of the exchange, if one was given."""
        if self._options.exchange is None or not self._scheduled:
            return np.zeros(len(ts), dtype=bool)
        places = np.searchsorted([held.begin for held in self._scheduled], ts, side="right") - 1
        ends = np.array([held.end for held in self._scheduled], dtype=np.int64)
        return (places < 0) | (ts >= ends[places])


def _resolution(length_ns: int) -> str:
    """Return the name of a bar length; ticks have none."""
    if not length_ns:
        return "tick"
    return next(name for name, seconds in _LENGTHS.items() if length_ns <= seconds * SECOND_NS)


def _runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """Cut sorted days where more than `RUN_DAYS` are empty: one stray date must not schedule decades."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and (day - runs[-1][1]).days <= RUN_DAYS:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _dates(ts: IntColumn) -> list[date]:
    return [datetime.fromtimestamp(ns // SECOND_NS, UTC).date() for ns in ts.tolist()]
