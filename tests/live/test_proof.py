"""A traded session fed through its strategies again: the same decisions, or the first that differs."""

import shutil

from core.events import OrderIntended, SessionStarted
from core.ports import Selection
from eventstore.reader import LogReader
from eventstore.runs import find_run

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
        (e.event.strategy, e.event.instrument, e.event.side, e.event.quantity, e.event.type, e.event.ts)
        for batch in entries.entries(Selection(types=frozenset({OrderIntended})))
        for e in batch
    ]


def test_a_demo_fed_through_its_strategy_again_has_the_same_decisions_hash(traded, tape):
    first = LogReader(traded)
    told = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--json").json
    run = find_run(traded, told["run"])
    assert told["session"] == 1
    assert told["decisions_hash"] == run.summary["decisions_hash"]
    assert len(intents(run)) == told["intents"] > 10
    assert intents(run) == intents(first)


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
    assert "quantity was Decimal('7') and is Decimal('8')" in done.err


def test_a_day_without_a_session_has_nothing_to_prove(log, tape):
    done = tape("--log", log, "replay", DAY, "--fills", "recorded")
    assert done.code == 7
    assert "tape live --demo 2025-07-02" in done.err


def test_a_proof_takes_all_from_the_session(traded, tape):
    done = tape("--log", traded, "replay", DAY, "--fills", "recorded", "--cash", "5")
    assert done.code == 2
    assert "leave out cash" in done.err


def test_a_session_stands_in_the_log_with_what_a_proof_needs(traded):
    started = [
        e.event for b in LogReader(traded).entries(Selection(types=frozenset({SessionStarted}))) for e in b
    ]
    assert [(s.mode, s.session, s.account) for s in started] == [("demo", 1, "DU1000001")]
