# ruff: noqa: S608 - the SQL is made of this module's own text and of names of the log
"""The price of an instrument when an order was decided, against which its fills are measured.

It is the middle between the best bid and the best ask over the venues (Perold, "The Implementation
Shortfall", Journal of Portfolio Management 1988, takes the mid-quote of the decision), or, where a side is
unknown, the last trade or bar close. Only events count that the decision could know: up to the input at which
it was made, of the same day of trading where the feed has ticks. Text only: no SQL is run here.
"""

from collections.abc import Sequence

from core.ports import RUN_BASE
from eventstore.sources import literal

# An order on time, then on seq: one number, so that an as-of join can find the last row before it.
_KEY = "(ts::HUGEINT * {base} + seq)"


def arrivals_query(scope: str, feeds: Sequence[str], begin_ts: int, end_ts: int) -> str:
    """Return the query of `order_id` and `price` for the intents between two times (the end exclusive)."""
    key = _KEY.format(base=2 * RUN_BASE)
    feed = f"feed IN ({', '.join(map(literal, feeds))})" if feeds else "true"
    rows = f"run IS NULL AND {feed} AND ts >= {begin_ts} AND ts < {end_ts}"
    return f"""
WITH wanted AS (
    SELECT "order" AS order_id, instrument,
           ts::HUGEINT * {2 * RUN_BASE} + CASE WHEN "at" > {RUN_BASE} THEN {RUN_BASE} ELSE "at" END AS key
    FROM raw.order_intended WHERE {scope} AND ts >= {begin_ts} AND ts < {end_ts}),
of_interest AS (SELECT DISTINCT instrument FROM wanted),
bids AS ({_side("bid", key, rows)}),
asks AS ({_side("ask", key, rows)}),
lasts AS (
    SELECT instrument, {key} AS key, price FROM raw.trade
    WHERE {rows} AND NOT suspicious AND price > 0 AND instrument IN (FROM of_interest)
    UNION ALL SELECT instrument, {key}, close FROM raw.bar WHERE {rows} AND instrument IN (FROM of_interest)),
bid AS ({_best("bids", "max")}),
ask AS ({_best("asks", "min")}),
last AS (SELECT w.order_id, l.price FROM wanted AS w
         ASOF JOIN lasts AS l ON l.instrument = w.instrument AND w.key >= l.key)
SELECT w.order_id, coalesce((bid.price + ask.price) / 2, last.price) AS price
FROM wanted AS w
LEFT JOIN bid ON bid.order_id = w.order_id
LEFT JOIN ask ON ask.order_id = w.order_id
LEFT JOIN last ON last.order_id = w.order_id"""


def _side(side: str, key: str, rows: str) -> str:
    # A row without a price keeps the venue's last one; a price or size of 0 clears the venue. The venues of a
    # consolidated feed are one book.
    venue = "CASE WHEN feed IN (SELECT feed FROM raw.feed WHERE consolidated) THEN '' ELSE venue END AS venue"
    return f"""
    SELECT instrument, {venue}, {key} AS key,
           CASE WHEN {side} = 0 OR {side}_size = 0 THEN NULL ELSE {side} END AS price
    FROM raw.quote WHERE {rows} AND NOT suspicious AND ({side} IS NOT NULL OR {side}_size = 0)
        AND instrument IN (FROM of_interest)
    UNION ALL
    SELECT instrument, '', {key}, {side}_close FROM raw.quote_bar
    WHERE {rows} AND {side}_close IS NOT NULL AND instrument IN (FROM of_interest)"""


def _best(rows: str, choose: str) -> str:
    return f"""
    SELECT v.order_id, {choose}(r.price) AS price
    FROM (SELECT w.order_id, w.instrument, w.key, q.venue FROM wanted AS w
          JOIN (SELECT DISTINCT instrument, venue FROM {rows}) AS q ON q.instrument = w.instrument) AS v
    ASOF JOIN {rows} AS r ON r.instrument = v.instrument AND r.venue = v.venue AND v.key >= r.key
    GROUP BY v.order_id"""
