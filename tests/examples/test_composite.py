"""The bundled composite on the sample days: everything it does happens, and SQL explains one of each."""

import json
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "examples" / "composite.toml"


@pytest.fixture
def ask(tape, log):
    """Replay the example over both days; return a function that asks SQL."""
    done = tape("-c", EXAMPLE, "--log", log, "replay", "2025-07-02..2025-07-03", "--json")
    assert done.code == 0, done.err
    return lambda query: tape("--log", log, "sql", query, "--json").json


def test_sql_explains_signals_refusals_entries_and_exits(ask):
    (refusal,) = ask("""
        SELECT order_id, CAST(rule_limit AS DOUBLE) AS most, CAST(value AS DOUBLE) AS value,
               CAST(headroom AS DOUBLE) AS headroom FROM risk_headroom
        WHERE verdict = 'refused' AND rule = 'max_portfolio_risk' ORDER BY seq LIMIT 1""")
    assert refusal["value"] > refusal["most"]
    assert refusal["headroom"] == pytest.approx(refusal["most"] - refusal["value"])

    (composite,) = ask("SELECT value, threshold, contributions FROM composites ORDER BY seq LIMIT 1")
    assert abs(composite["value"]) >= composite["threshold"] == 0.6
    parts = json.loads(composite["contributions"])
    assert composite["value"] == pytest.approx(sum(part["part"] for part in parts))

    entry = ask("SELECT kind FROM chain WHERE order_id = 'composite-1-1' ORDER BY link LIMIT 5")
    assert [link["kind"] for link in entry] == ["tick", "composite", "size", "intent", "verdict"]

    exits = ask("""
        SELECT i.type, i.reason FROM fills AS f JOIN intents AS i USING (order_id)
        WHERE order_id LIKE 'exit-%' AND i.type IS NOT NULL""")
    assert {"STP", "LMT"} == {one["type"] for one in exits}
    assert all(one["reason"].startswith(("stop-loss 0.40%", "take-profit 0.20%")) for one in exits)

    turned = ask("SELECT count(*) AS n FROM fills WHERE side = 'SELL' AND order_id LIKE 'composite-%'")
    assert turned[0]["n"] > 0


def test_an_entry_is_as_large_as_was_recorded(ask):
    rows = ask("""
        SELECT CAST(i.quantity AS DOUBLE) AS asked, CAST(s.quantity AS DOUBLE) AS sized
        FROM raw.order_intended AS i JOIN raw.order_sized AS s ON i.cause = s.seq AND i.run = s.run""")
    assert rows
    assert all(row["asked"] == row["sized"] > 0 for row in rows)


def test_without_instruments_it_says_where_to_name_them(tape, log):
    done = tape("--log", log, "replay", "2025-07-02", "--strategy", "composite")
    assert done.code == 2
    assert "[trading] watchlist" in done.err


def test_fixed_fractional_without_a_stop_is_refused_with_the_remedy(tape, log, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[sizing]\nmethod = "fixed_fractional"\n')
    done = tape("-c", config, "--log", log, "replay", "2025-07-02", "--strategy", "sma_cross")
    assert done.code == 2
    assert "stop_loss_pct" in done.err
