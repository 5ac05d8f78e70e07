"""SQL over sealed and hot data: the views agree with the folds, and nothing but reading is possible."""

import shutil
import signal
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import CorruptLog, UsageError
from core.events import BY_TYPE
from eventstore.sql import connection as sql
from eventstore.sql.connection import connect
from eventstore.sql.views import names
from tests.eventstore.sealed_logs import open_log, read_all, write_everything, write_ticks


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sql") / "log"
    journal = open_log(root)
    write_everything(journal)
    write_ticks(journal, 2000)
    journal.roll()
    journal.commit(sync=True)
    write_ticks(journal, 500)
    journal.close()
    journal = open_log(root, sealing=False)
    write_ticks(journal, 300)
    journal.close()
    return root


@pytest.fixture(scope="module")
def log(root):
    with connect(root) as connection:
        yield connection


def test_events_are_all_of_them_hot_and_sealed_once_each(log, root):
    expected = Counter(BY_TYPE[type(entry.event)].tag for entry in read_all(root))
    rows = log.query("SELECT type, count(*) FROM events GROUP BY type").rows
    assert dict(rows) == expected
    assert log.query("SELECT count(*), count(DISTINCT seq), max(seq) FROM events").rows == [
        (expected.total(),) * 3
    ]


def test_hot_rows_are_the_same_in_small_pieces(root, log, monkeypatch):
    whole = log.query("FROM events ORDER BY seq").rows
    monkeypatch.setattr("eventstore.sql.database._HOT_ROWS", 7)
    with connect(root) as fresh:
        assert fresh.query("FROM events ORDER BY seq").rows == whole
        assert len(fresh.query("FROM events").rows) == len(whole), "what was loaded once is not loaded again"


@pytest.mark.parametrize("name", names())
def test_every_view_can_be_read_to_its_end(log, name):
    assert log.query(f"SELECT * FROM {name}").columns


@pytest.mark.parametrize("name", [*names(), "raw.trade", "RAW.Filled", "main.trades", '"bars"'])
def test_every_view_is_there_for_the_first_statement_that_names_it(root, log, name):
    with connect(root) as fresh:
        found = fresh.query(f"WITH x AS (SELECT * FROM {name}) SELECT count(*) FROM x").rows
    assert found == log.query(f"SELECT count(*) FROM {name}").rows


@pytest.mark.parametrize(
    "text",
    [
        "SHOW TABLES",
        "SELECT name FROM (SHOW TABLES)",
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' UNION ALL SELECT 'runs'",
        "SELECT table_name FROM information_schema.tables",
    ],
)
def test_a_statement_about_the_catalogue_finds_all_views(root, text):
    with connect(root) as fresh:
        assert {row[0] for row in fresh.query(text).rows} >= set(names())


@pytest.mark.parametrize("text", ["DESCRIBE trades", "SUMMARIZE fills", "EXPLAIN SELECT * FROM trades"])
def test_a_view_may_be_described_before_it_is_read(root, text):
    with connect(root) as fresh:
        assert fresh.query(text).rows


def test_every_view_exists_in_an_empty_log(tmp_path):
    open_log(tmp_path / "log", sealing=False).close()
    with connect(tmp_path / "log") as connection:
        for name in names():
            assert connection.query(f"SELECT * FROM {name}").rows == []


def test_a_time_keeps_its_nanoseconds(log):
    rows = log.query("SELECT make_timestamp_ns(1700000000123456789) AS time").rows
    assert rows == [("2023-11-14 22:13:20.123456789",)]


def test_amounts_have_no_trailing_zeros(log):
    rows = log.query("SELECT 100::DECIMAL(38, 8), 0.5::DECIMAL(38, 8)").rows
    assert [str(value) for value in rows[0]] == ["100", "0.5"]


def test_the_body_of_an_event_is_json_with_amounts_as_text(log):
    rows = log.query("SELECT body->>'quantity', body->>'side' FROM events WHERE type = 'filled' LIMIT 1").rows
    quantity, side = rows[0]
    assert Decimal(quantity)
    assert side in {"BUY", "SELL"}


REFUSED = [
    "CREATE TABLE x (i INT)",
    "INSERT INTO runs (run) VALUES ('x')",
    "COPY runs TO '{root}/x.csv'",
    "WITH a AS (COPY runs TO '{root}/x.csv') SELECT * FROM a",
    "SELECT * FROM (WITH a AS (COPY runs TO '{root}/x.csv') SELECT * FROM a)",
    "WITH a AS (INSERT INTO runs (run) VALUES ('x') RETURNING *) SELECT * FROM a",
    "EXPLAIN ANALYZE COPY runs TO '{root}/x.csv'",
    "EXPLAIN ANALYZE WITH a AS (COPY runs TO '{root}/x.csv') SELECT * FROM a",
    "/* c */ EXPLAIN ANALYZE COPY runs TO '{root}/x.csv'",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "EXPORT DATABASE '{root}/x'",
    "ATTACH '{root}/x.db'",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "INSTALL httpfs",
    "SELECT 1; SELECT 2",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_text('{root}/../../../../../../etc/passwd')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_csv('http://localhost:9/x.csv')",
    "SELECT * FROM '/etc/passwd'",
    "",
]


@pytest.mark.parametrize("text", REFUSED)
def test_whatever_writes_or_reads_elsewhere_is_refused(log, root, text):
    before = sorted(root.rglob("*"))
    with pytest.raises(UsageError):
        log.query(text.format(root=root))
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    "text",
    [
        "FROM trades LIMIT 1",
        "DESCRIBE trades",
        "SHOW TABLES",
        "SUMMARIZE trades",
        "EXPLAIN SELECT * FROM fills",
        "VALUES (1)",
        "SELECT 1 UNION ALL SELECT 2",
        "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 3) FROM a",
        "SELECT * FROM trades t ASOF JOIN quotes q ON t.instrument = q.instrument AND t.ts >= q.ts LIMIT 1",
        "SELECT unnest([1, 2])",
        "SELECT * FROM range(3) -- a comment",
        "SELECT count(*) FROM read_parquet('{root}/sealed/*/trade.parquet');",
    ],
)
def test_what_only_reads_is_answered(log, root, text):
    assert log.query(text.format(root=root)).rows


def test_an_unknown_table_is_answered_with_the_list_of_views(log):
    with pytest.raises(UsageError, match=r"the views are bars, chain, commissions"):
        log.query("SELECT * FROM tradez")


def test_an_unknown_function_is_not_answered_with_views(log):
    with pytest.raises(UsageError, match=r"name nosuch does not exist!$"):
        log.query("SELECT nosuch(price) FROM trades")


def test_a_pivot_is_told_to_name_its_values_and_then_answered(log):
    with pytest.raises(UsageError, match="IN \\('BUY', 'SELL'\\)"):
        log.query("PIVOT trades ON venue USING sum(size)")
    assert log.query("PIVOT trades ON venue IN ('VA', 'VB') USING sum(size)").rows


def test_a_query_that_takes_too_long_is_stopped_and_the_next_one_works(log):
    with pytest.raises(UsageError, match="took longer than"):
        log.query("SELECT sum(sin(a.range * b.range)) FROM range(1000000) a, range(1000000) b", timeout_s=0.2)
    assert log.query("SELECT 1").rows == [(1,)]


def test_rows_beyond_the_limit_are_cut_and_said_to_be(log):
    result = log.query("SELECT * FROM range(10)", max_rows=3)
    assert (len(result.rows), result.truncated) == (3, True)
    assert not log.query("SELECT * FROM range(3)", max_rows=3).truncated


def test_rows_with_a_time_are_cut_in_the_same_way(log):
    result = log.query("SELECT time, seq FROM trades ORDER BY seq", max_rows=3)
    assert (len(result.rows), result.truncated) == (3, True)
    assert not log.query("SELECT time FROM trades LIMIT 3", max_rows=3).truncated


def test_arrow_and_pandas_give_the_same_rows(log):
    text = "SELECT seq, price FROM trades ORDER BY seq LIMIT 20"
    assert log.arrow(text).num_rows == len(log.df(text)) == len(log.query(text).rows) == 20


def test_refresh_shows_what_came_since(tmp_path):
    journal = open_log(tmp_path / "log")
    write_ticks(journal, 10)
    with connect(tmp_path / "log") as connection:
        write_ticks(journal, 10)
        assert connection.query("SELECT count(*) FROM events").rows == [(10,)]
        connection.refresh()
        assert connection.query("SELECT count(*) FROM events").rows == [(20,)]
    journal.close()


# -- stopping --------------------------------------------------------------------------------------


def test_ctrl_c_stops_a_query_and_nothing_of_it_is_left():
    stopped = threading.Event()

    def query():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert stopped.wait(60)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            sql._waited(query, stopped.set, None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "sql" not in [thread.name for thread in threading.enumerate()]


def test_a_query_whose_time_is_over_is_asked_to_stop_until_it_does():
    asked = []
    stopped = threading.Event()

    def interrupt():
        asked.append(1)
        if len(asked) == 2:
            stopped.set()

    assert sql._waited(lambda: stopped.wait(60), interrupt, 0.01) is True
    assert len(asked) >= 2
    assert "sql" not in [thread.name for thread in threading.enumerate()]


def test_times_with_a_zone_are_text(log, root):
    with connect(root) as connection:
        found = connection.query("SELECT TIMESTAMP '2020-01-01 12:00'::TIMESTAMPTZ AS t, 1 AS n")
        assert (found.rows[0][0][:10], found.rows[0][1]) == ("2020-01-01", 1)
        # Of a time in nanoseconds, such as the views have, it is a type of its own.
        found = connection.query("SELECT TIMESTAMP_NS '2020-01-01 12:00' AT TIME ZONE 'Asia/Tokyo' AS t")
        assert found.rows[0][0][:10] == "2020-01-01"
        try:  # inside a list, DuckDB before 2.0.1 needs a package for zones
            told = [time.tzinfo is not None for time in connection.query("SELECT [now()]").rows[0][0]]
        except UsageError as error:
            told = ["cast them: ::VARCHAR" in str(error)]
        assert told == [True]


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def _exchange(path):
    shutil.copyfile(path.with_name("order_intended.parquet"), path)


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _exchange], ids=["gone", "cut", "exchanged"])
def test_a_query_that_meets_a_damaged_file_says_which_it_is(root, tmp_path, damage):
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    path = sorted((copy / "sealed").glob("*/trade.parquet"))[0]
    damage(path)
    with connect(copy) as log, pytest.raises(CorruptLog, match=rf"{path.name}: .*run `tape verify`"):
        log.query("SELECT sum(price) FROM trades")


def test_seqs_that_are_in_no_file_are_not_counted_as_none(root, tmp_path):
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    shutil.rmtree(sorted((copy / "sealed").iterdir())[0])
    with pytest.raises(CorruptLog, match=r"seqs 1\.\.\d+ are in no file: run `tape verify`"):
        connect(copy)


def test_without_the_look_for_gaps_lost_seqs_would_be_left_out_in_silence(root, tmp_path, monkeypatch):
    """The negative control of the test above."""
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    shutil.rmtree(sorted((copy / "sealed").iterdir())[0])
    monkeypatch.setattr("eventstore.sql.database._check_tiling", lambda *_: None)
    with connect(copy) as log:
        assert log.query("SELECT min(seq) > 1 FROM events").rows == [(True,)]


def test_a_manifest_that_cannot_be_read_at_all_is_worded(root, tmp_path):
    copy = Path(shutil.copytree(root, tmp_path / "log"))
    manifest = next((copy / "sealed").glob("*/seal.json"))
    manifest.unlink()
    manifest.mkdir()
    with pytest.raises(CorruptLog, match=r"seal\.json: cannot be read: .*next: tape verify"):
        connect(copy)


def test_what_does_not_fit_in_memory_is_not_written_where_the_user_works(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [(place, limit)] = log.query(
        "SELECT current_setting('temp_directory'), current_setting('max_temp_directory_size')"
    ).rows
    assert Path(place).is_absolute()
    assert limit == "4.0 GiB"


@pytest.mark.parametrize(
    "text",
    [
        "FROM trades ORDER BY seq",
        "FROM events ORDER BY seq DESC ; ",
        "SELECT 1 AS a, 2 AS a",
        "DESCRIBE trades",
    ],
)
def test_streamed_rows_are_those_of_a_query_and_few_of_them_are_held(log, monkeypatch, text):
    monkeypatch.setattr(sql, "_STREAM_ROWS", 100)
    held: list[int] = []
    rows: list[tuple[object, ...]] = []

    def take(columns, pieces):
        assert columns == log.query(text, max_rows=1).columns if not rows else True
        for piece in pieces:
            held.append(len(piece))
            rows.extend(piece)

    with connect(log.root) as streaming:
        streaming.stream(text, take)
    assert rows == log.query(text).rows
    assert max(held) <= 100


def test_who_takes_no_more_rows_ends_the_query_and_the_connection_goes_on(log):
    def take(columns, pieces):
        next(pieces)
        raise BrokenPipeError

    endless = "SELECT a.time FROM trades a, trades b, trades c, trades d"
    with connect(log.root) as streaming:
        with pytest.raises(BrokenPipeError):
            streaming.stream(endless, take)
        assert streaming.query("SELECT 1").rows == [(1,)]
