"""One CSV or Parquet file as trades, quotes or bars with the instruments and sessions that they refer to.

Reads by its plan, block by block: times to UTC, rows to their instruments, a verdict on each. What the file
means is plan.py's and sessions.py's, its bytes are files.py's; appending is importing.py's.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adapters.replay.calendar import utc_ns, zone
from adapters.replay.held_bars import HeldBars
from adapters.replay.importing import Definitions, FileSlice, ImportSet
from adapters.replay.merging import merged
from adapters.replay.parsed import NO_TIMES, IntColumn, Parsed
from adapters.replay.rows import Draft, finish
from adapters.replay.tables.clocks import Repeated, of_wall, turned
from adapters.replay.tables.files import Block, CsvFile, ParquetFile, TableFile
from adapters.replay.tables.instruments import define
from adapters.replay.tables.options import FORMATS, TableOptions
from adapters.replay.tables.plan import TablePlan, make_plan
from adapters.replay.tables.rows import BUILDERS
from adapters.replay.tables.sessions import ReachedSessions
from core.errors import DataMissing, UsageError
from core.events import Event, FeedDefined, InstrumentDefined


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
    options = options.checked()
    for path in files:
        if not path.is_file():
            what = "is no file that can be read twice" if path.exists() else "no such file"
            raise DataMissing(f"{path}: {'is a directory: name the files in it' if path.is_dir() else what}")
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
        self.plan = make_plan(file, file_format, options)
        self._sessions = ReachedSessions(self.plan, options, self._timezone)
        self._held = HeldBars()
        self._repeated: Repeated = {}

    def import_set(self) -> ImportSet:
        """Return the file as an import set."""
        rows = (FileSlice(self._file.name, self._file.digest, 1, self._file.rows),)
        return ImportSet(
            self.plan.feed, self.plan.words, rows, self._feed_definition, self._items, self._held
        )

    def _feed_definition(self) -> list[Event]:
        sample, timezone = self.plan.sample, self._timezone
        first = np.array([sample.ns], dtype=np.int64)
        ts = int((utc_ns(first, timezone) if sample.wall and timezone else first)[0])
        return [
            FeedDefined(
                ts,
                feed=self.plan.feed,
                source="files",
                resolution=self.plan.resolution,
                consolidated="venue" not in self.plan.layout.texts,
                description="as in the files; whether prices are adjusted is not known",
            )
        ]

    def _items(self, slices: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        whole = [(1, self._file.rows)]
        assert [(piece.first, piece.rows) for piece in slices] == whole, "tables are read whole"
        self._sessions = ReachedSessions(self.plan, self._options, self._timezone)
        self._repeated.clear()
        last: dict[str, int] = {}
        held: _Drafted | None = None
        for drafted in self._drafts():
            if held is not None:
                yield from self._judged(held, drafted.drafts, last)
            held = drafted
        if held is not None:
            yield from self._judged(held, {}, last)

    def _drafts(self) -> Iterator[_Drafted]:
        known: set[str] = set()
        whole = self.plan.backwards or "instrument" in self.plan.layout.texts
        wanted = self.plan.layout.wanted(self._options.time_format, self._options.decimal)
        for read in self._file.blocks(wanted, whole=whole):
            block = turned(read) if self.plan.backwards else read
            ts = self._utc(block)
            definitions = Definitions(self._definitions(block.parsed, ts, known))
            yield _Drafted(definitions, dict(self._by_instrument(block.parsed, ts)))

    def _judged(
        self, held: _Drafted, following: Mapping[str, Draft], last: dict[str, int]
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
        if self.plan.by_date:
            return times.ns
        if self._timezone is None:
            unknown = times.wall & ~times.bad
            parsed.reject(unknown, lambda _: "field ts: has no offset, and no --timezone was given")
            return times.ns
        utc = of_wall(block, self._timezone, self._repeated, self.plan.length_ns)
        return np.where(times.wall, utc, times.ns)

    def _definitions(self, parsed: Parsed, ts: IntColumn, known: set[str]) -> list[Event]:
        """Return the sessions and instruments that a block's good rows name and none before did."""
        good = parsed.good()
        if not good.any():
            return []
        scheduled = self._sessions.reach(ts[good])
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

    def _instrument(self, name: str, ts: int) -> InstrumentDefined:
        alone = "instrument" not in self.plan.layout.texts
        exchange, timezone = self._sessions.exchange, self._sessions.timezone
        return define(self._options, name, ts, exchange, timezone, alone=alone)

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
        spans = self._sessions.spans(parsed, ts)
        return BUILDERS[self.plan.kind](parsed, spans, self.plan.feed, instrument)
