"""`tape import` and `tape seal`: counts, bad rows, repetition, interruption, and a log held elsewhere."""

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.replay.tables.instruments import define
from adapters.replay.tables.options import TableOptions
from adapters.replay.tables.table import plan_tables
from app.operation.writing import writing
from eventstore import control
from tests.faults.journals import event_of
from tests.importers.lean_files import write_zip

ROOT = Path(__file__).resolve().parents[2]
COUNTS = ("read", "accepted", "rejected", "duplicates")


@pytest.fixture
def trades(tmp_path):
    path = tmp_path / "abc.csv"
    path.write_text(
        "Time,Price,Qty\n"
        "2024-01-03 09:30:00.1,10.5,100\n"
        "2024-01-03 09:30:00.1,10.5,100\n"
        "2024-01-03 09:30:00.2,-1,100\n"
        "2024-01-03 09:30:01.2,nan,5\n"
        "2024-01-03 09:30:02.2,11,50\n"
    )
    return path


TABLE = ["--symbol", "ABC", "--timezone", "America/New_York", "--exchange", "XNYS"]


def big_csv(path: Path, rows: int) -> Path:
    """Write trades of one day, long enough that an import can be caught in the middle."""
    start = 34_200_000
    lines = (
        f"2024-01-03 {(ms := start + i * 20) // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}"
        f".{ms % 1000:03d},{100 + i % 50 / 100},{1 + i % 9}"
        for i in range(rows)
    )
    path.write_text("Time,Price,Qty\n" + "\n".join(lines) + "\n")
    return path


def spawn(*args: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, args)]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Tests that run as a shell's background job ignore SIGINT, and so would their children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("sealed_elsewhere")
def test_an_import_counts_every_row_once(tape, trades, tmp_path):
    done = tape("--log", tmp_path / "log", "import", trades, *TABLE, "--json")
    assert done.code == 0
    assert [done.json[key] for key in COUNTS] == [5, 3, 2, 0]
    assert [(item["line"], item["file"]) for item in done.json["rejections"]] == [
        (4, "abc.csv"),
        (5, "abc.csv"),
    ]
    assert all(item["reason"] for item in done.json["rejections"])


def test_rejected_rows_are_shown_and_kept(tape, trades, tmp_path):
    done = tape("--log", tmp_path / "log", "import", trades, *TABLE)
    assert "negative price -1" in done.out
    rows = tape("--log", tmp_path / "log", "events", "--type", "row_rejected", "--json").json
    assert [row["data"]["line"] for row in rows] == [4, 5]
    again = tape("--log", tmp_path / "log", "import", trades, *TABLE).out
    assert again.endswith("nothing is new: the log has every row already\n")


def test_an_import_that_rejects_every_row_ends_with_a_code_and_a_word(tape, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("Time,Price,Qty\n2024-01-03 09:30:00.2,-1,100\n2024-01-03 09:30:01.2,nan,5\n")
    done = tape("--log", tmp_path / "log", "import", path, *TABLE)
    assert (done.code, "no row was accepted: all 2 were rejected" in done.err) == (1, True)
    again = tape("--log", tmp_path / "log", "import", path, *TABLE)
    assert (again.code, "all 2 were rejected, when they came first" in again.err) == (1, True)


def test_the_same_file_again_changes_nothing(tape, trades, tmp_path):
    tape("--log", tmp_path / "log", "import", trades, *TABLE)
    done = tape("--log", tmp_path / "log", "import", trades, *TABLE, "--json")
    assert [done.json[key] for key in COUNTS] == [5, 0, 0, 5]
    count = "SELECT count(*) AS n FROM trades"
    assert tape("--log", tmp_path / "log", "sql", count, "--json").json == [{"n": 3}]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ([], 2, "say what to import"),
        (["abc.json"], 2, "abc.json: the ending does not say what this is"),
        (["--format", "lean"], 2, "--root"),
        (["--format", "lean", "--root", "nowhere", "--symbol", "IBM"], 7, "no such folder"),
        (["--format", "sample", "--date", "2025-07-04"], 7, "2025-07-02 and 2025-07-03"),
        (["missing.csv"], 7, "missing.csv: no such file"),
        (["abc.csv"], 2, "--symbol"),
        (["abc.csv", "--symbol", "ABC"], 2, "--timezone"),
        (["abc.csv", *TABLE, "--map", "price"], 2, "FIELD=COLUMN"),
        (["abc.csv", *TABLE, "--map", "price=Cost"], 2, "Cost"),
        (["abc.csv", *TABLE, "--timezone", "Mars/Base"], 2, "Mars/Base"),
        (["abc.csv", *TABLE, "--exchange", "XNYC"], 2, "'XNYC' has no trading calendar; did you mean XNYS"),
        (["header.csv", *TABLE], 2, "header.csv: holds no rows"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_leaves_no_log(tape, trades, tmp_path, args, code, says):
    (tmp_path / "header.csv").write_text("ts,price,size\n")
    done = tape("--log", tmp_path / "log", "import", *args, "--json")
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert not (tmp_path / "log").exists()


def test_files_without_a_row_are_said_to_have_none(tape, tmp_path):
    write_zip(tmp_path / "equity/usa/tick/abc/20131007_trade.zip", "")
    done = tape(
        "--log", tmp_path / "log", "import", "--format", "lean", "--root", tmp_path, "--symbol", "ABC"
    )
    assert done.code == 0
    assert "the files hold no rows: equity/usa/tick/abc/20131007_trade.zip" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -9), (signal.SIGINT, 130)],
    ids=["kill", "int"],
)
def test_an_import_that_is_stopped_goes_on_when_run_again(tape, tmp_path, number, code):
    rows = 80_000
    path, log = big_csv(tmp_path / "big.csv", rows), tmp_path / "log"
    with spawn("--log", log, "import", path, *TABLE) as process:
        wait_for(
            lambda: (
                (log / "hot").is_dir() and sum(p.stat().st_size for p in (log / "hot").iterdir()) > 500_000
            )
        )
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert ("the same command goes on from here" in err) == (number == signal.SIGINT)
    done = tape("--log", log, "import", path, *TABLE, "--json")
    assert done.code == 0
    assert done.json["read"] == rows
    assert 0 < done.json["resumed"] < rows
    assert done.json["accepted"] == rows - done.json["resumed"]
    counted = tape(
        "--log", log, "sql", "SELECT count(*) AS n, count(DISTINCT seq) AS d FROM trades", "--json"
    ).json
    assert counted == [{"n": rows, "d": rows}]
    assert tape("--log", log, "verify").code == 0


def wait_for(condition, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the other process did not get there"
        time.sleep(0.005)


HOLDER = """
import select, sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from app.operation.writing import writing
from core.events import Trade

with writing(Path(sys.argv[1])) as writer:
    writer.journal.extend([Trade(i, "f", "ABC", 10.0, 1.0) for i in range(1, 1001)])
    writer.journal.commit(sync=True)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        writer.serve()
        writer.journal.commit(sync=False)
"""


def test_a_log_that_is_being_written_names_its_holder_and_takes_a_seal(tape, trades, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", HOLDER, str(log)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        status = tape("--log", log, "status", "--json").json
        refused = tape("--log", log, "import", trades, *TABLE)
        counted = tape("--log", log, "sql", "SELECT count(*) AS n FROM trades", "--json").json
        sealed = tape("--log", log, "seal", "--json")
        after = tape("--log", log, "status", "--json").json
        process.communicate("stop")
    assert process.returncode == 0
    assert status["holder"]["pid"] == process.pid
    assert (refused.code, refused.out) == (6, "")
    assert f"held by process {process.pid}" in refused.err
    assert counted == [{"n": 1000}]
    assert sealed.code == 0, sealed.err
    assert (sealed.json["events"], sealed.json["by"]) == (1000, f"process {process.pid}")
    assert (status["sealed_seq"], after["sealed_seq"]) == (0, 1000)
    assert tape("--log", log, "status", "--json").json["holder"] == {}


def test_a_holder_that_does_not_answer_is_named(tape, tmp_path):
    log = tmp_path / "log"
    deaf = HOLDER.replace("writer.serve()", "pass")
    command = [sys.executable, "-c", deaf, str(log)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = tape("--log", log, "seal", "--timeout", 0.2)
        process.communicate("stop")
    assert done.code == 6
    assert f"process {process.pid} holds the log and did not answer within 0.2 s" in done.err
    assert list((log / "control").iterdir()) == []


@pytest.mark.parametrize("verb", [("seal",), ("halt", "--timeout", 600)])
def test_what_a_holder_was_asked_is_done_here_if_it_ends_before(tape, tmp_path, monkeypatch, verb):
    held, waited = ExitStack(), control.wait
    journal = held.enter_context(writing(tmp_path / "log")).journal
    journal.append(event_of(1))
    journal.commit(sync=True)

    def ends(*args, **options):
        held.close()
        return waited(*args, **options)

    monkeypatch.setattr(control, "wait", ends)
    done = tape("--log", tmp_path / "log", *verb, "--json")
    assert (done.code, done.json["by"]) == (0, "this command")
    assert list((tmp_path / "log" / "control").iterdir()) == []


@pytest.mark.usefixtures("sealed_elsewhere")
def test_sealing_without_a_writer_seals_all_and_again_nothing(tape, log):
    first = tape("--log", log, "seal", "--json").json
    assert tape("--log", log, "seal", "--json").json["events"] == 0
    assert tape("--log", log, "status", "--json").json["sealed_seq"] >= first["sealed_seq"]


def test_a_directory_that_cannot_be_written_is_a_store_error(tape, trades, tmp_path):
    if os.geteuid() == 0:
        target = Path("/proc/nothing")
    else:
        target = tmp_path / "locked" / "log"
        target.parent.mkdir(mode=0o500)
    done = tape("--log", target, "import", trades, *TABLE)
    assert done.code == 6
    assert str(target) in done.err


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--tick-size", "abc", "a number above 0"),
        ("--tick-size", "0", "a number above 0"),
        ("--price-steps", "0.05", "expected EDGE:STEP"),
        ("--multiplier", "nan", "a number above 0"),
        ("--multiplier", "-50", "a number above 0"),
        ("--currency", "dollars", "three capital letters"),
        ("--security-type", "BOND", "STK, FUT, OPT, CASH, IND"),
        ("--expiry", "2026-13-01", "a last trading day"),
        ("--strike", "-1", "a number above 0"),
        ("--right", "X", "C or P"),
    ],
)
def test_what_no_instrument_can_be_is_refused_before_a_log_is_made(
    tape, trades, tmp_path, option, value, expected
):
    done = tape("--log", tmp_path / "log", "import", trades, *TABLE, option, value)
    assert done.code == 2
    assert f"{option} {value!r}: expected" in done.err
    assert expected in done.err
    assert not Path(tmp_path / "log" / "sealed").exists()


def test_a_reason_stays_short_however_long_the_value_was(tape, tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(
        "Time,Price,Qty\n2024-01-03 09:30:00,10," + "x" * 100_000 + "\n2024-01-03 09:30:01,10,5\n"
    )
    done = tape("--log", tmp_path / "log", "import", path, *TABLE)
    assert done.code == 0
    assert "rejected     1" in done.out
    assert max(map(len, done.out.splitlines())) < 600


def test_a_directory_is_not_taken_for_a_file_that_is_missing(tape, tmp_path):
    done = tape("--log", tmp_path / "log", "import", tmp_path, "--format", "csv", "--symbol", "ABC")
    assert done.code == 7
    assert "is a directory: name the files in it" in done.err


def test_rejected_rows_are_shown_by_line_whatever_was_wrong_with_them(tape, tmp_path):
    rows = ["2025-07-02T10:00:00,1,-5", "2025-07-02T10:00:01,x,5", "2025-07-02T10:00:02,1,-6", "short"]
    (tmp_path / "bad.csv").write_text("\n".join(["ts,price,size", "2025-07-02T09:59:00,1,1", *rows]))
    done = tape("--log", tmp_path / "log", "import", "bad.csv", *TABLE, "--json")
    assert [item["line"] for item in done.json["rejections"]] == [3, 4, 5, 6]


def test_the_way_to_the_other_rejected_rows_leads_there_although_there_are_runs(tape, log, tmp_path):
    (tmp_path / "bad.csv").write_text("ts,price,size\n2025-07-02T09:59:00,1,1\n" + "short\n" * 30)
    done = tape("--log", log, "import", "bad.csv", *TABLE)
    command = done.out.partition("more: tape ")[2].splitlines()[0]
    assert tape(*shlex.split(command)).out.count("row_rejected") == 30


def test_status_after_an_import_names_a_replay_that_works(tape, trades, tmp_path):
    assert tape("--log", tmp_path / "log", "import", "abc.csv", *TABLE).code == 0
    done = tape("--log", tmp_path / "log", "status")
    command = done.err.partition("next: tape ")[2]
    assert tape(*shlex.split(command)).code == 0


CONTRACTS = [
    (
        ("ES-202612", "--security-type", "FUT", "--expiry", "20261218", "--multiplier", "50"),
        ("FUT", "ES", "2026-12-18", None, None, "50"),
    ),
    (("ES-20261218", "--security-type", "FUT"), ("FUT", "ES", "2026-12-18", None, None, "1")),
    (("ES-202612", "--security-type", "FUT"), ("FUT", "ES", None, None, None, "1")),
    (
        ("AAPL-20231215-C-190.5", "--security-type", "OPT", "--multiplier", "100"),
        ("OPT", "AAPL", "2023-12-15", "190.5", "C", "100"),
    ),
    (
        ("MYPUT", "--strike", "190", "--right", "put", "--expiry", "2023-12-15", "--underlying", "AAPL"),
        ("OPT", "AAPL", "2023-12-15", "190", "P", "1"),
    ),
    (("ES-202612", "--security-type", "STK"), ("STK", "ES-202612", None, None, None, "1")),
]


@pytest.mark.parametrize(("options", "expected"), CONTRACTS)
def test_an_expired_contract_is_defined_by_its_name_and_the_options(tmp_path, options, expected):
    name, *rest = options
    path = tmp_path / "one.csv"
    path.write_text("time,price,size\n2023-12-01T15:00:00Z,10,1\n")
    given = {key[2:].replace("-", "_"): value for key, value in pairwise(rest) if key.startswith("--")}
    table = TableOptions(instrument=name, **given)
    (plan,) = plan_tables([path], "csv", table)
    found = define(table, name, 0, "UNLISTED", "UTC")
    kind, symbol, expiry, strike, right, multiplier = expected
    assert (found.kind, found.symbol, found.expiry, found.right) == (kind, symbol, expiry, right)
    assert (found.strike, found.multiplier) == (strike and Decimal(strike), Decimal(multiplier))
    assert (f"{kind} " in plan.describe()) == (kind != "STK")


REFUSED_CONTRACTS = [
    (("AAPL-20231215-C-190",), "is it an option, as its name says"),
    (("ES-202612",), "--security-type STK if it is a share"),
    (("XYZ", "--security-type", "OPT", "--strike", "1"), "--expiry DATE, --right C|P must be known"),
    (("ES-202612", "--security-type", "FUT", "--expiry", "2026-11-18"), "the name ES-202612 says 202612"),
    (("A-20231215-C-190", "--security-type", "OPT", "--right", "P"), "--right P: the name"),
    (("XYZ", "--security-type", "FUT", "--strike", "5"), "--strike: only of --security-type OPT"),
    (("XYZ", "--expiry", "2026-11-18"), "add --security-type FUT or OPT"),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED_CONTRACTS)
def test_what_a_contract_cannot_be_is_refused_before_a_log_is_made(tape, tmp_path, options, expected):
    (tmp_path / "one.csv").write_text("time,price,size\n2023-12-01T15:00:00Z,10,1\n")
    done = tape("--log", tmp_path / "log", "import", "one.csv", "--symbol", *options)
    assert (done.code, expected in done.err) == (2, True), done.err
    assert not (tmp_path / "log").exists()


def test_contracts_that_a_column_names_are_told_apart_and_bad_names_cost_their_rows(tape, tmp_path):
    rows = [
        f"2023-12-01T15:{i // 60:02}:{i % 60:02}Z,A-20231215-{'CP'[i % 2]}-190,{i + 1},1" for i in range(240)
    ]
    rows.append("2023-12-01T16:00:00Z,B,1,1")
    (tmp_path / "chain.csv").write_text("time,symbol,price,size\n" + "\n".join(rows))
    options = ("--security-type", "OPT", "--multiplier", "100")
    done = tape("--log", tmp_path / "log", "import", "chain.csv", *options, "--json")
    assert (done.json["accepted"], done.json["rejected"]) == (240, 1)
    assert "B: of an option, --expiry DATE" in done.json["rejections"][0]["reason"]
    query = "SELECT instrument, expiry, strike, put_call FROM instruments ORDER BY 1"
    found = tape("--log", tmp_path / "log", "sql", query.replace("put_call", '"right"'), "--json").json
    assert [(row["instrument"], row["expiry"], row["right"]) for row in found] == [
        ("A-20231215-C-190", "2023-12-15", "C"),
        ("A-20231215-P-190", "2023-12-15", "P"),
    ]
    refused = tape("--log", tmp_path / "log", "import", "chain.csv", *options, "--strike", "5")
    assert (refused.code, "the rows are of several instruments" in refused.err) == (2, True)
