"""What a user says of the files of a table, and what of that can be refused before a file is opened."""

from collections.abc import Mapping

import msgspec

from adapters.replay.calendar import exchange_code
from adapters.replay.tables.columns import KINDS
from adapters.replay.tables.instruments import InstrumentOptions, check_options
from core.errors import UsageError

FORMATS = ("csv", "parquet")


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

    def checked(self) -> "TableOptions":
        """Return the options with the exchange under its code; raises `UsageError` for what cannot be."""
        if self.bar_time not in {"start", "end"}:
            raise UsageError(f"--bar-time {self.bar_time!r}: expected start or end")
        if self.kind not in {None, *KINDS}:
            raise UsageError(f"--kind {self.kind!r}: expected one of {', '.join(KINDS)}")
        check_options(self)
        if self.decimal not in {".", ","}:
            raise UsageError(f"--decimal {self.decimal!r}: expected . or ,")
        if self.exchange is None:
            return self
        return msgspec.structs.replace(self, exchange=exchange_code(self.exchange))


def parse_mapping(text: str) -> dict[str, str]:
    """Read `ts=Time,price=Price`; raises `UsageError`."""
    mapping = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = pair.partition("=")
        if not equals or not field.strip() or not column.strip():
            raise UsageError(f"--map {pair!r}: expected FIELD=COLUMN, such as ts=Time,price=Price,size=Qty")
        mapping[field.strip()] = column.strip()
    return mapping
