"""`tape sql`: what it prints, and what it refuses."""

import io
import sys

import pytest


def test_rows_are_objects_with_exact_amounts_as_text(tape, sample_log):
    rows = tape(
        "--log", sample_log, "sql", "SELECT price, quantity FROM fills ORDER BY seq LIMIT 2", "--json"
    ).json
    assert len(rows) == 2
    assert all(isinstance(row["price"], str) and "E" not in row["price"] for row in rows)


def test_csv_has_a_header_and_one_row_a_line(tape, sample_log):
    done = tape("--log", sample_log, "sql", "SELECT 1 AS a, 'x,y' AS b, NULL AS c", "--csv")
    assert done.out == 'a,b,c\n1,"x,y",\n'


def test_equal_column_names_are_numbered_so_that_none_is_lost(tape, sample_log):
    assert tape("--log", sample_log, "sql", "SELECT 1 AS a, 2 AS a", "--json").json == [{"a": 1, "a_2": 2}]


def test_a_query_is_read_from_stdin(tape, sample_log, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 7 AS n"))
    assert tape("--log", sample_log, "sql", "-", "--json").json == [{"n": 7}]


@pytest.mark.parametrize(
    "begin", ["-- how many\n", "--how many\n", "-- a\n-- b\n", "--\n", "-- max-rows=1\n"]
)
def test_a_statement_may_begin_with_a_comment(tape, sample_log, begin):
    done = tape("--log", sample_log, "sql", f"{begin}SELECT 1 AS one", "--json", "--max-rows", "5")
    assert done.json == [{"one": 1}], done.err
    assert tape("--log", sample_log, "sql", "--", f"{begin}SELECT 1 AS one", "--json").code == 2
    assert tape("--log", sample_log, "sql", "--json", "--", f"{begin}SELECT 1 AS one").json == [{"one": 1}]


@pytest.mark.parametrize("option", ["--csvv", "--max-row", "--max-rows 3"])
def test_a_misspelt_option_is_no_comment(tape, sample_log, option):
    done = tape("--log", sample_log, "sql", option, "SELECT 1")
    assert (done.code, f"No such option '{option}'" in done.err) == (2, True)


def test_a_comment_alone_is_no_statement(tape, sample_log):
    done = tape("--log", sample_log, "sql", "-- SELECT 1")
    assert (done.code, "no statement was given" in done.err) == (2, True)


def test_without_a_terminal_nothing_is_asked(tape, sample_log):
    done = tape("--log", sample_log, "sql")
    assert done.code == 2
    assert "give a QUERY" in done.err


def test_more_rows_than_asked_for_are_cut_and_said_to_be(tape, sample_log):
    done = tape("--log", sample_log, "sql", "SELECT * FROM range(10)", "--max-rows", 3, "--json")
    assert len(done.json) == 3
    assert "only the first 3 rows" in done.err


@pytest.mark.parametrize("form", ["--json", "--csv"])
@pytest.mark.parametrize("query", ["FROM fills ORDER BY seq", "FROM fills LIMIT 0", "SELECT 1 AS a, 2 AS a;"])
def test_all_rows_are_printed_in_the_bytes_of_some(tape, sample_log, form, query):
    some = tape("--log", sample_log, "sql", query, form)
    every = tape("--log", sample_log, "sql", query, form, "--max-rows", 0)
    assert (every.code, every.out) == (0, some.out)


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE x (i INT)",
        "INSERT INTO runs (run) VALUES ('x')",
        "DROP VIEW trades",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'other.db'",
        "SELECT 1; DROP VIEW trades",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM nothing",
        "SELEC 1",
        "",
    ],
)
def test_what_writes_or_reads_elsewhere_or_is_wrong_is_refused(tape, sample_log, tmp_path, query):
    done = tape("--log", sample_log, "sql", query, "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("query", ["", "  ", ";"])
def test_no_statement_is_called_that(tape, sample_log, query):
    done = tape("--log", sample_log, "sql", query)
    assert done.code == 2
    assert done.err.startswith("error: no statement was given")


def test_a_query_that_takes_too_long_is_ended(tape, sample_log):
    done = tape(
        "--log",
        sample_log,
        "sql",
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(100000) b",
        "--timeout",
        0.3,
    )
    assert done.code == 2
    assert "longer than 0.3 s" in done.err
    assert "--timeout SECONDS" in done.err


def test_a_plan_is_drawn_as_it_is(tape, sample_log):
    done = tape("--log", sample_log, "sql", "EXPLAIN SELECT count(*) FROM trades")
    lines = done.out.splitlines()
    assert lines[0][0] in "┌╭"
    assert "explain_value" not in done.out
    (row,) = tape("--log", sample_log, "sql", "EXPLAIN SELECT count(*) FROM trades", "--json").json
    assert row["explain_value"].splitlines() == lines


def test_csv_and_json_exclude_each_other(tape, sample_log):
    assert tape("--log", sample_log, "sql", "SELECT 1", "--csv", "--json").code == 2


def test_a_table_cuts_what_no_screen_holds_and_json_and_csv_do_not(tape, sample_log):
    query = "SELECT run, document, repeat('x', 200) AS whole FROM runs"
    done = tape("--log", sample_log, "sql", query)
    assert max(map(len, done.out.splitlines())) < 500
    assert "x" * 200 in done.out
    assert done.err.count("values longer than 200 characters are cut; --json and --csv print them whole") == 1
    (row,) = tape("--log", sample_log, "sql", query, "--json").json
    assert len(row["document"]) > 1000
    assert len(tape("--log", sample_log, "sql", query, "--csv").out) > 1000
    assert "are cut" not in tape("--log", sample_log, "sql", "SELECT run FROM runs").err
