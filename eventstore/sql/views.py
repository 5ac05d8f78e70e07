# ruff: noqa: S608 - the SQL is made of this module's own text, never of a user's
"""The SQL views of a log: what they are called, what they show, and the SQL that makes them.

They stand on `raw.<tag>` (sources.py). Rules: `run` is null for the log itself; `time` is `ts` as a
timestamp (UTC, to the nanosecond); a field whose name is an SQL keyword has another here (`order_id`,
`limit_price`). Views compute nothing for a column that a query does not use, and keep filters
pushable: an audit of years must read only what it asks for. Text only: no SQL is run here.
"""

from collections.abc import Collection

import msgspec
import pyarrow as pa

from core.events import EventType
from core.ports import RUN_BASE
from eventstore.sql.orders_view import EXECUTIONS, ORDERS
from eventstore.sql.sources import literal, quoted
from eventstore.tables import columns
from eventstore.tables.schema import UNKNOWN, columns_of, kinds

_TIME = "make_timestamp_ns(ts) AS time"

MACROS = "CREATE OR REPLACE MACRO plain(x) AS rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.');"
"""`plain(amount)`: a decimal without trailing zeros."""


class View(msgspec.Struct, frozen=True):
    """A view: its name, what one row is (a line of `views.sql`), and its query."""

    name: str
    row: str
    sql: str


_TRADES = f"""
SELECT run, seq, ts, {_TIME}, recv, feed, instrument, price, size, venue, conditions, suspicious
FROM raw.trade"""

_QUOTES = f"""
SELECT run, seq, ts, {_TIME}, recv, feed, instrument, bid, bid_size, ask, ask_size, venue, conditions,
       suspicious
FROM raw.quote"""

_BARS = f"""
SELECT run, seq, ts, {_TIME}, recv, feed, instrument, make_timestamp_ns(start) AS start_time, open, high,
       low, close, volume
FROM raw.bar"""

_QUOTE_BARS = f"""
SELECT run, seq, ts, {_TIME}, recv, feed, instrument, make_timestamp_ns(start) AS start_time,
       bid_open, bid_high, bid_low, bid_close, bid_size, ask_open, ask_high, ask_low, ask_close, ask_size
FROM raw.quote_bar"""

_INTENTS = f"""
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, 'order' AS kind, "order" AS order_id,
       1::BIGINT AS version, account,
       strategy, instrument, side, quantity, type, "limit" AS limit_price, stop AS stop_price, tif, reason,
       trail, trail_pct, make_timestamp_ns(good_till) AS good_till, outside_rth, parent, oca
FROM raw.order_intended
UNION ALL
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, 'modify', "order", version, account, strategy, instrument, NULL,
       quantity, NULL, "limit", stop, NULL, reason, trail, trail_pct, NULL, NULL, NULL, NULL
FROM raw.modify_intended
UNION ALL
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, 'cancel', "order", NULL, account, strategy,
       instrument, NULL, NULL,
       NULL, NULL, NULL, NULL, reason, NULL, NULL, NULL, NULL, NULL, NULL
FROM raw.cancel_intended"""

_VERDICTS = f"""
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, cause AS cause_seq, 'approved' AS verdict,
       "order" AS order_id, version, account,
       strategy, instrument, profile, nullif(rule, '') AS rule, nullif("limit", '') AS rule_limit,
       nullif(value, '') AS value, nullif(headroom, '') AS headroom, NULL::VARCHAR AS message
FROM raw.risk_approved
UNION ALL
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, cause, 'refused', "order", version, account,
       strategy, instrument, NULL,
       rule, "limit", value, nullif(headroom, ''), message
FROM raw.risk_refused"""

_HEADROOM = f"""
SELECT run, seq, ts, time, at_seq, verdict, order_id, account, strategy, instrument, rule,
       TRY_CAST(rule_limit AS DECIMAL(38, 8)) AS rule_limit, TRY_CAST(value AS DECIMAL(38, 8)) AS value,
       TRY_CAST(headroom AS DECIMAL(38, 8)) AS headroom
FROM ({_VERDICTS}) WHERE headroom IS NOT NULL"""

_FILLS = f"""
WITH executions AS (SELECT * FROM ({EXECUTIONS})
QUALIFY row_number() OVER (PARTITION BY run, exec_id ORDER BY revision DESC, seq) = 1),
costs AS (
    SELECT run, exec_id, amount, currency FROM raw.commission
    QUALIFY row_number() OVER (PARTITION BY run, exec_id ORDER BY ts DESC, amount DESC, seq) = 1)
SELECT e.run, e.seq, e.ts, make_timestamp_ns(e.ts) AS time, e.at_seq, e.exec_id, e.revision, e.order_id,
       e.account, e.strategy, e.instrument, e.side, e.quantity, e.price, e.venue,
       c.amount AS commission, c.currency AS commission_currency
FROM executions AS e
LEFT JOIN costs AS c ON c.exec_id = e.exec_id AND c.run IS NOT DISTINCT FROM e.run"""

_COMMISSIONS = f"""
SELECT run, seq, ts, {_TIME}, exec_id, "order" AS order_id, account, strategy, instrument, amount, currency
FROM raw.commission"""

# Numbers a to e of each kind of market data, put into words only after the join.
_MARKET = """
SELECT seq, ts, instrument, 'trade' AS tag, price AS a, size AS b, NULL AS c, NULL AS d, NULL AS e, venue
FROM raw.trade WHERE run IS NULL
UNION ALL SELECT seq, ts, instrument, 'quote', bid, bid_size, ask, ask_size, NULL, venue
FROM raw.quote WHERE run IS NULL
UNION ALL SELECT seq, ts, instrument, 'bar', open, high, low, close, volume, ''
FROM raw.bar WHERE run IS NULL
UNION ALL SELECT seq, ts, instrument, 'quote bar', bid_close, bid_size, ask_close, ask_size, NULL, ''
FROM raw.quote_bar WHERE run IS NULL"""

_MARKET_SUMMARY = """concat(tag, CASE tag
    WHEN 'trade' THEN concat(' ', b, ' at ', a)
    WHEN 'bar' THEN concat_ws(' ', '', a, b, c, d, 'volume', e)
    ELSE concat(' bid ' || a || ' x ' || b, ' ask ' || c || ' x ' || d) END, ' on ' || NULLIF(venue, ''))"""
# An input that is not market data: a fact of the broker or a timer. In a run it has an input of its own.
_FACT_LINKS = {  # kind, summary
    "timer_fired": ("timer", "concat('timer ', t.name)"),
    "filled": ("fill", "concat(t.side, ' ', plain(t.quantity), ' at ', plain(t.price))"),
    "order_status": ("status", "concat(t.status, ' ' || NULLIF(t.message, ''))"),
    "commission": ("commission", "concat(plain(t.amount), ' ', t.currency)"),
    "session_started": ("session", "concat('session ', t.session, ' started (', t.mode, ')')"),
}
_ORDER_LINKS = {
    "order_intended": "'intent', concat(side, ' ', plain(quantity), ' ', instrument, ' ', type, "
    "' limit ' || plain(\"limit\"), ' stop ' || plain(stop), ': ' || NULLIF(reason, ''))",
    "modify_intended": "'modify', concat('version ', version, ': ', plain(quantity), "
    "' limit ' || plain(\"limit\"), ' stop ' || plain(stop), ': ' || NULLIF(reason, ''))",
    "cancel_intended": "'cancel', concat('cancel', ': ' || NULLIF(reason, ''))",
    "risk_approved": "'verdict', concat('approved by ', profile)",
    "risk_refused": "'verdict', concat('refused by ', rule, ': ', message)",
    "order_send_started": "'send', concat('version ', version, ' leaves')",
    "cancel_send_started": "'send', 'cancel request leaves'",
    "order_sent": "'sent', concat('version ', version, ' is out')",
    "order_attempted": "'attempt', concat('as ', ref, ', order id ', broker_id, ' of client ', client_id)",
    "order_bound": "'bound', concat('permanent id ', perm_id)",
    "cancel_sent": "'sent', concat('cancel is out', ': ' || NULLIF(reason, ''))",
    "order_amended": "'amended', concat('version ', version, ' at the broker: ', plain(quantity), "
    "' limit ' || plain(\"limit\"), ' stop ' || plain(stop))",
    "order_resolved": "'resolved', concat(outcome, ': ', evidence)",
    "order_retried": "'retry', concat('retry ', retry, ': ', reason)",
    "order_held": "'held', reason",
    "hold_ended": "'hold', concat_ws(': ', outcome, nullif(reason, ''))",
    "send_failed": "'send failed', concat(message, ' (', bytes_written, ' bytes written)')",
    "order_status": "'status', concat(status, ' ' || NULLIF(message, ''))",
    "filled": "'fill', concat(side, ' ', plain(quantity), ' at ', plain(price), ' (', exec_id, ')')",
    "fill_corrected": "'correction', concat('revision ', revision, ': ', side, ' ', plain(quantity), ' at ', "
    "plain(price), ' (', exec_id, ')')",
    "commission": "'commission', concat(plain(amount), ' ', currency, ' for ', exec_id)",
}


def _chain() -> str:
    # No CTE is materialised: a filter on order_id must reach the orders' files, and the few seqs that it
    # leaves must prune the scans of market data.
    order_links = [
        f'SELECT run, "order" AS order_id, seq, ts, {"instrument" if _has(tag, "instrument") else "NULL"} '
        f"AS instrument, seq AS place, {text} FROM raw.{tag}"
        for tag, text in _ORDER_LINKS.items()
    ]
    return f"""
WITH starts AS NOT MATERIALIZED (
    SELECT run, order_id, at_seq, min(seq) AS place FROM (
        SELECT run, "order" AS order_id, "at" AS at_seq, seq FROM raw.order_intended
        UNION ALL SELECT run, "order", "at", seq FROM raw.filled WHERE "at" <> seq)
    GROUP BY run, order_id, at_seq),
facts AS NOT MATERIALIZED ({_facts()}),
near AS NOT MATERIALIZED (
    SELECT s.run, s.order_id, s.at_seq, s.place, f.seq, f.ts, f.instrument, f.kind, f.summary,
           f.at_seq AS behind
    FROM starts AS s LEFT JOIN facts AS f ON f.seq = s.at_seq AND {_SAME_LOG}
        AND f.order_id IS DISTINCT FROM s.order_id),
roots AS NOT MATERIALIZED (
    SELECT run, order_id, coalesce(behind, at_seq) AS seq, min(place) AS place FROM near GROUP BY ALL),
ticks AS NOT MATERIALIZED (
    SELECT r.run, r.order_id, m.seq, m.ts, m.instrument, r.place,
           CASE WHEN tag IN ('trade', 'quote') THEN 'tick' ELSE 'bar' END AS kind,
           {_MARKET_SUMMARY} AS summary
    FROM roots AS r JOIN ({_MARKET}) AS m ON m.seq = r.seq),
links(run, order_id, seq, ts, instrument, place, kind, summary) AS NOT MATERIALIZED (
    {" UNION ALL ".join(order_links)}
    UNION ALL SELECT i.run, i."order", c.seq, c.ts, c.instrument, i.seq, 'composite',
        concat(c.stance, ' at ', c.value, ': ', c.contributions)
    FROM raw.order_intended AS i
    LEFT JOIN raw.order_sized AS z ON z.seq = i.cause AND z.run IS NOT DISTINCT FROM i.run
    JOIN raw.composite AS c ON c.seq = coalesce(z.cause, i.cause) AND c.run IS NOT DISTINCT FROM i.run
    UNION ALL SELECT i.run, i."order", z.seq, z.ts, z.instrument, i.seq, 'size',
        concat(z.method, ': ', plain(z.quantity), ' of ', plain(z.wanted), ' ' || NULLIF(z.capped_by, ''),
               ': ', z.inputs)
    FROM raw.order_intended AS i
    JOIN raw.order_sized AS z ON z.seq = i.cause AND z.run IS NOT DISTINCT FROM i.run
    UNION ALL SELECT * FROM ticks
    UNION ALL SELECT run, order_id, seq, ts, instrument, place, kind, summary FROM near WHERE seq IS NOT NULL)
SELECT run, order_id,
       row_number() OVER (PARTITION BY run, order_id ORDER BY place, seq = place, seq) AS link,
       kind, seq, ts, {_TIME}, instrument, summary
FROM links"""


# A seq below RUN_BASE is one of the log's own, for a run's intents too.
_SAME_LOG = f"(CASE WHEN s.at_seq > {RUN_BASE} THEN f.run IS NOT DISTINCT FROM s.run ELSE f.run IS NULL END)"


def _facts() -> str:
    return " UNION ALL ".join(
        f"SELECT t.run, t.seq, t.ts, t.at AS at_seq, {literal(kind)} AS kind, {summary} AS summary, "
        f"{_field(tag, 'instrument')} AS instrument, {_field(tag, 'order')} AS order_id FROM raw.{tag} AS t"
        for tag, (kind, summary) in _FACT_LINKS.items()
    )


def _field(tag: str, field: str) -> str:
    return f"t.{quoted(field)}" if _has(tag, field) else "NULL"


def _has(tag: str, field: str) -> bool:
    return any(kind.tag == tag and field in kind.type.__struct_fields__ for kind in kinds())


_INSTRUMENTS = """
SELECT run, seq, ts, make_timestamp_ns(ts) AS time, instrument, symbol, kind, exchange, currency, multiplier,
       tick_size, timezone, con_id, expiry, strike, "right", description, price_steps
FROM raw.instrument
QUALIFY row_number() OVER (PARTITION BY run, instrument ORDER BY seq DESC) = 1"""

_SESSIONS = """
SELECT run, seq, exchange, date, timezone, make_timestamp_ns("begin") AS begin_time,
       make_timestamp_ns(open) AS open_time, make_timestamp_ns(close) AS close_time,
       make_timestamp_ns("end") AS end_time, "begin" AS begin_ts, open AS open_ts, close AS close_ts,
       "end" AS end_ts
FROM raw.session
QUALIFY row_number() OVER (PARTITION BY run, exchange, date ORDER BY seq DESC) = 1"""

_FEEDS = """
SELECT run, seq, feed, source, resolution, consolidated, adjusted, description
FROM raw.feed
QUALIFY row_number() OVER (PARTITION BY run, feed ORDER BY seq DESC) = 1"""

_RECORDED = f'SELECT run, seq, ts, {_TIME}, "at" AS at_seq, strategy, name, value FROM raw.recorded'

_SIGNALS = f"""
SELECT run, seq, ts, {_TIME}, recv, source, instrument, value, confidence,
       make_timestamp_ns(as_of) AS as_of_time, horizon, make_timestamp_ns(expires) AS expires_time, detail
FROM raw.signal"""

_COMPOSITES = f"""
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, strategy, instrument, value, stance, threshold, contributions
FROM raw.composite"""

_SIGNAL_SOURCES = f"""
SELECT run, seq, ts, {_TIME}, "at" AS at_seq, strategy, instrument, used, dropped FROM raw.signal_sources"""

_EQUITY = f"""
SELECT run, seq, ts, {_TIME}, account, currency, equity, cash FROM raw.account_marked"""

VIEWS = [
    View("trades", "a trade print", _TRADES),
    View("quotes", "an update of a bid, an ask or both; a null side is not part of it", _QUOTES),
    View("bars", "an open-high-low-close bar; `ts` is its end", _BARS),
    View("quote_bars", "a bar of bids and asks", _QUOTE_BARS),
    View("intents", "an order, modification or cancel that a strategy intended", _INTENTS),
    View("verdicts", "a verdict of the risk rules on an intent", _VERDICTS),
    View("risk_headroom", "what a limit had left when an order was judged", _HEADROOM),
    View("fills", "an execution in its highest revision, with its commission", _FILLS),
    View("commissions", "a commission report", _COMMISSIONS),
    View("orders", "an order in its latest state", ORDERS),
    View("chain", "a link from the input that caused an order to its fills and commissions", _chain()),
    View("equity", "a sample of equity and cash", _EQUITY),
    View("recorded", "a value of a strategy's own series", _RECORDED),
    View("signals", "a signal that was received from a file or a model", _SIGNALS),
    View("composites", "a composite signal where its stance changed, with its explanation", _COMPOSITES),
    View("signal_sources", "a change of the sources that make up a composite", _SIGNAL_SOURCES),
    View("instruments", "an instrument as last defined", _INSTRUMENTS),
    View("sessions", "a trading day of an exchange", _SESSIONS),
    View("feeds", "a feed of market data as last defined", _FEEDS),
]
"""All views but `events` (which depends on what there is) and `runs` (a table)."""


def events_view(present: Collection[str]) -> str:
    """Return the query of `events` over the types that have rows (all of them, if none has)."""
    chosen = [kind for kind in kinds() if kind.tag in present] or kinds()
    return "\nUNION ALL\n".join(_event_branch(kind) for kind in chosen)


def names() -> list[str]:
    """Return the names of all views, the two made elsewhere included."""
    return sorted([*(view.name for view in VIEWS), "events", "runs"])


def _event_branch(kind: EventType) -> str:
    fields = {column.field: column for column in columns_of(kind.type)}
    pairs = ", ".join(f"{literal(name)}: {_json_value(c.type, c.name)}" for name, c in fields.items())
    tag = "tag" if kind is UNKNOWN else literal(kind.tag)
    order = '"order"' if "order" in fields else "NULL::VARCHAR"
    strategy = "strategy" if "strategy" in fields else "NULL::VARCHAR"
    instrument = "instrument" if "instrument" in fields else "NULL::VARCHAR"
    return (
        f'SELECT run, seq, ts, {_TIME}, recv, "at" AS at_seq, cause AS cause_seq, {tag} AS type, '
        f"{literal(kind.event_class)} AS class, {strategy} AS strategy, "
        f"{instrument} AS instrument, {order} AS order_id, "
        f"to_json({{{pairs}}}) AS body FROM raw.{quoted(kind.tag)}"
    )


def _json_value(kind: pa.DataType, name: str) -> str:
    if kind == columns.DECIMAL:
        return f"plain({quoted(name)})"
    return f"hex({quoted(name)})" if kind == pa.binary() else quoted(name)
