"""Rows of price forecasts (symbol, date, d+1 … d+n) as signals, one for each day ahead.

The formula is `core.signals.forecast`'s. Day n looks n sessions ahead and expires at that session's close.
The price it starts from is the column `base`, else the last close of the log that is not later.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from adapters.replay.signals.headings import Columns
from adapters.replay.signals.market import Market
from adapters.replay.signals.recommendations import RowReader, SignalOptions
from adapters.replay.signals.values import BadCell
from core.clock import DAY_NS
from core.events import Event, InstrumentDefined, SignalReceived
from core.signals.forecast import CLOSES_MIN, value_of
from core.signals.rules import problem


def read_forecasts(columns: Columns, options: SignalOptions, market: Market) -> tuple[str, list[Event]]:
    """Return the rule in words, and an event for each day of each row: a signal or a rejection."""
    reader = RowReader(columns, options, market)
    events: list[Event] = []
    for line, row in reader.lines():
        try:
            events += _row(reader, line, row)
        except BadCell as error:
            events.append(reader.rejected(line, row, str(error)))
    given = options.volatility
    which = "of the log's closes" if given is None else f"{given:g}"
    words = f"clip(return over n days / ({options.k:g} × volatility {which} × sqrt(n)), -1, 1)"
    return words, events


def _row(reader: RowReader, line: int, row: list[Any]) -> Iterator[Event]:
    instrument, day, as_of, ts = reader.head(line, row)
    base = _base(reader, line, row, instrument, as_of)
    volatility = reader.options.volatility or reader.market.volatility(instrument.instrument, as_of)
    if volatility is None:
        raise BadCell(
            f"volatility of {instrument.instrument} unknown: fewer than {CLOSES_MIN} closes in the log up to "
            f"{day}: give --volatility or [signals] volatility"
        )
    confidence = 1.0
    if "confidence" in reader.columns.fields:
        confidence = reader.field(line, row, "confidence", reader.number)
    reader.once(instrument.instrument, as_of, line)
    return _days(reader, line, row, _Start(instrument, day, as_of, ts, base, volatility, confidence))


class _Start:
    """What the days of one row have in common."""

    def __init__(
        self,
        instrument: InstrumentDefined,
        day: date,
        as_of: int,
        ts: int,
        base: float,
        volatility: float,
        confidence: float,
    ) -> None:
        self.instrument = instrument
        self.day = day
        self.as_of = as_of
        self.ts = ts
        self.base = base
        self.volatility = volatility
        self.confidence = confidence


def _days(reader: RowReader, line: int, row: list[Any], start: _Start) -> Iterator[Event]:
    days = reader.columns.days
    closes = reader.market.closes_after(start.day, max(days), start.instrument)
    for ahead in sorted(days):
        try:
            price = reader.cell(line, row, days[ahead], reader.number)
            if price <= 0:
                place = reader.columns.cells.place(line, days[ahead])
                raise BadCell(f"{place}: {price:g} is no price, expected more than 0")
            signal = _signal(reader.options, start, ahead, price, closes[ahead - 1])
            wrong = problem(signal)
            if wrong is not None:
                raise BadCell(f"d+{ahead}: {wrong}")
            yield signal
        except BadCell as error:
            yield reader.rejected(line, row, str(error))


def _signal(options: SignalOptions, start: _Start, ahead: int, price: float, expires: int) -> SignalReceived:
    return SignalReceived(
        start.ts,
        options.source,
        start.instrument.instrument,
        value_of(price, start.base, ahead, start.volatility, options.k),
        start.confidence,
        start.as_of,
        ahead * DAY_NS,
        expires,
        f"d+{ahead} of {start.day}: {price:g} from {start.base:g}, volatility {start.volatility:.4g}",
    )


def _base(reader: RowReader, line: int, row: list[Any], instrument: InstrumentDefined, as_of: int) -> float:
    if "base" in reader.columns.fields:
        found = reader.field(line, row, "base", reader.number)
    else:
        found = reader.market.last_close(instrument.instrument, as_of)
        if found is None:
            raise BadCell(
                f"no close of {instrument.instrument} in the log before the forecast: add a column base"
            )
    if found <= 0:
        raise BadCell(f"base {found:g}: expected a price above 0")
    return float(found)
