"""`import truetape`: the log opened from a script, the examples run, a foreign `core` refused."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

import cli
import truetape
from core.errors import DataMissing, UsageError
from core.events import CashAdjusted, SessionStarted
from eventstore.journal.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
LADDER = ROOT / "examples" / "limit_ladder.py"


@pytest.fixture(scope="module")
def root(ib_gateway_log, tmp_path_factory):
    """A log of the sample with two runs on 2025-07-02: buy_and_hold, then the ladder of the examples."""
    root = Path(shutil.copytree(ib_gateway_log, tmp_path_factory.mktemp("examples") / "log"))
    command = ["-q", "--log", str(root), "replay", "2025-07-02", "--set", "instrument=ZVXA"]
    assert cli.main([*command, "--strategy", "buy_and_hold"]) == 0
    assert cli.main([*command, "--strategy", f"{LADDER}:LimitLadder"]) == 0
    return root


@pytest.fixture
def log(root):
    with truetape.open_log(root) as opened:
        yield opened


def python(*args, cwd, path=(ROOT,)):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_notebook_example_runs_as_a_script(root, tmp_path):
    done = python(ROOT / "examples" / "notebook.py", root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for part in ("run ", "end equity", "BUY", "SELL", "at noon", "first fill Filled("):
        assert part in done.stdout


def test_the_ladder_example_uses_limits_modifies_timers_and_cancels(log):
    run = log.run("latest")
    counts = run.summary["types"]
    assert run.summary["strategies"][0]["name"] == "limit_ladder.py:LimitLadder"
    assert counts["modify_intended"] > 10
    assert counts["timer_fired"] > 100
    assert counts["recorded"] > 10
    assert counts["filled"] >= 1
    sells = [e.event for e in log.events(truetape.Filled, run="latest") if e.event.side == "SELL"]
    # Each sale at a profit costs what was paid and 0.10; the last one, at the close, whatever there is.
    assert all(isinstance(fill.price, Decimal) for fill in sells)


def test_every_run_is_listed_oldest_first(log):
    assert [run.summary["strategies"][0]["id"] for run in log.runs()] == ["buy_and_hold", "LimitLadder"]
    assert log.run(log.runs()[0].id).id == log.runs()[0].id
    with pytest.raises(DataMissing, match="is not there"):
        log.run("nonesuch")


def test_sql_answers_as_rows_frames_and_tables(log):
    run = log.runs()[0].id
    asked = log.sql(f"SELECT side, quantity, price FROM fills WHERE run = '{run}'")
    (row,) = asked.rows()
    assert (row["side"], row["quantity"]) == ("BUY", Decimal(100))
    assert asked.df()["side"].tolist() == ["BUY"]
    assert asked.arrow().num_rows == 1
    assert log.sql("SELECT count(*) AS n FROM trades").rows()[0]["n"] > 1000


def test_sql_cannot_change_anything(log):
    with pytest.raises(UsageError):
        log.sql("CREATE TABLE t (x INTEGER)").rows()


def test_events_come_in_order_filtered_and_from_where_they_are_asked(log):
    trades = log.events(truetape.Trade, first=1000)
    first = next(trades)
    assert first.seq >= 1000
    assert isinstance(first.event, truetape.Trade)
    assert next(trades).seq > first.seq
    decided = list(log.events(run="latest"))
    assert [e.seq for e in decided] == sorted(e.seq for e in decided)


def test_events_are_named_by_class_or_by_tag_and_a_wrong_tag_is_no_empty_answer(log):
    by_tag = list(log.events("filled", run="latest"))
    assert by_tag == list(log.events(truetape.Filled, run="latest"))
    assert by_tag
    with pytest.raises(UsageError, match="did you mean filled"):
        next(log.events("fileld"))


def test_the_state_of_a_log_that_traded_is_that_of_its_account(tmp_path):
    journal = Journal.open(tmp_path / "log")
    journal.append(SessionStarted(1, 1, "live", "DU1", "0", "{}", "", "[]", "", "none"))
    journal.append(CashAdjusted(2, "DU1", "USD", Decimal(5000), "deposit"))
    journal.commit(sync=True)
    journal.close()
    with truetape.open_log(tmp_path / "log") as log:
        state = log.state()
        assert (state.cash, state.equity) == (5000, 5000)


def test_a_log_that_stays_open_sees_the_runs_that_come(root, tmp_path):
    place = shutil.copytree(root, tmp_path / "log")
    with truetape.open_log(place) as log:
        before = log.sql("SELECT count(*) AS n FROM runs").rows()
        more = ["-q", "--log", str(place), "replay", "2025-07-03", "--set", "instrument=ZVXA"]
        assert cli.main([*more, "--strategy", "buy_and_hold"]) == 0
        assert (before, log.sql("SELECT count(*) AS n FROM runs").rows()) == ([{"n": 2}], [{"n": 3}])


def test_threads_that_share_a_log_get_each_its_own_answer(log):
    def ask(number):
        return [
            log.sql(f"SELECT {number} AS n, count(*) AS fills FROM fills").rows()[0]["n"] for _ in range(3)
        ]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [[number] * 3 for number in range(4)]


def test_what_a_notebook_shows_of_each_thing_says_what_it_is(log):
    assert re.fullmatch(r"<log .*log: 18\d,\d{3} events, 2 runs>", repr(log))
    assert re.fullmatch(r"<run [0-9a-f]{12} of 2025-07-02>", repr(log.run()))
    assert repr(log.sql("SELECT\n 1")) == "<answer to 'SELECT 1': .df(), .arrow() or .rows()>"
    state = repr(log.state(at="2025-07-02T12:00:00Z"))
    assert state == "<state at 2025-07-02T12:00:00.000Z: 0 positions, 0 working orders, equity 100000>"


def test_the_state_at_a_seq_and_at_a_time(log):
    run = log.runs()[0].id
    (fill,) = log.events(truetape.Filled, run=run)
    before, after = log.state(at=fill.seq - 1, run=run), log.state(at=fill.seq, run=run)
    assert before.positions == []
    assert [order.state for order in before.orders] == ["Submitted"]
    (held,) = after.positions
    assert (held.instrument, held.quantity, held.average_cost) == ("ZVXA", 100, fill.event.price)
    assert after.orders == []
    assert after.cash == before.cash - 100 * fill.event.price
    early = log.state(at="2025-07-02T08:00:00Z", run=run)
    assert (early.positions, early.cash) == ([], Decimal(100000))


def test_the_state_at_the_end_is_what_the_run_says_of_itself(log):
    run = log.runs()[0]
    end = log.state(run=run.id)
    assert end.equity == Decimal(run.summary["end_equity"])
    assert end.ts > run.summary["first_ts"]


def test_a_moment_that_is_none_is_refused(log):
    with pytest.raises(UsageError):
        log.state(at="yesterday")


def test_a_place_without_a_log_is_named(tmp_path):
    with pytest.raises(DataMissing, match="nowhere"):
        truetape.open_log(tmp_path / "nowhere")


def test_everything_that_is_exported_is_there():
    assert [name for name in truetape.__all__ if not hasattr(truetape, name)] == []


def test_importing_truetape_is_light(tmp_path):
    program = "import sys, truetape; print([m for m in ('pandas', 'pyarrow', 'duckdb') if m in sys.modules])"
    assert python("-c", program, cwd=tmp_path).stdout.strip() == "[]"


@pytest.mark.parametrize("layout", ["package", "module"])
def test_a_core_of_the_users_own_is_refused_in_words(tmp_path, layout):
    mine = tmp_path / "mine"
    mine.mkdir()
    if layout == "package":
        (mine / "core").mkdir()
        (mine / "core" / "__init__.py").write_text("")
    else:
        (mine / "core.py").write_text("")
    done = python("-c", "import truetape", cwd=tmp_path, path=(mine, ROOT))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: another package named 'core' is found first: ")
    assert str(mine) in last
    assert "rename it, or put it behind truetape on the path" in last
    assert python("-c", "import truetape", cwd=tmp_path, path=(ROOT, mine)).returncode == 0


def test_a_strategy_file_may_import_its_neighbours_without_shadowing_ours(tmp_path, root):
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "core.py").write_text("raise RuntimeError('never imported')\n")
    shutil.copy(LADDER, folder / "mine.py")
    command = ["-q", "--log", str(root), "replay", "2025-07-02", "--set", "instrument=ZVXA"]
    done = python(ROOT / "cli.py", *command, "--strategy", "mine.py:LimitLadder", cwd=folder)
    assert done.returncode == 0, done.stderr
