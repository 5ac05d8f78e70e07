"""Rubbish on the command line: refused before any work, with the place, the value and what was expected."""

import fcntl
import json
import os
import resource
import shutil
import stat

import click
import pytest

import cli
from app.gateway.request import parse_balance, parse_speed
from app.values import counted
from core.errors import UsageError

HUGE = "99999999999999999999999"
SEARCH = ("optimize", "sma_cross", "2025-07-03")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("replay", ""), 2, "a run's name is empty"),
        (("replay", "yesterday"), 7, "run 'yesterday' is not there"),
        (("replay", "20250702"), 7, "; dates are written 2025-07-02"),
        (("replay", "02.07.2025"), 2, "nor the id of a run"),
        (("report", ""), 2, "a run's name is empty"),
        (("compare", "latest", " "), 2, "a run's name is empty"),
        (("events", "--limit", HUGE), 2, f"{HUGE} is not in the range"),
        (("sql", "SELECT 1", "--max-rows", HUGE), 2, f"{HUGE} is not in the range"),
        (("events", "--from", "5", "--to", "3"), 2, "--from 5 is after --to 3"),
        (("events", "--from", "2025-07-03", "--to", "2025-07-02"), 2, "--from 2025-07-03 is after"),
        (("export", "out.csv", "--type", "trade", "--from", "9", "--to", "3"), 2, "--from 9 is after --to 3"),
        (("state", "--at", "2025-07-02T14:30:00+99:00"), 2, "is not a time; expected such as"),
        (("positions", "--strategy", "x"), 2, "--strategy: only with tape positions adopt"),
        (("positions", "adopt", "ZVXA", "--strategy", "x", "--all"), 2, "not with adopt"),
        (("live", "--demo", "monday"), 2, "'monday' is no date"),
        (("lookahead", "sma_cross", "--allow", "gone.txt"), 2, "'gone.txt' does not exist"),
        ((*SEARCH, "--set", "instrument=ZVXA", "--range", "fast=1:999999999"), 2, "a grid of 999,999,999"),
        ((*SEARCH, "--range", "fast=1:2"), 2, "needs a value for 'instrument': --set instrument=…, or"),
        ((*SEARCH, "--range", "fast=1:2", "--set", "slwo=3"), 2, "did you mean 'slow'?"),
        ((*SEARCH, "--range", "fast=1:2", "--set", "fast=3"), 2, "'fast' has a value by --set"),
        (
            (*SEARCH, "--range", "fast=1:2", "--set", "instrument=ZVXA", "--heatmap", "fast,slow"),
            2,
            "only fast is",
        ),
        ((*SEARCH, "--range", "fast=1:2", "--html", "gone/page.html"), 2, "there is no directory"),
        (("events", "--limit", "１２"), 2, "'１２' is not a number in the digits 0 to 9"),
        (("replay", "2025-07-03", "--cash", "١٠٠"), 2, "--cash ١٠٠: expected an amount such as 100000"),
        (("replay", "2025-07-03", "--latency-ms", "٥"), 2, "'٥' is not a number in the digits 0 to 9"),
        ((*SEARCH, "--range", "fast=1:９:２"), 2, "'９': expected int"),
        ((*SEARCH, "--range", "fast=1:9:２"), 2, "the step '２': expected a number in the digits"),
        (("preview", "ZVXA", "BUY", "１００"), 2, "QUANTITY １００: expected a number in the digits 0 to 9"),
        (("import", "."), 2, ".: is a folder"),
        (("import", "picks.xlsx"), 2, "picks.xlsx: workbooks and .npz files hold signals: add --as signals"),
    ],
)
def test_what_makes_no_sense_is_refused(tape, sample_log, args, code, message):
    done = tape("--log", sample_log, *args)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


VERBS = [verb for verbs in cli.GROUPS.values() for verb in verbs]


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_that_is_a_number_takes_digits_of_other_scripts(verb):
    context = click.Context(cli.tape)
    for option in cli.tape.get_command(context, verb).params:
        if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType) and not getattr(
            option, "count", False
        ):
            with pytest.raises(click.BadParameter, match="digits 0 to 9"):
                option.type.convert("１２", option, context)


@pytest.mark.parametrize(("parse", "text"), [(parse_speed, "６０"), (parse_balance, "EUR=５@1")])
def test_a_gateway_takes_no_digits_of_other_scripts(parse, text):
    with pytest.raises(UsageError, match="expected"):
        parse(text)


EXACT = """
from decimal import Decimal
from truetape import Parameters, Strategy, Subscription


class Amounts(Parameters):
    amount: Decimal = Decimal(1)
    steps: list[Decimal] = []


class Exact(Strategy[Amounts]):
    def subscriptions(self):
        return [Subscription("ZVXA")]
"""


@pytest.mark.parametrize("setting", ["amount=١٢", "amount=１２", "steps=1,２"])
def test_a_parameter_that_is_an_exact_number_takes_no_digits_of_other_scripts(
    tape, sample_log, tmp_path, setting
):
    (tmp_path / "exact.py").write_text(EXACT, "utf-8")
    asked = ("--log", sample_log, "replay", "2025-07-03", "--strategy", "exact.py:Exact", "--set")
    done = tape(*asked, setting)
    assert done.code == 2
    assert "expected a number in the digits 0 to 9" in done.err


def test_an_amount_of_a_configuration_takes_no_digits_of_other_scripts(tape, sample_log, tmp_path):
    (tmp_path / "own.toml").write_text('[replay]\ncash = "１２"\n', "utf-8")
    done = tape("-c", "own.toml", "--log", sample_log, "status")
    assert done.code == 2
    assert "expected an amount in the digits 0 to 9" in done.err


@pytest.mark.parametrize("content", [b"class X\n", bytes(range(256)), b"\x00"])
def test_a_strategy_file_that_is_no_python_is_named(tape, tmp_path, content):
    (tmp_path / "mine.py").write_bytes(content)
    done = tape("strategies", "mine.py:X")
    assert done.code == 1
    assert f"does not load: {tmp_path / 'mine.py'}" in done.out
    assert "None" not in done.out


@pytest.mark.parametrize("command", ["halt", "resume", "flatten", "accept"])
def test_the_operator_without_a_log_is_told_that_there_is_none(tape, command):
    done = tape(command, "--reason", "x", "--log", "nowhere")
    assert done.code == 7
    assert "nowhere: there is no log here" in done.err


@pytest.mark.parametrize(
    "args",
    [
        ("--log", "x" * 300, "status"),
        ("report", "--html", "x" * 300),
        ("import", f"{'x' * 300}.xlsx", "--as", "signals"),
        ("strategies", f"{'x' * 300}.py"),
        ("gateway", "2025-07-03", "--book", "x" * 300),
    ],
)
def test_a_name_that_no_file_can_have_is_no_bug_of_ours(tape, sample_log, args):
    done = tape(*args) if "--log" in args else tape("--log", sample_log, *args)
    assert done.code == 2
    assert "File name too long" in done.err
    assert "bug" not in done.err


def test_a_host_that_no_name_can_be_is_a_broker_that_is_not_there(tape):
    done = tape("preview", "ABC", "BUY", "1", "--host", "x" * 100)
    assert done.code == 3
    assert "cannot connect" in done.err


@pytest.mark.parametrize(
    "args", [("--log", "file", "replay", "2025-07-02"), ("init", "file"), ("--log", "file", "status")]
)
def test_a_file_where_a_directory_belongs_is_named(tape, tmp_path, args):
    (tmp_path / "file").write_text("mine")
    done = tape(*args)
    assert done.code in {2, 7}
    assert "director" in done.err
    assert "making it" not in done.err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_page_goes_through_a_link_and_leaves_a_device_what_it_is(tape, sample_log, tmp_path):
    (tmp_path / "link.html").symlink_to("page.html")
    assert tape("--log", sample_log, "report", "--html", "link.html").code == 0
    assert (tmp_path / "link.html").is_symlink()
    assert "<html" in (tmp_path / "page.html").read_text()
    os.mkfifo(tmp_path / "pipe.html")
    reader = os.open(tmp_path / "pipe.html", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 1 << 20)  # it takes the whole page
    try:
        assert tape("--log", sample_log, "compare", "latest", "--html", "pipe.html").code == 0
        assert os.read(reader, 5).startswith(b"<")
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe.html").stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_disk_that_is_full_is_no_fault_of_the_command_line(tape, sample_log, tmp_path):
    (tmp_path / "page.html").symlink_to("/dev/full")
    done = tape("--log", sample_log, "compare", "latest", "--html", "page.html")
    assert done.code == 6
    assert "--html page.html: cannot be written: No space left on device; free some space" in done.err


def test_what_could_not_be_written_whole_is_not_in_the_way(tmp_path):
    from app.configuration.migrating import write_new  # noqa: PLC0415
    from app.plugins.scaffold import scaffold  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # files end there: as on a full disk
    try:
        with pytest.raises(UsageError, match="nothing was kept"):
            scaffold(tmp_path / "project")
        with pytest.raises(UsageError, match="cannot write it"):
            write_new(tmp_path / "new.toml", "x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert scaffold(tmp_path / "project")


@pytest.mark.parametrize(("count", "text"), [(0, "0 copies"), (1, "1 copy"), (1200, "1,200 copies")])
def test_numbers_go_with_their_nouns(count, text):
    assert counted(count, "copy", "copies") == text


def test_the_command_that_follows_a_list_of_strategies_can_be_run(tape, ib_gateway_log, tmp_path):
    shutil.copytree(ib_gateway_log, tmp_path / "log")
    done = tape("strategies", "sma_cross")
    (told,) = [line for line in done.err.splitlines() if line.startswith("next: tape ")]
    assert tape("--log", "log", *told.split()[2:], "--json").code == 0


def test_a_parameter_with_a_value_is_not_searched_by_its_declared_limits(tape, sample_log, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from typing import Annotated\nfrom msgspec import Meta\n"
        "from truetape import Parameters, Strategy\n\n\n"
        "class P(Parameters, frozen=True):\n    instrument: str\n"
        "    fast: Annotated[int, Meta(ge=1, le=2)] = 1\n    slow: Annotated[int, Meta(ge=5, le=6)] = 5\n\n\n"
        "class Mine(Strategy[P]):\n    def on_start(self):\n        pass\n"
    )
    from app.optimize.space import axes  # noqa: PLC0415
    from app.plugins.discovery import find  # noqa: PLC0415

    kind = find("mine.py:Mine").type
    assert [axis.name for axis in axes(kind, (), ())] == ["fast", "slow"]
    assert [axis.name for axis in axes(kind, (), (), {"slow"})] == ["fast"]


def test_a_connection_that_fails_is_told_once(tape, tmp_path):
    (tmp_path / "tape.toml").write_text("[ibkr]\nport = 1\n")
    done = tape("check", "--connect", "--json")
    assert done.code == 1
    (point,) = [row for row in json.loads(done.out) if row["check"] == "connection"]
    assert "start TWS" not in point["found"]
    assert "start TWS" in point["remedy"]
