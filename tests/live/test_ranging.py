"""Exits by the range, live: what a restart knows of it, and a session that is proven."""

import pytest

from app.composition.past import past_of
from app.composition.ranging import ranges_of, warmed
from core.clock import DAY_NS
from core.exits.rules import ExitRules
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from tests.core.bench import CLOSE, END, MIN, OPEN, S, bar, instrument, session, trade

pytestmark = pytest.mark.risk

RULES = ExitRules(stop_loss_atr=2.0, atr_length=3)
CONFIG = """[risk_management]
max_position_size = 1.0
max_portfolio_risk = 1.0
max_daily_loss = 1.0
stop_loss_atr = 3.0
take_profit_atr = 2.0
atr_length = 3
"""


def prices(begin, minutes):
    """Trades every 20 s that wander, so that each minute has a range of its own."""
    return [trade(begin + n * 20 * S, 100.0 + (n * n % 13) / 10) for n in range(3 * minutes)]


def written(root, *events):
    journal = Journal.open(root)
    journal.extend([instrument(), session(), session("2025-07-03", DAY_NS), *events])
    journal.commit(sync=True)
    journal.close()
    return LogReader(root)


def known(reader, start_ts, rules=RULES):
    sessions = past_of(reader, "USD").world.sessions
    found = warmed(rules, reader, sessions, ["ACME"], reader.last_seq() + 1, start_ts)
    return None if found is None else found.atr("ACME")


def direct(events):
    ranges = ranges_of(RULES)
    for event in events:
        ranges.on_trade(event)
    return ranges


def test_a_restart_knows_the_range_from_the_log(tmp_path):
    day = prices(OPEN, 6)
    reader = written(tmp_path / "log", *day)
    assert known(reader, OPEN + 6 * MIN) == pytest.approx(direct(day).atr("ACME"))
    # Nothing of what came after the start, and nothing that was recorded after the session's first entry.
    assert known(reader, OPEN + 5 * MIN) == pytest.approx(direct(day[:15]).atr("ACME"))
    sessions = past_of(reader, "USD").world.sessions
    early = warmed(RULES, reader, sessions, ["ACME"], 4, OPEN + 6 * MIN)
    assert early.bars("ACME") == 0
    assert known(reader, OPEN, ExitRules(stop_loss_pct=0.05)) is None


@pytest.mark.parametrize("end", [CLOSE, END])
def test_a_session_begins_with_the_range_of_the_session_before(tmp_path, end):
    day = prices(end - 6 * MIN, 6)
    reader = written(tmp_path / "log", *day)
    assert known(reader, OPEN + DAY_NS) == pytest.approx(direct(day).atr("ACME"))


def test_bars_of_days_before_are_read_too(tmp_path):
    bars = [bar(OPEN - 3 * DAY_NS + n * MIN, 100, 103, 99, 101) for n in range(1, 7)]
    assert known(written(tmp_path / "log", *bars), OPEN) == pytest.approx(4.0)


def test_a_session_with_exits_by_the_range_is_proven_and_ends_as_the_replay(
    tape, morning, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tape.toml").write_text(CONFIG)
    who = ["--strategy", "sma_cross", "--set", "instrument=ZVXA"]
    until = ["--until", "2025-07-02T13:42:00Z"]
    live = tape("--log", morning, "-q", "live", "--demo", "2025-07-02", *who, *until, "--json")
    assert live.code == 0, live.err
    assert tape("--log", morning, "replay", "2025-07-02", "--fills", "recorded").code == 0
    assert tape("--log", morning, "replay", "2025-07-02", *who).code == 0

    def exits(*chosen):
        told = tape("--log", morning, "events", *chosen, "--type", "order_intended", "--json").json
        return [row["data"]["reason"] for row in told if row["data"]["order"].startswith("exit-")]

    traded = exits()
    assert len(traded) > 5
    assert "ATR of" in traded[0]
    assert exits("--run", "latest")[: len(traded)] == traded


def test_a_size_by_risk_loses_its_share_at_the_stop_by_the_range(tape, log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tape.toml").write_text(
        CONFIG
        + '[sizing]\nmethod = "fixed_fractional"\nrisk_per_trade = 0.0005\n[trading]\nwatchlist = ["ZVXA"]\n'
    )
    done = tape("--log", log, "replay", "2025-07-02", "--strategy", "composite", "--set", "every=5", "--json")
    assert done.code == 0, done.err
    risked = """
        SELECT CAST(i.quantity AS DOUBLE) * (CAST(f.price AS DOUBLE) - CAST(x.stop AS DOUBLE)) AS loss
        FROM raw.order_intended AS i JOIN raw.filled AS f USING ("order", run)
        JOIN raw.order_intended AS x ON x.run = i.run AND x.ts = f.ts AND x.type = 'STP'
        WHERE i.cause IN (SELECT seq FROM raw.order_sized AS s WHERE s.run = i.run)
          AND i.run = (SELECT run FROM raw.order_sized ORDER BY seq DESC LIMIT 1)"""
    losses = [row["loss"] for row in tape("--log", log, "sql", risked, "--json").json]
    assert len(losses) > 3
    assert all(
        loss == pytest.approx(50, rel=0.35) for loss in losses
    )  # of 100,000; spread, ticks, whole units
