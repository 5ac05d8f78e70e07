"""A traded session fed through its strategies again: the same decisions, or the first that differs."""

import shutil
from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from openpyxl import load_workbook

from adapters.replay import calendar
from app.live.proving import prove
from app.replay.recorded import Recorded, recorded_sessions
from core.clock import local
from core.events import (
    CommissionReported,
    ExternalOrderReported,
    Filled,
    HealthChanged,
    OrderIntended,
    OrderStatusChanged,
    PositionAdjusted,
    SessionEnded,
    SessionStarted,
)
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import find_run
from tests.live.rig import new_log
from tests.logs import events_of

DAY = "2025-07-02"

BUYER = """
from truetape import Parameters, Strategy, Subscription, Trade


class Buyer(Strategy[Parameters]):
    def subscriptions(self):
        return [Subscription("ZVXA")]

    def on_trade(self, trade: Trade) -> None:
        if not self.working_orders() and self.position("ZVXA") < QUANTITY * 5:
            self.buy("ZVXA", QUANTITY, reason="again")
"""


def intents(entries):
    return [
        (e.strategy, e.instrument, e.side, e.quantity, e.type, e.ts)
        for e in events_of(entries, OrderIntended)
    ]


def test_a_demo_fed_through_its_strategy_again_has_the_same_decisions_hash(traded, tape):
    first = LogReader(traded)
    told = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--json").json
    run = find_run(traded, told["run"])
    assert told["session"] == 1
    assert told["decisions_hash"] == run.summary["decisions_hash"]
    assert len(intents(run)) == told["intents"] > 10
    assert intents(run) == intents(first)
    done = tape("--log", traded, "export", "--fixture", "morning", "--run", run.id)
    assert (done.code, "is the proof of live session 1" in done.err) == (2, True)
    assert tape("--log", traded, "state", "--run", run.id).code == 0


def test_sql_of_a_proof_has_what_the_log_has_of_its_session(traded, tape):
    run = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--json").json
    sums = "SELECT count(*) AS fills, sum(commission) AS commissions FROM fills"
    expected = [{"fills": run["fills"], "commissions": run["commissions"]}]
    for one in (run["run"], "log"):
        assert tape("--log", traded, "sql", "--run", one, sums, "--json").json == expected
    orders = "SELECT count(*) AS n FROM orders"
    assert tape("--log", traded, "sql", "--run", run["run"], orders, "--json").json == [{"n": run["orders"]}]


def test_a_plain_replay_of_a_traded_day_reads_the_imported_feed(traded, ib_gateway_log, tmp_path, tape):
    untouched = shutil.copytree(ib_gateway_log, tmp_path / "untouched")
    after = tape("--log", traded, "replay", DAY, "--json").json
    before = tape("--log", untouched, "replay", DAY, "--json").json
    assert after == before  # the run's id among them


def test_a_plain_replay_of_a_traded_day_runs_what_was_traded(log, tmp_path, tape):
    own = tmp_path / "buyer.py"
    own.write_text(BUYER.replace("QUANTITY", "7"))
    done = tape(
        "--log", log, "live", "--demo", "--strategy", f"{own}:Buyer", "--until", "2025-07-02T13:31:00Z"
    )
    assert done.code == 0, done.err
    told = tape("--log", log, "replay", DAY, "--json").json
    assert {i[0] for i in intents(find_run(log, told["run"]))} == {"Buyer"}
    other = tape(
        "--log", log, "replay", DAY, "--strategy", "buy_and_hold", "--set", "instrument=ZVXA", "--json"
    )
    assert {i[0] for i in intents(find_run(log, other.json["run"]))} == {"buy_and_hold"}


def test_a_changed_strategy_ends_with_1_and_the_first_difference(log, tmp_path, tape):
    own = tmp_path / "buyer.py"
    own.write_text(BUYER.replace("QUANTITY", "7"))
    asked = ["--log", log, "live", "--demo", "--strategy", f"{own}:Buyer", "--until", "2025-07-02T13:31:00Z"]
    assert tape(*asked).code == 0
    assert tape("--log", log, "replay", DAY, "--fills", "recorded").code == 0
    own.write_text(BUYER.replace("QUANTITY", "8"))
    done = tape("--log", log, "replay", DAY, "--fills", "recorded")
    assert done.code == 1
    assert "decision 1 differs" in done.err
    assert "quantity was 7 and is 8" in done.err


def test_a_day_without_a_session_has_nothing_to_prove(log, tape):
    done = tape("--log", log, "replay", DAY, "--fills", "recorded")
    assert done.code == 7
    assert f"next: tape --log {log} live --demo 2025-07-02" in done.err


def test_a_proof_takes_all_from_the_session(traded, tape):
    done = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--cash", "5")
    assert done.code == 2
    assert "leave out cash" in done.err


def test_a_session_stands_in_the_log_with_what_a_proof_needs(traded):
    started = events_of(traded, SessionStarted)
    assert [(s.mode, s.session, s.account) for s in started] == [("demo", 1, "DU1000001")]


def test_the_report_of_a_session_counts_what_the_broker_filled(traded, tape):
    told = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--json").json
    report = tape("--log", traded, "report", told["run"], "--json").json
    fills = tape("--log", traded, "fills", "--run", told["run"], "--json").json
    assert len(fills) == told["fills"] > 10
    assert report["figures"]["trades"] == told["fills"] // 2
    assert sum(float(fill["commission"]) for fill in fills) == float(told["commissions"])


def test_the_run_of_a_session_can_be_proven_again_by_its_id(traded, tape):
    told = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--json").json
    again = tape("--log", traded, "replay", told["run"], "--json")
    assert again.code == 0, again.err
    assert again.json["decisions_hash"] == told["decisions_hash"]


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        ("2025-03-09T22:30", "2025-03-10"),  # futures trade from 17:00 in Chicago, an hour earlier in UTC
        ("2025-11-02T23:30", "2025-11-03"),
        ("2025-11-02T22:30", "2025-11-02"),  # and not yet: nothing is open
    ],
)
def test_the_run_of_a_session_has_its_session_date(tmp_path, begun, shown):
    day, clock = begun.split("T")
    began, sunday = local(day, clock, "UTC"), date.fromisoformat(day)
    journal = Journal.open(tmp_path / "log")
    for one in calendar.sessions("CMES", sunday, sunday + timedelta(days=2)):
        journal.append(one)
    started = SessionStarted(began, 1, "live", "DU1", "0", "{}", "", "[]", "", "")
    first = journal.append(started)
    for execution, account in (("e1", "DU1"), ("e2", "DU9")):
        journal.append(
            Filled(began, execution, "external-1", account, "", "ES", "BUY", Decimal(1), Decimal(5), "")
        )
    last = journal.append(SessionEnded(began + 1, 1, "stopped"))
    journal.commit(sync=True)
    journal.close()
    run = prove(tmp_path / "log", Recorded(started, first, last))
    assert (run.summary["period"], run.summary["fills"]) == (shown, 1)


@pytest.fixture
def shared_login(tmp_path):
    """A log whose session saw an order of its own account filled, and one of another account."""
    began = local(DAY, "14:00", "UTC")
    journal = Journal.open(tmp_path / "shared")
    for one in calendar.sessions("XNYS", date(2025, 7, 2), date(2025, 7, 2)):
        journal.append(one)
    journal.append(SessionStarted(began, 1, "live", "DU1", "0", "{}", "", "[]", "", ""))
    one, five = Decimal(1), Decimal(5)
    for account in ("DU1", "DU9"):
        order = f"external-{account}"
        journal.append(
            ExternalOrderReported(began, order, account, "ACME", "BUY", one, five, None, "Submitted")
        )
        journal.append(OrderStatusChanged(began, order, 1, account, "", "ACME", "Submitted"))
        journal.append(Filled(began, f"e-{account}", order, account, "", "ACME", "BUY", one, five, ""))
    journal.append(SessionEnded(began + 1, 1, "stopped"))
    journal.commit(sync=True)
    journal.close()
    return tmp_path / "shared"


def test_the_report_of_a_session_counts_no_order_of_another_account(shared_login, tmp_path, tape):
    (session,) = recorded_sessions(LogReader(shared_login), DAY, DAY)
    run = prove(shared_login, session)
    book = tmp_path / "report.xlsx"
    figures = tape("--log", shared_login, "report", run.id, "--excel", book, "--json").json["figures"]
    assert {key: figures[key] for key in ("acknowledged", "filled_orders", "fills")} == {
        "acknowledged": 1,
        "filled_orders": 1,
        "fills": 1,
    }
    rows = [row[1] for row in load_workbook(book)["Orders"].iter_rows(min_row=2, values_only=True)]
    assert rows == ["external-DU1"]


@pytest.mark.parametrize("verb", ["orders", "fills"])
def test_a_table_names_the_account_where_there_are_several(shared_login, traded, tape, verb):
    shown = tape("--log", shared_login, verb, "--run", "log").out.splitlines()
    assert shown[1].split()[0] == "account"
    assert [line.split()[0] for line in shown[3:5]] == ["DU1", "DU9"]
    rows = tape("--log", shared_login, verb, "--run", "log", "--json").json
    assert [row["account"] for row in rows] == ["DU1", "DU9"]
    assert "account" not in tape("--log", traded, verb, "--run", "log").out.splitlines()[1]


def test_a_session_while_no_exchange_is_open_belongs_to_its_date(ib_gateway_log, tmp_path):
    root = new_log(ib_gateway_log, tmp_path / "log")
    journal = Journal.open(root)
    sunday = 1_751_803_200_000_000_000  # 2025-07-06, 12:00 UTC
    started = SessionStarted(sunday, 1, "live", "DU1", "0", "{}", "", "[]", "", "")
    first = journal.append(started)
    journal.append(SessionEnded(sunday + 1, 1, "stopped"))
    journal.commit(sync=True)
    journal.close()
    reader = LogReader(root)

    def found(first_date, last_date):
        return [one.first_seq for one in recorded_sessions(reader, first_date, last_date)]

    assert found("2025-07-06", "2025-07-06") == [first]
    assert found("2025-07-01", "2025-07-31") == [first]
    assert found("2025-07-03", "2025-07-05") == found("2025-07-07", "2025-07-07") == []


def test_the_figures_of_a_session_are_its_own_and_not_those_of_the_accounts_life(traded, tape):
    began, ended = events_of(traded, SessionStarted)[-1], events_of(traded, SessionEnded)[-1]
    paid = sum(e.amount for e in events_of(traded, CommissionReported))
    one_hour = 3_600 * 10**9
    journal = Journal.open(traded)
    who = (began.account, "sma_cross", "ZVXA")
    journal.append(PositionAdjusted(ended.ts, *who, Decimal(5), Decimal(84), "by hand"))
    journal.append(msgspec.structs.replace(began, session=began.session + 1, ts=ended.ts))
    journal.append(HealthChanged(ended.ts + 20 * one_hour, "position_risk", "warning", 0.9, 0.8, "", "late"))
    journal.append(SessionEnded(ended.ts + one_hour, began.session + 1, "finished"))
    journal.commit(sync=True)
    journal.close()
    runs = [prove(traded, one) for one in recorded_sessions(LogReader(traded), DAY, DAY)]
    first, idle = (run.summary for run in runs)
    notes = [tape("--log", traded, "report", run.id).out.count("held before: profit") for run in runs]
    assert notes == [0, 1]
    assert (Decimal(first["commissions"]), paid) == (paid, Decimal(first["fills"]))
    assert Decimal(first["max_drawdown"]) > 0
    assert (idle["commissions"], idle["max_drawdown"], idle["fills"]) == ("0", "0", 0)
    assert idle["last_ts"] == ended.ts + one_hour  # a watcher's late word makes no trading day
