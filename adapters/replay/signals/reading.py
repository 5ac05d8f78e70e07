"""A file of signals, read whole: what was understood, in words, and an event for each row or forecast day."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from adapters.replay.signals.cells import Cells, tables_of
from adapters.replay.signals.forecasts import read_forecasts
from adapters.replay.signals.headings import propose
from adapters.replay.signals.market import Market
from adapters.replay.signals.npz import npz_table
from adapters.replay.signals.recommendations import SignalOptions, read_recommendations
from adapters.replay.signals.values import shown
from core.events import RowRejected, SignalReceived


class SignalReading(msgspec.Struct, frozen=True):
    """What a file holds. `words` say how it was understood and never change for the same understanding."""

    file: str
    words: str
    unused: list[str]
    items: list[SignalReceived | RowRejected]

    @property
    def signals(self) -> list[SignalReceived]:
        """The signals, in file order."""
        return [item for item in self.items if isinstance(item, SignalReceived)]

    @property
    def rejections(self) -> list[RowRejected]:
        """The rejected rows, in file order."""
        return [item for item in self.items if isinstance(item, RowRejected)]

    def describe(self) -> list[str]:
        """Return the proposal in lines for the user."""
        lines = [f"{self.file}: {self.words}"]
        if self.unused:
            lines.append(f"{self.file}: not read: {', '.join(shown(name) for name in self.unused)}")
        return lines


def read_signals(path: Path, options: SignalOptions, market: Market) -> SignalReading:
    """Read a file of recommendations or forecasts; raises `UsageError` or `DataMissing`."""
    tables = [npz_table(path)] if path.suffix.lower() == ".npz" else tables_of(path, options.sheet)
    return read_cells(tables, options, market)


def read_cells(tables: Sequence[Cells], options: SignalOptions, market: Market) -> SignalReading:
    """Read the table that is most like one of signals; raises `UsageError` if none is."""
    columns = propose(tables, options.mapping)
    read = read_forecasts if columns.is_forecast else read_recommendations
    rule, items = read(columns, options, market)
    words = f"source {options.source}; {columns.describe()}; {rule}; dates known at the {options.known_at}"
    kept = [item for item in items if isinstance(item, SignalReceived | RowRejected)]
    return SignalReading(columns.cells.file, words, columns.unused(), kept)
