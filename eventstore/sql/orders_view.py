"""The SQL of the view `orders`: the same derivation as `projections.orders`, over the same facts.

What is known of an order is a set of facts, in whatever order they came; only a look at the broker's book, a
retry and a report of somebody else's order replace what was believed before. Text only: no SQL is run here.
"""

from eventstore.sql.sources import literal
from projections.orders import AT_WORK

_AT_WORK = ", ".join(literal(status) for status in sorted(AT_WORK))

EXECUTIONS = """
SELECT run, seq, ts, "at" AS at_seq, exec_id, 0::BIGINT AS revision, "order" AS order_id, account,
       strategy, instrument,
       side, quantity, price, venue
FROM raw.filled
UNION ALL
SELECT run, seq, ts, "at" AS at_seq, exec_id, revision, "order", account, strategy, instrument,
       side, quantity, price,
       venue
FROM raw.fill_corrected"""
"""Every report of an execution."""

ORDERS = """
WITH placements AS (
    SELECT run, seq, ts, "order" AS order_id, account, strategy, instrument, side, type, tif, quantity,
           "limit" AS limit_price, stop AS stop_price, reason
    FROM raw.order_intended QUALIFY row_number() OVER (PARTITION BY run, "order" ORDER BY seq) = 1
    UNION ALL
    SELECT run, min(seq), arg_min(ts, seq), "order", arg_max(account, seq), '', arg_max(instrument, seq),
           arg_max(side, seq), arg_max(CASE WHEN "limit" IS NOT NULL THEN 'LMT'
                                            WHEN stop IS NOT NULL THEN 'STP' ELSE 'MKT' END, seq), 'DAY',
           arg_max(quantity, seq), arg_max_null("limit", seq), arg_max_null(stop, seq), 'an order of others'
    FROM raw.external_order GROUP BY run, "order"),
tellings AS (  -- an execution that is told again says nothing of its order
    SELECT run, order_id, ts, seq, coalesce(revision > max(revision) OVER before
                                            OR revision < min(revision) OVER before, true) AS is_news
    FROM (EXECUTIONS)
    WINDOW before AS (PARTITION BY run, exec_id ORDER BY seq
                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
reports AS (
    SELECT run, "order" AS order_id, ts, 0 AS progress, '' AS fact, NULL AS fate, 1 AS version,
           NULL AS message, seq FROM raw.order_intended
    UNION ALL SELECT run, "order", ts, 1, '', NULL, NULL, NULL, seq FROM raw.risk_approved
    UNION ALL SELECT run, "order", ts, 0, CASE version WHEN 1 THEN 'Refused' ELSE 'dropped' END, NULL,
              version, message, seq FROM raw.risk_refused WHERE version > 0
    UNION ALL SELECT run, "order", ts, 0, '', NULL, NULL, NULL, seq FROM raw.modify_intended
    UNION ALL SELECT run, "order", ts, 0, 'cancelling', NULL, NULL, NULL, seq FROM raw.cancel_intended
    UNION ALL SELECT run, "order", ts, 0, 'cancelling', NULL, NULL, NULL, seq FROM raw.cancel_send_started
    UNION ALL SELECT run, "order", ts, 0, 'cancelling', NULL, NULL, NULL, seq FROM raw.cancel_sent
    UNION ALL SELECT run, "order", ts, 2, '', NULL, NULL, NULL, seq FROM raw.order_send_started
    UNION ALL SELECT run, "order", ts, 3, 'sent', NULL, version, NULL, seq FROM raw.order_sent
    UNION ALL SELECT run, "order", ts, 0, CASE WHEN bytes_written > 0 THEN 'doubt' ELSE 'failed' END,
              NULL, version, message, seq FROM raw.send_failed
    UNION ALL SELECT run, "order", ts, CASE WHEN status = 'Rejected' AND version > 1 THEN 0 ELSE 4 END,
              CASE WHEN status = 'Rejected' AND version > 1 THEN 'dropped' ELSE status END,
              CASE WHEN status = 'Rejected' AND version > 1 THEN NULL ELSE '' END, version,
              NULLIF(message, ''), seq FROM raw.order_status
    UNION ALL SELECT run, "order", ts, 0, 'amended', NULL, version, NULL, seq FROM raw.order_amended
    UNION ALL SELECT run, "order", ts, CASE outcome WHEN 'live' THEN 4 ELSE 0 END, outcome,
              CASE WHEN outcome IN ('unknown', 'presumed_lost') THEN outcome ELSE '' END, NULL,
              evidence, seq FROM raw.order_resolved
    UNION ALL SELECT run, "order", ts, 0, 'retried', '', NULL, NULL, seq FROM raw.order_retried
    UNION ALL SELECT run, "order", ts, 0, CASE version WHEN 1 THEN 'Held' ELSE 'waits' END, NULL, version,
              reason, seq FROM raw.order_held
    UNION ALL SELECT run, "order", ts, 0, CASE WHEN outcome = 'released' AND version = 1 THEN 'freed'
              WHEN outcome = 'released' THEN '' WHEN version > 1 THEN 'dropped'
              WHEN outcome = 'cancelled' THEN 'Cancelled' ELSE 'Expired' END, NULL, version,
              CASE WHEN outcome <> 'released' THEN reason END, seq FROM raw.hold_ended
    UNION ALL SELECT b.run, p.order_id, b.ts, 0, 'accepted', '', NULL, b.reason, b.seq
              FROM raw.break_accepted AS b JOIN placements AS p ON p.run IS NOT DISTINCT FROM b.run
              AND p.account = b.account AND p.instrument = b.instrument AND p.seq < b.seq
    UNION ALL SELECT run, "order", ts, 4, CASE WHEN status IN (AT_WORK) THEN 'open' ELSE 'gone' END, NULL,
              NULL, NULL, seq FROM raw.external_order
    UNION ALL SELECT run, order_id, ts, CASE WHEN is_news THEN 4 ELSE 0 END, '', NULL, NULL, NULL, seq
              FROM tellings),
sequenced AS (
    SELECT *, count(*) FILTER (fact IN ('retried', 'Held'))
            OVER (PARTITION BY run, order_id ORDER BY seq) AS retries,
        arg_max(fate, seq) FILTER (fate IS NOT NULL) OVER (PARTITION BY run, order_id ORDER BY seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS fate_before
    FROM reports),
judged AS (
    SELECT *, arg_max(fact NOT IN ('retried', 'live', 'open'), seq) FILTER (
            fact IN ('Rejected', 'Cancelled', 'ended', 'gone', 'retried', 'live', 'open')
            OR (fact = 'accepted' AND fate_before = 'unknown'))
        OVER (PARTITION BY run, order_id ORDER BY seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS over_before
    FROM sequenced),
placed AS (  -- the operator's word ends an order that nobody could find, and no other
    SELECT *, fact IN ('failed', 'doubt') AND version <= max(version) FILTER (fact = 'sent')
        OVER (PARTITION BY run, order_id, retries ORDER BY seq) AS was_out,
        coalesce(max(seq) FILTER (fact IN ('waits', 'amended'))
            OVER (PARTITION BY run, order_id, version), 0) AS stands_seq,
        coalesce(max(seq) FILTER (fact IN ('retried', 'Held')) OVER whole, 0) AS retried_seq,
        coalesce(max(seq) FILTER (fact IN ('retried', 'live', 'freed')) OVER whole, 0) AS revived_seq,
        coalesce(max(seq) FILTER (fact IN ('retried', 'live', 'open', 'gone')) OVER whole, 0) AS reopened_seq
    FROM judged
    WHERE fact <> 'accepted' OR (coalesce(fate_before, '') = 'unknown' AND NOT coalesce(over_before, false))
    WINDOW whole AS (PARTITION BY run, order_id)),
facts AS (  -- a send that failed after that version had left was that of a cancel request
    SELECT * REPLACE (
        CASE WHEN was_out THEN 'kept' WHEN fact = 'failed' AND version > 1 THEN 'dropped'
             WHEN fact IN ('failed', 'not_sent') THEN 'SendFailed'
             WHEN fact = 'doubt' AND version = 1 THEN 'Unknown' ELSE fact END AS fact,
        CASE WHEN NOT coalesce(was_out, false) THEN message END AS message)
    FROM placed),
folded AS (
    SELECT run, order_id, max(ts) AS updated_ts, max(progress) FILTER (seq >= retried_seq) AS progress,
        bool_or(fact = 'Rejected' AND seq >= reopened_seq) AS rejected,
        bool_or(fact IN ('Cancelled', 'ended', 'accepted', 'gone') AND seq >= reopened_seq) AS cancelled,
        arg_max(fact, seq) FILTER (seq > revived_seq
            AND fact IN ('Refused', 'SendFailed', 'Unknown', 'Held', 'Expired')) AS held_back,
        arg_max(fact, seq) FILTER (fact IN ('cancelling', 'kept', 'live')) AS cancelling,
        arg_max(fate, seq) FILTER (fate IS NOT NULL) AS fate,
        max(version) FILTER (progress = 4 OR fact = 'amended') AS acknowledged,
        coalesce(list(version) FILTER (fact = 'dropped' AND seq > stands_seq), []) AS dropped,
        arg_max(message, seq) FILTER (message IS NOT NULL) AS message
    FROM facts GROUP BY run, order_id),
versions AS (
    SELECT run, order_id, 1::BIGINT AS version, quantity, limit_price, stop_price, reason, tif FROM placements
    UNION ALL (SELECT * EXCLUDE (rank) FROM (  -- what the broker made of an order itself stands
        SELECT run, "order" AS order_id, version, quantity, "limit", stop, reason, tif, seq AS rank
        FROM raw.modify_intended
        UNION ALL SELECT run, "order", version, quantity, "limit", stop, 'changed at the broker', tif, -seq
                  FROM raw.order_amended)
    QUALIFY row_number() OVER (PARTITION BY run, order_id, version ORDER BY rank) = 1)),
standing AS (
    SELECT v.run, v.order_id,
           arg_max(v, v.version) FILTER (NOT list_contains(f.dropped, v.version)) AS latest,
           arg_max(v.tif, v.version) FILTER (NOT list_contains(f.dropped, v.version)
                                             AND v.tif IS NOT NULL) AS tif,
           coalesce(max(v.quantity) FILTER (v.version >= coalesce(f.acknowledged, 1)
                                            AND NOT list_contains(f.dropped, v.version)),
                    max(v.quantity)) AS quantity
    FROM versions AS v
    JOIN folded AS f ON f.order_id = v.order_id AND f.run IS NOT DISTINCT FROM v.run
    GROUP BY v.run, v.order_id),
executed AS (
    SELECT run, order_id, sum(quantity) AS filled, sum(first_quantity) AS done
    FROM (SELECT run, exec_id, arg_max(order_id, revision) AS order_id,
                 arg_max(quantity, revision) AS quantity, arg_min(quantity, revision) AS first_quantity
          FROM (EXECUTIONS) GROUP BY run, exec_id)
    GROUP BY run, order_id),
joined AS (
    SELECT i.run, i.order_id, i.seq, i.ts AS created_ts, f.updated_ts, i.account, i.strategy,
           i.instrument, i.side, i.type, coalesce(s.tif, i.tif) AS tif, s.latest, f,
           s.quantity AS standing_quantity,
           coalesce(e.filled, 0::DECIMAL(38, 8)) AS filled, coalesce(e.done, 0) AS done
    FROM placements AS i
    JOIN folded AS f ON f.order_id = i.order_id AND f.run IS NOT DISTINCT FROM i.run
    JOIN standing AS s ON s.order_id = i.order_id AND s.run IS NOT DISTINCT FROM i.run
    LEFT JOIN executed AS e ON e.order_id = i.order_id AND e.run IS NOT DISTINCT FROM i.run)
SELECT run, seq, order_id, account, strategy, instrument, side, type, tif, latest.version AS version,
       latest.quantity AS quantity, latest.limit_price AS limit_price, latest.stop_price AS stop_price,
       CASE WHEN done > 0 AND done >= standing_quantity THEN 'Filled'
            WHEN f.rejected THEN 'Rejected'
            WHEN f.cancelled THEN 'Cancelled'
            WHEN f.progress < 4 AND f.held_back <> 'Unknown' THEN f.held_back
            WHEN f.fate = 'unknown' THEN 'Unknown'
            WHEN f.fate = 'presumed_lost' THEN 'Lost'
            WHEN f.cancelling = 'cancelling' THEN 'CancelPending'
            WHEN done > 0 THEN 'PartiallyFilled'
            WHEN f.progress < 4 AND f.held_back IS NOT NULL THEN f.held_back
            ELSE ['Intended', 'Approved', 'Sending', 'Sent', 'Submitted'][f.progress + 1] END AS state,
       filled, latest.reason AS reason, coalesce(f.message, '') AS message,
       created_ts, make_timestamp_ns(created_ts) AS created, updated_ts,
       make_timestamp_ns(updated_ts) AS updated
FROM joined""".replace("EXECUTIONS", EXECUTIONS).replace("AT_WORK", _AT_WORK)
"""Orders in their latest state."""
