"""Health checks: an event for each change of state, both ways, and never twice."""

from decimal import Decimal
from types import SimpleNamespace

import msgspec
import psutil
import pytest

from app.configuration.settings import HealthSection
from app.signals.troubles import Troubles
from app.watch.health import Checks, Health, Measures, SessionFacts
from app.watch.machine import Machine, size_of
from core.events import InstrumentDefined, SessionScheduled, SignalFileRead
from core.risk import Limits, RiskState
from tests.watch.events import TS

LIMITS = HealthSection(memory_mb=(100, 200), disk_free_mb=(50, 10))


def states(checks, **measured):
    return [(e.check, e.state, e.value, e.threshold) for e in checks.evaluate(TS, Measures(**measured))]


def test_a_check_that_passes_its_thresholds_says_so_once_and_again_when_it_is_fine():
    checks = Checks(LIMITS)
    assert states(checks, memory_mb=99) == []
    assert states(checks, memory_mb=100) == [("memory", "warning", 100, 100)]
    assert states(checks, memory_mb=150) == []
    assert states(checks, memory_mb=500) == [("memory", "critical", 500, 200)]
    assert states(checks, memory_mb=50) == [("memory", "ok", 50, 100)]


def test_a_check_that_lies_at_its_threshold_does_not_flicker():
    checks = Checks(LIMITS)
    assert [len(states(checks, memory_mb=value)) for value in (101, 99, 101, 95, 91, 89)] == [
        1,
        0,
        0,
        0,
        0,
        1,
    ]
    assert [len(states(checks, memory_mb=value)) for value in (201, 199, 201, 179)] == [1, 0, 0, 1]
    assert checks.states["memory"] == "warning"


def test_free_space_is_worse_the_less_there_is():
    checks = Checks(LIMITS)
    assert states(checks, disk_free_mb=51) == []
    assert states(checks, disk_free_mb=9) == [("disk", "critical", 9, 10)]
    assert states(checks, disk_free_mb=40) == [("disk", "warning", 40, 50)]
    assert states(checks, disk_free_mb=54) == []
    assert states(checks, disk_free_mb=60) == [("disk", "ok", 60, 50)]


def test_what_is_unknown_changes_nothing():
    checks = Checks(LIMITS)
    states(checks, memory_mb=150)
    assert states(checks) == []
    assert checks.states["memory"] == "warning"


def test_a_threshold_of_0_is_never_reached():
    checks = Checks(HealthSection(memory_mb=(0, 0), disk_free_mb=(0, 0)))
    assert states(checks, memory_mb=1e9, disk_free_mb=0) == []


def test_an_event_says_what_was_measured_in_words():
    (event,) = Checks(LIMITS).evaluate(TS, Measures(position_risk=0.85))
    assert (event.message, event.unit) == ("85% of a risk limit is used", "of the limit")


# -- the session -------------------------------------------------------------------------------


class Folds:
    """The folds of a session, as a test sets them."""

    def __init__(self):
        self.link = "up"
        self.worth = {"SPY": Decimal(3000), "QQQ": Decimal(-6000)}
        self.money = Decimal(100_000)
        self.day = Decimal(-1000)
        self.heard = TS
        self.troubles = Troubles()

    def open_positions(self):
        return [SimpleNamespace(account="DU1", instrument=name) for name in self.worth]

    def market_value(self, position, currency):
        return self.worth[position.instrument]

    def equity(self, account, currency):
        return self.money

    def day_pnl(self, account, currency):
        return self.day

    def working(self):
        return []

    def recent(self, since_ts):
        return []

    def peak_equity(self, account, currency):
        return None

    def session(self, exchange, ts):
        hour = 3_600_000_000_000
        return SessionScheduled(TS, exchange, "2025-07-02", "UTC", TS, TS, TS + hour, TS + 2 * hour)


def facts(folds, **limits):
    spy = InstrumentDefined(TS, "SPY", "SPY", "STK", "SMART", "USD", Decimal(1), Decimal("0.01"), "UTC")
    return SessionFacts(
        gate=folds,
        state=RiskState(folds, folds, folds, folds, folds, folds, "USD"),
        calendar=folds,
        account="DU1",
        limits=Limits(**limits),
        instruments=lambda: [spy],
        data_ts=lambda: folds.heard,
        troubles=folds.troubles,
    )


def test_position_risk_is_the_largest_share_of_a_limit():
    folds = Folds()
    assert facts(folds).risk_used(TS) is None
    assert facts(folds, max_position_size=0.1).risk_used(TS) == pytest.approx(0.6)
    assert facts(folds, max_position_size=0.1, max_portfolio_risk=0.1).risk_used(TS) == pytest.approx(0.9)
    assert facts(folds, max_daily_loss=0.02).risk_used(TS) == pytest.approx(1000 / 101_000 / 0.02)
    folds.day = Decimal(500)
    assert facts(folds, max_daily_loss=0.02).risk_used(TS) == 0


def test_the_age_of_data_counts_while_a_session_is_open_and_from_its_opening():
    folds, minute = Folds(), 60_000_000_000
    assert facts(folds).data_age_s(TS + minute) == 60
    folds.heard = 0
    assert facts(folds).data_age_s(TS + minute) == 60
    assert facts(folds).data_age_s(TS + 61 * minute) is None


def test_a_connection_that_is_down_grows_old_until_it_is_up(tmp_path):
    clock, folds = [0.0], Folds()
    health = Health(HealthSection(), Machine(tmp_path), facts(folds), monotonic=lambda: clock[0])
    try:
        folds.link = "down"
        assert health.reports(TS) == []
        clock[0] = 10.0
        (warned,) = health.reports(TS)
        assert (warned.check, warned.state) == ("connection", "warning")
        assert health.measures.data_age_s is None
        clock[0] = 60.0
        assert [e.state for e in health.reports(TS)] == ["critical"]
        folds.link = "up"
        assert [e.state for e in health.reports(TS)] == ["ok"]
    finally:
        health.close(1)


def test_signals_in_trouble_are_a_warning_until_the_last_is_over(tmp_path):
    folds = Folds()
    health = Health(HealthSection(), Machine(tmp_path), facts(folds))

    def told(file, problem):
        folds.troubles.note(SignalFileRead(TS, "bma", file, "", 0, 0, problem))
        return [(event.check, event.state, event.message) for event in health.reports(TS)]

    try:
        assert told("a.xlsx", "gone") == [("signals", "warning", "sources of signals in trouble: 1")]
        assert told("b.xlsx", "gone") == []
        assert told("a.xlsx", "") == []
        assert [state for _, state, _ in told("b.xlsx", "")] == ["ok"]
    finally:
        health.close(1)


def test_in_lock_step_neither_cpu_nor_the_age_of_data_is_judged(tmp_path):
    for lock_step in (True, False):
        health = Health(HealthSection(), Machine(tmp_path), facts(Folds()), lock_step=lock_step)
        health._machine.reading = msgspec.structs.replace(health._machine.reading, cpu_pct=99.0)
        health.reports(TS + 1_000_000_000)
        health.close(1)
        judged = (health.measures.cpu_pct, health.measures.data_age_s)
        assert judged == ((None, None) if lock_step else (99.0, 1.0))


# -- the machine -------------------------------------------------------------------------------


def test_the_machine_measures_this_process_and_the_log(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 3_000_000)
    machine = Machine(tmp_path)
    try:
        reading = machine.reading
        assert reading.log_mb == 3.0
        assert reading.memory_mb == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.5)
        assert reading.disk_free_mb > 0
        assert reading.cpu_pct is None
        machine._times.extend((100.0 + 5 * n, 7.0 + 2 * n) for n in range(13))
        assert machine._cpu() == 40.0
    finally:
        machine.close()


def test_the_size_of_a_directory_leaves_out_what_vanishes(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert size_of(tmp_path) == 5
    assert size_of(tmp_path / "gone") == 0
