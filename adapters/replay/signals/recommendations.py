"""Rows of recommendations (symbol, weight or score, date) as signals.

A score within -1..1 is the value. Scores beyond are brought there linearly from the least of 0..5, 0..10,
0..100 that holds them all, or from -S..S if some are negative; `--scale LOW..HIGH` says it instead. Weights
are divided by the largest of their date, so that the strongest recommendation of a day is 1 (or -1).
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Literal

import msgspec

from adapters.replay.signals.headings import Columns
from adapters.replay.signals.market import YEARS_MAX, Market
from adapters.replay.signals.values import BadCell, date_in, moment, number, score, shown, symbol
from core.clock import DAY_NS
from core.errors import UsageError
from core.events import Event, InstrumentDefined, RowRejected, SignalReceived
from core.signals.rules import problem

_SCALES = (5.0, 10.0, 100.0)
SCORE_MAX = 1_000


class SignalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of a file of signals; `None` is to be found out.

    `mapping` goes from field to heading, `symbols` from symbol to the log's name. `scale` is what scores or
    weights go from and to. `live` tells that the file is read while trading: what it says is known now.
    """

    source: str = "bma"
    sheet: str | None = None
    mapping: dict[str, str] = {}
    symbols: dict[str, str] = {}
    day: str | None = None
    known_at: Literal["open", "close"] = "close"
    scale: tuple[float, float] | None = None
    valid_days: float = 5.0
    k: float = 1.0
    volatility: float | None = None
    live: bool = False


class Row(msgspec.Struct):
    """A row whose cells were understood; `value` is as in the file, or what its `word` (`BUY`) stands for."""

    line: int
    instrument: InstrumentDefined
    day: date
    as_of: int
    ts: int
    value: float
    confidence: float
    expires: int
    word: str = ""


class RowReader:
    """Reads the cells of one table's rows, with the place in every complaint."""

    def __init__(self, columns: Columns, options: SignalOptions, market: Market) -> None:
        self.columns = columns
        self.options = options
        self.market = market
        self._default_day = _default_day(columns, options)
        self._seen: dict[tuple[str, int], int] = {}

    def lines(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the rows below the header that hold anything, with their lines."""
        columns = self.columns
        for line, row in enumerate(columns.cells.rows[columns.header :], columns.header + 1):
            if any(value is not None and value != "" for value in row):
                yield line, row

    def rejected(self, line: int, row: list[Any], reason: str) -> RowRejected:
        """Return the event of a row that cannot be taken."""
        text = ",".join("" if value is None else shown(value) for value in row[:16])
        return RowRejected(0, self.columns.cells.file, line, reason, text)

    def cell(self, line: int, row: list[Any], column: int, read: Callable[[Any], Any]) -> Any:
        """Return what a cell says; raises `BadCell` that names the place."""
        cells = self.columns.cells
        trouble = cells.trouble(line, column)
        if trouble is not None:
            raise BadCell(f"{cells.place(line, column)} {trouble}")
        try:
            return read(row[column - 1] if column <= len(row) else None)
        except BadCell as error:
            raise BadCell(f"{cells.place(line, column)}: {error}") from None

    def field(self, line: int, row: list[Any], name: str, read: Callable[[Any], Any]) -> Any:
        """Return what the cell of a field says."""
        return self.cell(line, row, self.columns.fields[name], read)

    def number(self, value: Any) -> float:
        """Return a cell's number."""
        return number(value, texts=self.columns.cells.texts)

    def score(self, value: Any) -> tuple[float, str]:
        """Return a cell's number, or what its word stands for and the word."""
        return score(value, texts=self.columns.cells.texts)

    def head(self, line: int, row: list[Any]) -> tuple[InstrumentDefined, date, int, int]:
        """Return a row's instrument, date, `as_of` and from when on it may be acted on."""
        fields, options = self.columns.fields, self.options
        instrument = self.field(
            line, row, "symbol", lambda value: self.market.instrument(symbol(value), options.symbols)
        )
        if "date" in fields:
            day, clock = self.field(line, row, "date", moment)
        elif self._default_day is not None:
            day, clock = self._default_day, None
        else:
            raise BadCell("no date: add --date 2025-07-02, or a column with dates")
        now, place = self.market.now, self._date_place(line)
        far = abs(day.year - date.fromordinal(719_163 + now // DAY_NS).year) > YEARS_MAX
        if far and not self.market.holds(day, instrument):
            raise BadCell(f"{place}: {day} is more than {YEARS_MAX} years away, and no session of the log")
        as_of = self.market.known_at(day, clock, options.known_at, instrument)
        if options.live and clock is None and as_of > now:
            begin = self.market.known_at(day, None, "open", instrument) - DAY_NS // 2
            as_of = now if begin <= now else as_of  # today's file, read before the close: known by being read
        if as_of > now:
            raise BadCell(f"{place}: {day} is in the future")
        return instrument, day, as_of, now if options.live else as_of

    def once(self, instrument: str, as_of: int, line: int) -> None:
        """Raise `BadCell` if an earlier row spoke of the same instrument and time."""
        first = self._seen.setdefault((instrument, as_of), line)
        if first != line:
            place = self.columns.cells.place(line, self.columns.fields["symbol"])
            raise BadCell(f"{place}: duplicate: line {first} has {instrument} for the same date already")

    def _date_place(self, line: int) -> str:
        column = self.columns.fields.get("date")
        return self.columns.cells.place(line, column) if column else "date"


def read_recommendations(columns: Columns, options: SignalOptions, market: Market) -> tuple[str, list[Event]]:
    """Return the rule in words, and an event for each row below the header: a signal or a rejection."""
    reader = RowReader(columns, options, market)
    items: dict[int, RowRejected | Row] = {}
    texts: dict[int, list[Any]] = {}
    for line, row in reader.lines():
        texts[line] = row
        try:
            items[line] = _row(reader, line, row)
        except BadCell as error:
            items[line] = reader.rejected(line, row, str(error))
    rows = [item for item in items.values() if isinstance(item, Row)]
    field = value_field(columns)
    words, convert = _rule(field, [row for row in rows if not row.word], options, columns)
    if any(row.word for row in rows):
        words += "; BUY is 1, HOLD 0, SELL -1"
    events: list[Event] = []
    for line, item in items.items():
        if isinstance(item, Row):
            signal = _signal(item, item.value if item.word else convert(item), field, options)
            wrong = problem(signal)
            events.append(signal if wrong is None else reader.rejected(line, texts[line], wrong))
        else:
            events.append(item)
    return words, events


def value_field(columns: Columns) -> str:
    """Return whether rows are scores or weights; a score counts where a table has both."""
    return "score" if "score" in columns.fields else "weight"


def _row(reader: RowReader, line: int, row: list[Any]) -> Row:
    fields, options = reader.columns.fields, reader.options
    instrument, day, as_of, ts = reader.head(line, row)
    field, word = value_field(reader.columns), ""
    if field == "score":
        value, word = reader.field(line, row, field, reader.score)
    else:
        value = reader.field(line, row, field, reader.number)
    confidence = 1.0
    if "confidence" in fields:
        confidence = reader.field(line, row, "confidence", reader.number)
    expires = as_of + round(options.valid_days * DAY_NS)
    said = reader.field(line, row, "expires", lambda cell: cell) if "expires" in fields else None
    if said is not None and said != "":  # an empty cell says no more than no column
        last, clock = reader.field(line, row, "expires", moment)
        expires = reader.market.known_at(last, clock, "close", instrument)
    reader.once(instrument.instrument, as_of, line)
    return Row(line, instrument, day, as_of, ts, value, confidence, expires, word)


def _signal(row: Row, value: float, field: str, options: SignalOptions) -> SignalReceived:
    return SignalReceived(
        row.ts,
        options.source,
        row.instrument.instrument,
        value,
        row.confidence,
        row.as_of,
        0,
        row.expires,
        f"{field} {row.word or format(row.value, 'g')} of {row.day}",
    )


def _rule(
    field: str, rows: list[Row], options: SignalOptions, columns: Columns
) -> tuple[str, Callable[[Row], float]]:
    """Return how values become signals, in words too; raises `UsageError` if nobody can know."""
    values = [row.value for row in rows]
    if options.scale is not None:
        low, high = options.scale
        return f"{field} from {low:g}..{high:g} to -1..1", lambda row: _linear(row.value, low, high)
    if field == "weight":
        largest: dict[date, float] = {}
        for row in rows:
            largest[row.day] = max(largest.get(row.day, 0.0), abs(row.value))
        return "weight / largest weight of its date", lambda row: row.value / (largest[row.day] or 1.0)
    top = max((abs(value) for value in values), default=0.0)
    if top <= 1:
        return "score as it is, from -1..1", lambda row: row.value
    if top > SCORE_MAX:
        odd = next(row for row in rows if abs(row.value) == top)
        place = f"{columns.cells.file}: {columns.cells.place(odd.line, columns.fields[field])}"
        raise UsageError(
            f"{place}: {odd.value:g} is no score: beyond {SCORE_MAX:,} it would make all others "
            "nothing; correct it, or say what the scores range over: --scale LOW..HIGH"
        )
    least = -1.0 if min(values) < 0 else 0.0
    high = next((scale for scale in _SCALES if top <= scale), top)
    low = least * high
    return f"score from {low:g}..{high:g} to -1..1", lambda row: _linear(row.value, low, high)


def _linear(value: float, low: float, high: float) -> float:
    """Return where `value` is between `low` (-1) and `high` (1); beyond them it stays beyond."""
    return (value - low) / (high - low) * 2.0 - 1.0


def _default_day(columns: Columns, options: SignalOptions) -> date | None:
    if options.day is not None:
        return date.fromisoformat(options.day)
    return date_in(columns.cells.sheet) or date_in(columns.cells.file)
