# ruff: noqa: S608 - the SQL is made of this module's own text, of ids of runs and names of the log
"""What a report reads: the facts of one run, by SQL over its Parquet files, in batches.

Memory holds a batch of rows, never a run's events. The files of a run are compared with their digests
before the first is read. The proof of a session has its fills in the log: there the scope is a range of seqs.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.look.books import factors_of
from app.report.adjusting import adjusted_arrivals, factor_sql
from app.report.arrival import arrivals
from app.report.waiting import Asked, measured_against
from core.clock import MINUTE_NS
from core.events import InstrumentDefined, SessionScheduled, Side
from core.ports import RUN_BASE, Selection
from core.trips import Fill
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader
from eventstore.sql.connection import Sql
from eventstore.sql.sources import literal
from eventstore.tables.columns import DECIMAL, decimals, numbers, validity, vector
from projections.sessions import Sessions

_BATCH_ROWS = 20_000
_USED = (
    "account_marked",
    "cancel_intended",
    "commission",
    "fill_corrected",
    "filled",
    "modify_intended",
    "order_intended",
    "order_status",
    "recorded",
    "risk_refused",
)


ORDER_COLUMNS = (
    "created",
    "order",
    "strategy",
    "instrument",
    "side",
    "type",
    "quantity",
    "limit",
    "stop",
    "tif",
    "state",
    "filled",
    "average price",
    "reason",
    "message",
)


class Series(msgspec.Struct, frozen=True):
    """Values over time: `times` in ns UTC, `values` as floats (NaN where the log has none)."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]

    def known(self) -> "Series":
        """Return the part whose values are known."""
        kept = ~np.isnan(self.values)
        return Series(self.times[kept], self.values[kept])

    def held(self, until: int | None = None, interval_ns: int = MINUTE_NS) -> "Series":
        """Return the values with each one once more just before the next, where samples were left out.

        A sample equal to the one before is not recorded: in between, the value was what it had been, and
        from the last one on `until` the end.
        """
        after = np.flatnonzero(np.diff(self.times) > interval_ns) + 1
        times = np.insert(self.times, after, self.times[after] - interval_ns)
        values = np.insert(self.values, after, self.values[after - 1])
        if until is not None and len(times) and until > times[-1]:
            times, values = np.append(times, np.int64(until)), np.append(values, values[-1])
        return Series(times, values)


class Facts:
    """The facts of one run. Use as a context manager; one question at a time."""

    def __init__(self, root: Path, run: RunReader, sql: Sql) -> None:
        self.run = run
        self._sql = sql
        told = run.summary
        self.account = str(told["account"])
        self.currency = str(told["options"]["currency"])
        self.first_ts: int | None = told["first_ts"]
        self.last_ts: int | None = told["last_ts"]
        self.feeds = sorted({str(part["feed"]) for part in told["parts"]})
        self.by_tick = any(part.get("resolution", "tick") == "tick" for part in told["parts"])
        self.by_minute = {part.get("resolution") for part in told["parts"]} == {"minute"}
        self.all_hours = not all(part.get("regular_hours") for part in told["parts"])
        self.subscribed = sorted({name for part in told["parts"] for name in part.get("instruments", ())})
        if "session" in told:
            first, last = told["content"]
            self._scope = f"run IS NULL AND seq BETWEEN {int(first)} AND {int(last)}"
        else:
            self._scope = f"run = {literal(run.id)}"
            for tag in _USED:
                if f"{tag}.parquet" in run.files:
                    run.check(f"{tag}.parquet")
        self._ours = f"{self._scope} AND account = {literal(self.account)}"  # a log may know several
        self._last_seq = RUN_BASE
        self._end_at_failure()
        self.sessions = Sessions()
        wanted = Selection(types=frozenset({InstrumentDefined, SessionScheduled}))
        for batch in LogReader(root).entries(wanted):
            for entry in batch:
                self.sessions.apply(entry)

    def _end_at_failure(self) -> None:
        # A source reads ahead: what it had read when a strategy failed was not traded on.
        table = self._sql.arrow(f"SELECT ts, input_seq FROM raw.strategy_failed WHERE {self._scope} LIMIT 1")
        for row in table.to_pylist():
            self.last_ts = row["ts"]
            self._last_seq = min(row["input_seq"], RUN_BASE)

    def opening(self, root: Path) -> list[tuple[str, str, Decimal, Decimal]]:
        """Return what a session began with: strategy, instrument, quantity and average cost."""
        if "session" not in self.run.summary:
            return []
        from app.composition.past import past_of  # noqa: PLC0415  # only the report of a session folds its past

        first = int(self.run.summary["content"][0])
        held = past_of(LogReader(root), self.currency, upto=first).world.positions
        found = []
        for position in held.open_positions():
            for strategy in held.strategies(position.account, position.instrument):
                part = held.position(position.account, position.instrument, strategy)
                if part.quantity and part.account == self.account:
                    found.append((strategy, part.instrument, part.quantity, part.average_cost))
        return found

    def equity(self) -> Series:
        """Return the samples of equity, in order; NaN while a price or rate was unknown."""
        table = self._sql.arrow(
            f"SELECT ts, CAST(equity AS DOUBLE) AS value FROM equity WHERE {self._ours} "
            f"AND currency = {literal(self.currency)} ORDER BY seq"
        )
        return _series(table)

    def fills(self, arrivals: dict[str, float]) -> Iterator[Fill]:
        """Yield the executions in time order."""
        table = self._sql.arrow(
            f"""SELECT f.ts, f.exec_id, f.order_id, f.strategy, f.instrument, f.side, f.quantity, f.price,
                   f.venue, f.commission, f.commission_currency, coalesce(i.reason, '') AS reason
            FROM (SELECT * FROM fills WHERE {self._ours}) AS f
            LEFT JOIN (SELECT "order" AS order_id, any_value(reason) AS reason FROM raw.order_intended
                       WHERE {self._scope} GROUP BY ALL) AS i ON i.order_id = f.order_id
            ORDER BY f.ts, f.seq"""
        )
        for row in _rows(table):
            yield Fill(*(*row, arrivals.get(row[2])))

    def as_seen(self, raw: dict[str, float]) -> dict[str, float]:
        """Return arrival prices, by order id, as the run saw them: adjusted where its prices were."""
        factors = factors_of(self.run)
        if not factors:
            return raw
        rows = self._sql.arrow(f'SELECT "order", instrument, ts FROM raw.order_intended WHERE {self._scope}')
        return adjusted_arrivals(raw, zip(*(c.to_pylist() for c in rows.columns), strict=True), factors)

    def awaited(self, arrivals: dict[str, float]) -> dict[str, float]:
        """Return what fills are measured against, by order id: of orders that wait, what they wait for."""
        table = self._sql.arrow(
            f"""SELECT i."order", i.side, i.type, coalesce(m."limit", i."limit") AS "limit",
                   coalesce(m.stop, i.stop) AS stop
            FROM (SELECT * FROM raw.order_intended WHERE {self._scope} AND type NOT IN ('MKT', 'MOC')) AS i
            LEFT JOIN (SELECT "order", arg_max("limit", seq) AS "limit", arg_max(stop, seq) AS stop
                       FROM raw.modify_intended WHERE {self._scope} GROUP BY "order") AS m
            USING ("order")"""
        )
        return measured_against(arrivals, (Asked(*row) for row in _rows(table)))

    def orders(self) -> Iterator[tuple[Any, ...]]:
        """Yield the orders as they stand at the end, oldest first: `ORDER_COLUMNS`, the first in ns UTC."""
        table = self._sql.arrow(
            f"""SELECT o.created_ts, o.order_id, o.strategy, o.instrument, o.side, o.type, o.quantity,
                   o.limit_price, o.stop_price, o.tif, o.state, o.filled, f.price, o.reason, o.message
            FROM (SELECT * FROM orders WHERE {self._ours}) AS o
            LEFT JOIN (SELECT order_id, sum(quantity * price::DOUBLE) / sum(quantity) AS price
                       FROM fills WHERE {self._ours} GROUP BY order_id) AS f ON f.order_id = o.order_id
            ORDER BY o.seq"""
        )
        yield from _rows(table)

    def arrivals(self) -> dict[str, float]:
        """Return the price of the instrument at each order's intent, by order id, where one was known."""
        return arrivals(self._sql, self._scope, self.feeds, self._windows())

    def _windows(self) -> list[tuple[int, int]]:
        """Return the spans of time that are looked at together: days of ticks, or all of the bars."""
        if self.first_ts is None or self.last_ts is None:
            return []
        days = [(day.begin, day.end + 1) for day in self.sessions.sessions() if self._covers(day)]
        if not self.by_tick or not days:
            return [(self.first_ts, self.last_ts + 1)]
        return sorted(set(days))

    def _covers(self, day: SessionScheduled) -> bool:
        assert self.first_ts is not None
        assert self.last_ts is not None
        return day.begin <= self.last_ts and self.first_ts <= day.end

    def counts(self) -> dict[str, int]:
        """Return what became of the orders: intents, changes, acknowledged, cancelled, rejected, filled.

        Orders that were carried in were asked for and acknowledged before this run. What other accounts of
        the login did counts for nothing.
        """
        scope, told = self._ours, {}
        own = self._own_orders()
        for name, query in {
            "intents": f"SELECT count(*) AS n FROM raw.order_intended WHERE {scope}{own}",
            "modifications": f"SELECT count(*) AS n FROM raw.modify_intended WHERE {scope}",
            "acknowledged": _orders_with(scope, _ACKNOWLEDGED) + own,
            "rejected": _orders_with(scope, ("Rejected",)),
            "cancelled": _orders_with(scope, ("Cancelled",)),
            "filled_orders": f"SELECT count(DISTINCT order_id) AS n FROM fills WHERE {scope}",
        }.items():
            told[name] = int(self._sql.arrow(query)["n"][0].as_py())
        return told

    def _own_orders(self) -> str:
        carried = self.run.summary["options"].get("carried") or {}
        names = [literal(str(order["order"])) for order in carried.get("orders", ())]
        return f' AND "order" NOT IN ({", ".join(names)})' if names else ""

    def refused_by_rule(self) -> dict[str, int]:
        """Return how many intents each risk rule refused."""
        return self._pairs(
            f"SELECT rule, count(*) AS n FROM raw.risk_refused WHERE {self._scope} GROUP BY ALL ORDER BY ALL"
        )

    def recorded(self) -> dict[tuple[str, str], int]:
        """Return how many values each series has that a strategy recorded, by (strategy, name)."""
        table = self._sql.arrow(
            f"SELECT strategy, name, count(*) AS n FROM recorded WHERE {self._scope} "
            "GROUP BY ALL ORDER BY ALL"
        )
        return {(row["strategy"], row["name"]): row["n"] for row in table.to_pylist()}

    def recorded_series(self, strategy: str, name: str, buckets: int) -> Series:
        """Return a recorded series, thinned to first, lowest, highest and last of each bucket of time."""
        return self._thinned(
            f"SELECT ts, seq, value FROM recorded WHERE {self._scope} AND strategy = {literal(strategy)} "
            f"AND name = {literal(name)}",
            buckets,
        )

    def recorded_values(self) -> Iterator[tuple[int, str, str, float]]:
        """Yield every recorded value in order: ts, strategy, name, value."""
        table = self._sql.arrow(
            f"SELECT ts, strategy, name, value FROM recorded WHERE {self._scope} ORDER BY seq"
        )
        yield from _rows(table)

    def prices(self, instrument: str, buckets: int) -> Series:
        """Return the prices of an instrument over the run, thinned like a recorded series."""
        if self.first_ts is None or self.last_ts is None:
            return _series(pa.table({"ts": pa.array([], pa.int64()), "value": pa.array([], pa.float64())}))
        where = (
            f"run IS NULL AND instrument = {literal(instrument)} AND {feed_in(self.feeds)} "
            f"AND ts BETWEEN {self.first_ts} AND {self.last_ts} AND seq <= {self._last_seq}"
        )
        factor = factor_sql(factors_of(self.run).get(instrument))
        return self._thinned(
            f"SELECT ts, seq, round(price * {factor}, 8) AS value FROM ("
            f"SELECT ts, seq, price FROM raw.trade WHERE {where} AND NOT suspicious AND price > 0 "
            f"UNION ALL SELECT ts, seq, close FROM raw.bar WHERE {where})",
            buckets,
        )

    def points(self, instrument: str, side: Side) -> Series:
        """Return when and at what price an instrument was bought or sold."""
        return _series(
            self._sql.arrow(
                f"SELECT ts, CAST(price AS DOUBLE) AS value FROM fills WHERE {self._ours} "
                f"AND instrument = {literal(instrument)} AND side = {literal(side)} ORDER BY ts, seq"
            )
        )

    def zone(self) -> str:
        """Return the time zone of the first instrument that the run read; UTC if none is known."""
        known = {item.instrument: item.timezone for item in self.sessions.instruments()}
        return next((known[name] for name in self.subscribed if name in known), "UTC")

    def mark(self, instrument: str) -> Decimal | None:
        """Return the last trade or bar close of an instrument in the run, or `None`."""
        values = self.prices(instrument, 1).values
        return Decimal(repr(float(values[-1]))) if len(values) else None

    def _thinned(self, rows: str, buckets: int) -> Series:
        begin, span = self.first_ts or 0, max((self.last_ts or 0) - (self.first_ts or 0), 1)
        width = -(-span // buckets)
        return _series(
            self._sql.arrow(
                f"""WITH rows AS (SELECT *, (ts - {begin}) // {width} AS bucket FROM ({rows})),
                edges AS (SELECT unnest([arg_min({_POINT}, (ts, seq)), arg_min({_POINT}, value),
                                         arg_max({_POINT}, value), arg_max({_POINT}, (ts, seq))]) AS p
                          FROM rows GROUP BY bucket)
                SELECT DISTINCT p.ts AS ts, p.seq AS seq, p.value AS value FROM edges ORDER BY ts, seq"""
            )
        )

    def _pairs(self, query: str) -> dict[str, int]:
        table = self._sql.arrow(query)
        return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield rows as values, a batch at a time; amounts are canonical."""
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    if column.type == DECIMAL:
        return decimals(column)
    numeric = column.type in {pa.int64(), pa.float64()}
    return numbers(column) if numeric else column.to_pylist()


_POINT = "{'ts': ts, 'seq': seq, 'value': value}"
_ACKNOWLEDGED = ("Submitted", "PreSubmitted", "PartiallyFilled", "Filled")


def feed_in(feeds: Sequence[str]) -> str:
    """Return the condition that a row is of one of these feeds."""
    return f"feed IN ({', '.join(map(literal, feeds))})" if feeds else "true"


def _orders_with(scope: str, states: Sequence[str]) -> str:
    listed = ", ".join(map(literal, states))
    return f'SELECT count(DISTINCT "order") AS n FROM raw.order_status WHERE {scope} AND status IN ({listed})'


def _series(table: Any) -> Series:
    # Not by `to_numpy`: it would import pandas, a third of a second and 40 MB.
    batches = table.to_batches()
    times = [vector(batch.column("ts")) for batch in batches]
    values = [_floats(batch.column("value")) for batch in batches]
    nothing = np.empty(0)
    return Series(
        np.concatenate([nothing.astype(np.int64), *times]),
        np.concatenate([nothing, *values]),
    )


def _floats(column: pa.Array) -> NDArray[np.float64]:
    return np.where(validity(column), vector(column), np.nan) if column.null_count else vector(column)
