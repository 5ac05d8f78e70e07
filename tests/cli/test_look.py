"""The look verbs over a real log and a real run, and that their answers agree with each other."""

import json
import re
import shlex
from decimal import Decimal
from pathlib import Path

import pytest

from core.ports import RUN_BASE
from tests.eventstore.sealed_logs import write_unsealed

JSON_LISTS = ["positions", "orders", "fills", "events"]


@pytest.mark.parametrize("verb", JSON_LISTS)
def test_lists_are_lists_of_objects_in_json(tape, sample_log, verb):
    done = tape("--log", sample_log, verb, "--json")
    assert done.code == 0
    assert done.json
    assert all(isinstance(row, dict) for row in done.json)


@pytest.mark.parametrize("verb", [*JSON_LISTS, "state", "status", "report"])
def test_every_look_verb_has_a_table_and_a_next_step(tape, sample_log, verb):
    done = tape("--log", sample_log, verb)
    assert done.code == 0
    assert done.out.strip()
    assert "\nnext: tape " in "\n" + done.err or "next: tape " in done.err


def test_fills_and_positions_and_account_agree(tape, sample_log):
    fills = tape("--log", sample_log, "fills", "--json").json
    held = sum(Decimal(f["quantity"]) * (1 if f["side"] == "BUY" else -1) for f in fills)
    paid = sum(Decimal(f["commission"]) for f in fills)
    moved = -sum(
        Decimal(f["quantity"]) * Decimal(f["price"]) * (1 if f["side"] == "BUY" else -1) for f in fills
    )
    state = tape("--log", sample_log, "state", "--json").json
    assert sum(Decimal(p["quantity"]) for p in state["positions"]) == held
    (account,) = state["accounts"]
    assert Decimal(account["commissions"]["USD"]) == paid
    assert Decimal(account["cash"]["USD"]) == Decimal(100000) + moved - paid


def test_the_state_at_the_end_is_what_the_run_reports(tape, sample_log):
    run = tape("--log", sample_log, "report", "--json").json
    (account,) = tape("--log", sample_log, "state", "--json").json["accounts"]
    assert account["equity"] == run["figures"]["end_equity"]
    assert len(tape("--log", sample_log, "fills", "--json").json) == run["figures"]["fills"]


def test_time_travel_by_seq_and_by_time_shows_what_was_known_then(tape, sample_log):
    fills = tape("--log", sample_log, "fills", "--json").json
    third = fills[2]
    rows = tape("--log", sample_log, "events", "--type", "filled", "--limit", 0, "--json").json
    entry = next(row for row in rows if row["data"]["exec_id"] == third["exec_id"])
    for at in (entry["seq"], entry["at"], entry["time"]):
        state = tape("--log", sample_log, "state", "--at", at, "--json").json
        held = sum(Decimal(f["quantity"]) * (1 if f["side"] == "BUY" else -1) for f in fills[:3])
        assert sum(Decimal(p["quantity"]) for p in state["positions"]) == held
    before = tape("--log", sample_log, "state", "--at", entry["at"] - 1, "--json").json
    earlier = sum(Decimal(f["quantity"]) * (1 if f["side"] == "BUY" else -1) for f in fills[:2])
    assert sum(Decimal(p["quantity"]) for p in before["positions"]) == earlier


def test_the_state_before_the_first_order_is_empty(tape, sample_log):
    state = tape("--log", sample_log, "state", "--at", "2025-07-03T12:00:00Z", "--json").json
    assert (state["positions"], state["orders"]) == ([], [])


def test_a_mark_is_the_last_price_before_the_moment(tape, sample_log):
    fill = tape("--log", sample_log, "fills", "--json").json[0]
    moment = tape("--log", sample_log, "events", "--type", "filled", "--limit", 1, "--json").json[0]["time"]
    (position,) = tape("--log", sample_log, "state", "--at", moment, "--json").json["positions"]
    query = (
        f"SELECT price FROM trades WHERE instrument = '{fill['instrument']}' AND NOT suspicious "
        f"AND ts <= {fill['ts']} ORDER BY seq DESC LIMIT 1"
    )
    (row,) = tape("--log", sample_log, "sql", query, "--json").json
    assert position["mark"] == row["price"]


def test_events_of_one_instant_are_marked_one_by_one(tape, sample_log):
    query = """
        WITH later AS (SELECT *, lag(price) OVER (PARTITION BY instrument ORDER BY seq) AS last
                       FROM trades WHERE NOT suspicious),
        held AS (SELECT instrument, at_seq, sum(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END)
                 OVER (PARTITION BY instrument ORDER BY seq) AS quantity FROM fills)
        SELECT quotes.seq, last FROM quotes JOIN later ON later.seq = quotes.seq + 1 AND later.ts = quotes.ts
        ASOF JOIN held ON later.instrument = held.instrument AND at_seq <= quotes.seq
        WHERE held.quantity > 0 AND last <> later.price ORDER BY quotes.seq LIMIT 1
    """
    (quote,) = tape("--log", sample_log, "sql", query, "--json").json
    (position,) = tape("--log", sample_log, "state", "--at", quote["seq"], "--json").json["positions"]
    assert position["mark"] == quote["last"]


def test_the_next_step_after_a_moment_with_a_space_is_one_that_works(tape, sample_log):
    done = tape("--log", sample_log, "state", "--at", "2025-07-03 15:00")
    _, _, suggested = done.err.strip().partition("next: tape ")
    assert tape(*shlex.split(suggested), "--json").json


def test_a_number_is_a_seq_and_the_event_that_it_names_is_shown(tape, sample_log):
    named = tape("--log", sample_log, "state", "--run", "log", "--at", 1).out.splitlines()[0]
    assert f"state of log {sample_log} at event 1 (import_started): 20" in named
    timed = tape("--log", sample_log, "state", "--run", "log", "--at", "2025-07-02").out.splitlines()[0]
    assert f"state of log {sample_log} at 2025-07-02: 2025-07-02T00:00:00Z, no order events yet" in timed


def test_an_event_that_speaks_of_no_time_is_shown_without_one(tape, tmp_path):
    rows = "symbol,date,kind,ratio\nACME,2025-07-02,split,2\n"
    (tmp_path / "actions.csv").write_text(rows, "utf-8")
    assert tape("import", "actions.csv", "--kind", "actions").code == 0
    assert "at event 1 (import_started): without a time, no order" in tape("state", "--at", 1).out
    assert re.search(r"^ *1 +– +import_started ", tape("events", "--limit", 1).out, re.MULTILINE)
    assert "1970" not in tape("events").out


def test_a_seq_of_the_log_is_found_though_a_run_is_looked_at(tape, sample_log):
    """`tape why` names seqs of either kind."""
    for bounds in (("--from", 100), ("--from", 100, "--to", 101), ("--from", 99, "--to", 2000)):
        asked = ("--log", sample_log, "events", *bounds, "--limit", 2, "--json")
        done = tape(*asked)
        assert done.json == tape(*asked, "--run", "log").json
        assert [row["seq"] for row in done.json] == [bounds[1], bounds[1] + 1]
        assert (
            f"the seqs are the log's; run {run_of(done)} has its own events from {RUN_BASE + 1}" in done.err
        )
    own = tape("--log", sample_log, "events", "--from", RUN_BASE + 2, "--limit", 1, "--json")
    assert ([row["seq"] for row in own.json], "the log's" in own.err) == ([RUN_BASE + 2], False)
    assert tape("--log", sample_log, "events", "--from", 0, "--limit", 1, "--json").json[0]["seq"] > RUN_BASE


def run_of(done):
    return re.search(r"run ([0-9a-f]{12})", done.err)[1]


def test_bounds_of_log_and_run_together_are_refused(tape, sample_log):
    done = tape("--log", sample_log, "events", "--from", 5, "--to", RUN_BASE + 5)
    assert (done.code, done.out) == (2, "")
    assert re.search(r"expected two seqs of run \w+, or two of its log: its own seqs go from", done.err)


def test_who_finds_nothing_by_seq_learns_which_there_are(tape, sample_log):
    done = tape("--log", sample_log, "events", "--type", "filled", "--from", 100)
    assert done.out == "no such events\n"
    assert re.search(rf"its own seqs go from {RUN_BASE + 1} to \d+, those of its log from 1 to \d+", done.err)
    suggested = done.err.strip().rpartition("next: tape ")[2]
    assert {row["type"] for row in tape(*shlex.split(suggested), "--json").json} == {"filled"}
    beyond = tape("--log", sample_log, "events", "--run", "log", "--from", 10**9)
    assert re.search(r"log \S+: its seqs go from 1 to \d+\n", beyond.err)


def test_what_is_exported_of_a_run_by_seqs_of_the_log_is_the_logs(tape, sample_log):
    asked = ("--log", sample_log, "export", "--from", 100, "--to", 110, "--format", "csv")
    done = tape(*asked, "of_run", "--run", "latest")
    assert "the seqs are the log's" in done.err
    tape(*asked, "of_log")
    assert [Path("of_run", name).read_text() for name in ("quote.csv", "trade.csv")] == [
        Path("of_log", name).read_text() for name in ("quote.csv", "trade.csv")
    ]


def test_who_looks_for_market_data_in_a_run_is_led_to_the_log(tape, sample_log):
    done = tape("--log", sample_log, "events", "--type", "trade", "--from", "2025-07-03", "--limit", 2)
    assert (done.code, done.out) == (0, "no such events\n")
    _, _, suggested = done.err.strip().partition("next: tape ")
    assert [row["type"] for row in tape(*shlex.split(suggested), "--json").json] == ["trade", "trade"]


def test_why_leads_from_a_fill_back_to_the_tick_and_on_to_its_commission(tape, sample_log):
    fill = tape("--log", sample_log, "fills", "--json").json[1]
    chain = tape("--log", sample_log, "why", fill["exec_id"], "--json").json["chain"]
    roles = [link["role"] for link in chain]
    assert roles[0] == "trade"
    assert roles[-2:] == ["fill", "commission"]
    assert [role for role in roles if role in {"intent", "verdict", "send", "sent", "status"}] == [
        "intent",
        "verdict",
        "send",
        "sent",
        "status",
    ]
    tick = chain[0]
    intent = next(link for link in chain if link["role"] == "intent")
    assert tick["seq"] < RUN_BASE < intent["seq"]
    assert intent["at"] == tick["seq"]
    assert tick["data"]["instrument"] == fill["instrument"]
    assert chain[-1]["data"]["exec_id"] == fill["exec_id"]


def test_the_view_chain_has_the_links_of_why_in_their_order(tape, sample_log):
    for order in tape("--log", sample_log, "orders", "--json").json[:3]:
        query = f"SELECT seq FROM chain WHERE order_id = '{order['id']}' ORDER BY link"
        links = [row["seq"] for row in tape("--log", sample_log, "sql", query, "--json").json]
        assert links == [
            link["seq"] for link in tape("--log", sample_log, "why", order["id"], "--json").json["chain"]
        ]


def test_why_takes_the_seq_of_any_event_of_an_order_and_of_the_tick_that_led_to_it(tape, sample_log):
    fill = tape("--log", sample_log, "fills", "--json").json[0]
    whole = tape("--log", sample_log, "why", fill["exec_id"], "--json").json["chain"]
    for place, link in enumerate(whole):
        done = tape("--log", sample_log, "why", link["seq"], "--json")
        if place and link["role"] in {"trade", "quote"}:  # it filled the order, nothing was asked for at it
            assert done.code == 2
            _, _, suggested = done.err.strip().partition("next: tape ")
            (found,) = tape(*suggested.split(), "--json").json
            assert found["seq"] == link["seq"]
        else:
            assert [found["seq"] for found in done.json["chain"]] == [found["seq"] for found in whole]


def test_why_takes_an_order_id_too(tape, sample_log):
    order = tape("--log", sample_log, "orders", "--json").json[0]
    done = tape("--log", sample_log, "why", order["id"])
    assert done.code == 0
    assert order["reason"] in done.out


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["why", "F-99999"], 2, "did you mean F-9"),
        (["why", "1"], 2, "event 1 (import_started) speaks of no order"),
        (["why", "99999999"], 7, "has no event 99999999"),
        (["state", "--at", "0"], 7, f"its own seqs go from {RUN_BASE + 1} to"),
        (["state", "--at", "99999999"], 7, "those of its log from 1 to"),
        (["state", "--at", "99999999", "--run", "log"], 7, "; its seqs go from 1 to"),
        (["state", "--at", "20250702"], 7, "a number is a seq: the date is written 2025-07-02"),
        (["state", "--at", "1751464800"], 7, "as seconds since 1970 it would be written 2025-07-02T14:00:00"),
        (["state", "--at", "1751464800000"], 7, "as milliseconds since 1970 it would be written 2025-07-02T"),
        (["state", "--at", "9" * 5000], 2, "999999999999999999… has 5000 digits: no seq has more than 18"),
        (["state", "--at", "١"], 2, "'١' is neither a seq nor a time"),
        (["state", "--at", "2025-07-02T14:30:00.٥Z"], 2, "is neither a seq nor a time"),
        (["events", "--from", "١"], 2, "'١' is neither a seq nor a time"),
        (["events", "--to", "²"], 2, "'²' is neither a seq nor a time"),
        (["why", "١"], 2, "has no order or execution '١'"),
        (["state", "--at", "yesterday"], 2, "neither a seq nor a time"),
        (["state", "--at", ""], 2, "neither a seq nor a time"),
        (["state", "--at", "2025-07-03T25:00:00Z"], 2, "not a time"),
        (["events", "--type", "fileld"], 2, "did you mean filled?"),
        (["events", "--type", "FILELD"], 2, "did you mean filled?"),
        (["events", "--instrument", "ZVXQ"], 2, "did you mean ZVX"),
        (["events", "--strategy", "nobody"], 2, "it has sma_cross, buy_and_hold"),
        (["events", "--follow", "--run", "latest"], 2, "a run is complete"),
        (["orders", "--instrument", "ZVXQ"], 2, "did you mean ZVX"),
        (["orders", "--strategy", "nobody"], 2, "it has sma_cross, buy_and_hold"),
        (["fills", "--instrument", "ZVXQ"], 2, "did you mean ZVX"),
        (["fills", "--order", "nothing"], 2, "has no order 'nothing'"),
        (["export", "out", "--instrument", "ZVXQ"], 2, "did you mean ZVX"),
        (["--log", "", "status"], 2, "--log: expected a directory"),
        (["fills", "--run", "nonesuch"], 7, "the latest are"),
        (["report", "nonesuch"], 7, "the latest are"),
    ],
)
def test_what_is_not_there_is_refused_in_words(tape, sample_log, args, code, says):
    done = tape("--log", sample_log, *args)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("error: ")
    assert says in done.err


def test_the_only_run_is_named_if_it_cannot_be_read_and_not_taken_for_none(tape, log):
    (document,) = log.glob("runs/*/run.json")
    document.write_bytes(document.read_bytes()[:-9])
    done = tape("--log", log, "fills")
    assert (done.code, done.out) == (6, "")
    assert f"{document}: not a run" in done.err
    assert tape("--log", log, "fills", "--run", "log").code == 0


@pytest.mark.parametrize(
    "args", [["status"], ["fills"], ["state"], ["why", "F-1"], ["sql", "SELECT 1"], ["seal"]]
)
def test_a_log_that_is_not_there_is_named_and_not_made(tape, tmp_path, args):
    done = tape("--log", tmp_path / "nolog", *args)
    assert done.code == 7
    assert "there is no log here" in done.err
    assert not (tmp_path / "nolog").exists()


def test_events_are_filtered_by_type_instrument_seq_and_time_and_limited(tape, sample_log):
    def events(*args):
        return tape("--log", sample_log, "events", "--json", "--run", "log", *args).json

    trades = events("--type", "trade", "--instrument", "ZVXA", "--limit", 5)
    assert [row["type"] for row in trades] == ["trade"] * 5
    assert {row["data"]["instrument"] for row in trades} == {"ZVXA"}
    first, last = trades[1], trades[3]
    by_seq = events("--type", "trade", "--instrument", "ZVXA", "--from", first["seq"], "--to", last["seq"])
    assert [row["seq"] for row in by_seq] == [row["seq"] for row in trades[1:4]]
    by_time = events("--type", "Trade", "--instrument", "ZVXA", "--from", first["time"], "--to", last["time"])
    assert {row["seq"] for row in trades[1:4]} <= {row["seq"] for row in by_time}
    assert all(first["ts"] <= row["ts"] <= last["ts"] for row in by_time)


def test_a_known_instrument_without_orders_is_an_empty_answer(tape, sample_log):
    done = tape("--log", sample_log, "orders", "--instrument", "ZVXB", "--json")
    assert (done.code, done.json) == (0, [])


def test_event_types_are_found_in_any_case(tape, sample_log):
    shown = {
        tape("--log", sample_log, "events", "--type", name).out for name in ("filled", "Filled", "FILLED")
    }
    assert len(shown) == 1


def test_a_table_of_events_cuts_long_values_and_json_has_them_whole(tape, sample_log):
    asked = ("--log", sample_log, "events", "--type", "session_started")
    (event,) = tape(*asked, "--json").json
    assert len(event["data"]["config"]) > 200
    assert event["data"]["config"][:100] + "… " in tape(*asked).out
    assert max(map(len, tape(*asked).out.splitlines())) < 700


def test_orders_and_fills_are_shown_where_prices_are_damaged(tape, log):
    whole = [tape("--log", log, verb, "--json").out for verb in ("orders", "fills")]
    (trades,) = log.glob("sealed/*/trade.parquet")
    data = bytearray(trades.read_bytes())
    data[len(data) // 2] ^= 1
    trades.write_bytes(data)
    assert [tape("--log", log, verb, "--json").out for verb in ("orders", "fills")] == whole
    assert tape("--log", log, "positions").code == 6  # its marks are read from there: not guessed


def test_events_say_when_there_are_more(tape, sample_log):
    done = tape("--log", sample_log, "events", "--type", "trade", "--limit", 2, "--run", "log")
    found = re.search(r"there are more; next: tape (.*)", done.err)
    assert found is not None
    assert found[1].startswith(
        f"--log {shlex.quote(str(sample_log))} events --type trade --run log --limit 2 --from "
    )
    trades = tape(
        "--log", sample_log, "events", "--type", "trade", "--limit", 4, "--run", "log", "--json"
    ).json
    rest = tape(*shlex.split(found[1]), "--json").json
    assert rest == trades[2:]


def test_the_next_command_names_the_log_and_the_configuration_that_were_given(tape, sample_log, tmp_path):
    (tmp_path / "my desk.toml").write_text("")
    done = tape("-c", "my desk.toml", "fills", "--log", sample_log)
    assert done.err.endswith(f"next: tape -c 'my desk.toml' --log {shlex.quote(str(sample_log))} why F-1\n")
    assert tape("strategies").err.startswith("next: tape replay")


def test_following_ends_at_the_seq_that_is_named(tape, sample_log):
    asked = ("--log", sample_log, "events", "--type", "trade", "--to", 2000, "--limit", 0, "--json")
    followed = [json.loads(line) for line in tape(*asked, "--follow").out.splitlines()]
    assert followed == tape(*asked).json


def test_following_prints_what_is_there_one_object_a_line(tape, sample_log):
    done = tape("--log", sample_log, "events", "--follow", "--limit", 3, "--json")
    assert done.code == 0
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == [1, 2, 3]


def test_the_log_itself_can_be_looked_at_beside_its_runs(tape, sample_log):
    assert tape("--log", sample_log, "fills", "--run", "log", "--json").json == []
    assert tape("--log", sample_log, "fills", "--run", "latest", "--json").json


def test_status_tells_what_is_held_and_that_nobody_writes(tape, sample_log):
    status = tape("--log", sample_log, "status", "--json").json
    assert status["holder"] == {}
    assert status["sessions"] == ["2025-07-02", "2025-07-03"]
    assert status["runs"]["count"] == 1
    counted = tape("--log", sample_log, "sql", "SELECT count(*) AS n FROM trades", "--json").json[0]["n"]
    assert sum(item["count"] for item in status["coverage"] if item["type"] == "trade") == counted


def test_looking_changes_no_byte_of_the_log(tape, log):
    def contents():
        return {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}

    before = contents()
    for args in (
        ["status"],
        ["fills"],
        ["state"],
        ["events"],
        ["sql", "SELECT count(*) FROM events"],
        ["report"],
    ):
        assert tape("--log", log, *args).code == 0
    assert contents() == before


@pytest.mark.parametrize("words", ["positions", "orders", "fills", "state", "why F-1"])
def test_the_next_command_looks_at_the_same_run(tape, sample_log, words):
    done = tape("--log", sample_log, *words.split(), "--run", "latest")
    assert done.err.rstrip().endswith("--run latest")


def test_status_of_data_without_sessions_names_a_next_step_that_works(tape, tmp_path):
    root = write_unsealed(tmp_path / "log", 30)
    done = tape("--log", root, "status")
    assert done.code == 0, done.err
    _, _, suggested = done.err.strip().partition("next: tape ")
    assert len(tape(*shlex.split(suggested), "--json").json) == 30


def test_status_says_what_a_glance_sees_of_damage_and_names_the_next_step(tape, log):
    assert tape("--log", log, "status", "--json").json["damage"] == []
    [segment] = (log / "hot").iterdir()
    segment.unlink()
    next(log.glob("runs/*/run.json")).write_text("{")
    done = tape("--log", log, "status")
    assert done.code == 0
    told = [line for line in done.err.splitlines() if line.startswith("damaged: ")]
    assert [("was durable" in told[0]), ("run.json" in told[1])] == [True, True]
    assert done.err.splitlines()[-1].endswith("verify")
    assert tape("--log", log, "status", "--json").json["damage"] == [
        line.removeprefix("damaged: ") for line in told
    ]
