"""`import --as signals` as a user types it: the proposal, what is written once, what is refused."""

import pytest

from core.errors import ExitCode
from tests.signals.workbooks import workbook

pytestmark = pytest.mark.signal

ROWS = [
    ("代码", "名称", "权重", "日期", "备注"),
    ("ZVXA", "甲", 0.3, "2025-07-01", "x"),
    ("ZVXB", "乙", 0.15, "2025-07-01", None),
    ("AAPL", "苹果", 0.1, "2025-07-01", None),
]


@pytest.fixture
def book(tmp_path):
    return workbook(tmp_path / "bma.xlsx", *ROWS)


@pytest.fixture
def run(tape, log):
    return lambda *arguments: tape("--log", log, "import", *arguments)


def test_a_dry_run_prints_the_mapping_and_writes_nothing(run, book, tape, log):
    done = run(book, "--as", "signals", "--dry-run")
    assert done.code == 0
    assert "sheet 'BMA', header in line 1: symbol=代码, name=名称, weight=权重, date=日期" in done.err
    assert "not read: '备注'" in done.err
    assert "unknown symbol 'AAPL'" in done.out
    assert tape("--log", log, "sql", "SELECT * FROM signals", "--json").json == []


def test_a_source_without_a_weight_is_told(run, book):
    said = "has no weight in [signals] weights: no composite counts it"
    assert (
        f"signals of lstmm: {said}; did you mean lstm?"
        in run(book, "--as", "signals", "--source", "lstmm").err
    )
    assert said not in run(book, "--as", "signals", "--source", "lstm").err


def test_a_file_is_imported_once_and_its_bad_rows_are_kept(run, book, tape, log):
    first = run(book, "--as", "signals", "--json").json
    assert (first["accepted"], len(first["rejections"])) == (2, 1)
    again = run(book, "--as", "signals", "--json").json
    assert (again["accepted"], again["duplicates"]) == (0, 3)
    query = "SELECT source, instrument, value FROM signals ORDER BY instrument"
    rows = tape("--log", log, "sql", query, "--json").json
    assert [tuple(row.values()) for row in rows] == [("bma", "ZVXA", 1.0), ("bma", "ZVXB", 0.5)]
    kept = tape("--log", log, "events", "--run", "log", "--type", "row_rejected", "--json").json
    assert [event["data"]["line"] for event in kept] == [4]


def test_a_file_without_a_good_row_is_told_by_the_exit_code_each_time(run, tape, log, tmp_path):
    path = workbook(tmp_path / "bad.xlsx", ("symbol", "weight", "date"), ("NONE", 1, "2025-07-01"))
    for more in (("--dry-run",), (), (), ("--json",)):
        done = run(path, "--as", "signals", *more)
        assert done.code == 1
        assert "no row was accepted: all 1 were rejected" in done.err


def test_symbols_may_be_mapped_in_the_configuration(run, book, tape, log, tmp_path):
    config = tmp_path / "map.toml"
    config.write_text(
        '[[signals.file]]\npath = "bma.xlsx"\nsource = "bma"\nsymbols = {AAPL = "ZVXC"}\n', encoding="utf-8"
    )
    done = tape("-c", config, "--log", log, "import", book, "--as", "signals", "--json").json
    assert [signal["instrument"] for signal in done["signals"]] == ["ZVXA", "ZVXB", "ZVXC"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "a b"], "--source 'a b'"),
        (["--date", "today"], "--date today"),
        (["--scale", "10..0"], "--scale 10..0"),
        (["--scale", "0..nan"], "--scale 0..nan"),
        (["--volatility", "2"], "did you mean 0.02?"),
        (["--volatility", "nan"], "--volatility nan"),
        (["--sheet", "x"], "no sheet 'x'; it has 'BMA'"),
        (["--map", "symbol"], "expected FIELD=COLUMN"),
        (["--symbol", "X"], "--symbol: not with --as signals"),
        (["--format", "csv"], "--format: not with --as signals"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_remedy(arguments, said, run, book):
    done = run(book, "--as", "signals", *arguments)
    assert done.code == ExitCode.USAGE
    assert said in done.err


def test_options_of_signals_are_refused_without_as_signals(run, book):
    done = run(book, "--format", "csv", "--dry-run", "--scale", "0..5")
    assert done.code == ExitCode.USAGE
    assert "--dry-run, --scale: only with --as signals" in done.err


def test_without_a_log_there_is_nothing_to_look_symbols_up_in(tape, book, tmp_path):
    done = tape("--log", tmp_path / "none", "import", book, "--as", "signals")
    assert done.code == ExitCode.DATA_MISSING


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("weights = {bma = 5}", "did you mean 0.05?"),
        ("weights = {bma = 0.0}", "at least one weight above 0"),
        ("weights = {bma = nan}", "finite|from 0 to 1"),
        ('weights = {"a b" = 0.5}', "name of a source"),
        ("weights = 3", "weights"),
        ("half_life = {bma = 0}", "seconds from 1"),
        ("half_life_s = 0", "half_life_s"),
        ("stale_below = 5", "did you mean 0.05?"),
        ("k = 0", "k = 0"),
        ("k = inf", "finite"),
        ("volatility = 2", "did you mean 0.02?"),
        ("valid_days = -1", "valid_days"),
        ("poll = 1", 'did you mean "poll_s"?'),
        ("file = [{path = 'x'}]", "needs a key 'source'"),
        ("file = [{path = 'x', source = '1'}]", "name of a source"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(line, said, tape, log, tmp_path):
    config = tmp_path / "bad.toml"
    config.write_text(f"[signals]\n{line}\n", encoding="utf-8")
    done = tape("-c", config, "--log", log, "status")
    assert done.code == ExitCode.USAGE
    assert "bad.toml:2" in done.err
    assert any(part in done.err for part in said.split("|"))


def test_a_threshold_of_5_is_refused_with_what_was_meant(tape, log, tmp_path):
    config = tmp_path / "bad.toml"
    config.write_text("[trading]\nsignal_threshold = 5\n", encoding="utf-8")
    assert "did you mean 0.05?" in tape("-c", config, "--log", log, "status").err
