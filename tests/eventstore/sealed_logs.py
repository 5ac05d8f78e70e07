"""Logs made by the real journal and the real sealer, with events of every type, for reading tests."""

import typing
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.events import BY_TAG, MARKET_DATA, Entry, Event, EventType, Quote, Trade
from core.ports import Selection
from eventstore.journal.journal import Journal
from eventstore.journal.policy import Policy, SealResult
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from eventstore.sealing.sealing import seal
from eventstore.tables import columns
from eventstore.tables.parquet import TypedWriter
from eventstore.tables.schema import columns_of

CLOCK_NS = 1_700_000_000_000_000_000
START_NS = 1_381_152_600_000_000_000


class SealAtOnce:
    """A sealer without a process: what is offered is sealed by the next poll."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._offered: list[Path] = []

    def offer(self, path: Path) -> None:
        self._offered.append(path)

    def poll(self) -> list[SealResult]:
        offered, self._offered = self._offered, []
        return [seal(self._root, path) for path in offered]

    def drain(self, timeout_s: float) -> list[SealResult]:
        return self.poll()

    def compact(self, timeout_s: float) -> None:
        """Nothing: tests of compaction say when."""


def open_log(root: Path, *, sealing: bool = True, **policy: Any) -> Journal:
    return Journal.open(
        root,
        clock=lambda: CLOCK_NS,
        sealer=SealAtOnce(root) if sealing else None,
        policy=Policy(**policy),
    )


def tick(n: int) -> Event:
    """Trades and one-sided quotes of two instruments on two feeds; some share their time."""
    ts = START_NS + n // 3 * 1_000_000
    feed, instrument = ("f/tick", "IBM") if n % 5 else ("g/tick", "SPY")
    if n % 4 == 0:
        return Trade(ts, feed, instrument, 100 + n % 50 / 100, float(n % 9 * 100), "P", "", n % 11 == 0)
    bid = (100 + n % 7 / 100, float(n % 30)) if n % 2 else (None, None)
    ask = (None, None) if n % 2 else (100.1 + n % 7 / 100, 0.0)
    return Quote(ts, feed, instrument, *bid, *ask, "QKZ"[n % 3])


def sample_of(event_type: type[Event], n: int) -> Event:
    """An event of the type, with a null wherever there may be one and `n` is even."""
    hints = typing.get_type_hints(event_type)
    values = [_value(column, hints[column.field], n + i) for i, column in enumerate(columns_of(event_type))]
    return event_type(*values)


def _value(column: Any, hint: Any, n: int) -> Any:
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)[n % len(typing.get_args(hint))]
    if column.nullable and n % 2 == 0:
        return None
    if column.name == "ts":
        return START_NS + n
    if column.name == "price_steps":
        return ("", "0:0.05,3:0.1")[n % 2]
    if column.type == columns.DECIMAL:
        return [Decimal("100"), Decimal("0.00000001"), Decimal("12345678901234567890.5")][n % 3]
    by_type = {"int64": n, "double": n / 8, "string": f"χ{n % 4}'", "bool": n % 3 == 0}
    return by_type[str(column.type)]


def write_everything(journal: Journal) -> list[type[Event]]:
    """Append three events of every type, market data as inputs, others as outputs with a cause."""
    types = [kind.type for kind in BY_TAG.values()]
    for n, event_type in enumerate(types * 3):
        seq = journal.last_seq
        if event_type in MARKET_DATA or seq < 2:
            journal.append(sample_of(event_type, n))
        else:
            journal.append(sample_of(event_type, n), at=seq - 1, cause=seq if n % 2 else None)
    journal.commit(sync=True)
    return types


def write_ticks(journal: Journal, count: int, *, batch: int = 500) -> None:
    for start in range(0, count, batch):
        journal.extend([tick(n) for n in range(start, min(start + batch, count))])
        journal.commit(sync=False)


def write_unsealed(root: Path, *counts: int) -> Path:
    """Make a log with a segment of so many ticks each, none of them sealed; return its directory."""
    journal = open_log(root, sealing=False)
    for count in counts:
        journal.roll()  # nothing, where the segment is empty
        write_ticks(journal, count)
    journal.close()
    return root


def left_building(root: Path) -> list[Path]:
    """What an interrupted build left behind in `tmp/`."""
    layout = Layout(root)
    return sorted(set(layout.tmp.iterdir()) - {layout.build_lock})


def read_all(root: Path, selection: Selection = Selection()) -> list[Entry]:  # noqa: B008
    return [entry for batch in LogReader(root).entries(selection) for entry in batch]


def write_typed(path: Path, kind: EventType, batches: Sequence[pa.RecordBatch], *, recv: bool = True) -> None:
    """Write batches of one event type as a complete file."""
    with TypedWriter(path, kind, recv=recv) as writer:
        for batch in batches:
            writer.write(batch)
