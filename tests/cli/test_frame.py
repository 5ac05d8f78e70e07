"""The frame around all verbs: help, global options, exit codes, streams and encodings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import cli
from core.errors import (
    ConfigError,
    CorruptLog,
    DataMissing,
    ExitCode,
    InvalidEvent,
    LogDead,
    LogLocked,
    StrategyRaised,
    TapeError,
    UnknownInstrument,
    UnknownPlugin,
    UnknownStrategy,
    UsageError,
)

ROOT = Path(__file__).resolve().parents[2]


def tape(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the real command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, str(ROOT / "cli.py"), *args]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, timeout=60, check=False)


def run(*args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, stdout and stderr."""
    code = cli.main(list(args))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_shows_every_verb_under_its_group(capsys):
    code, out, _ = run("--help", capsys=capsys)
    assert code == 0
    for group, verbs in cli.GROUPS.items():
        start = out.index(f"\n{group}:\n")
        assert all(f"\n  {verb} " in out[start:] for verb in verbs)


def test_help_imports_nothing_of_the_project_but_the_command_line_itself(tmp_path):
    code = "import sys, cli; cli.main(['--help']); print(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint({"app", "core", "eventstore", "adapters", "projections"})
    assert loaded.isdisjoint(
        {"msgspec", "rich", "duckdb", "pyarrow", "numpy", "pandas", "difflib", "importlib_metadata"}
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no processor time of children")
def test_help_costs_little_more_than_importing_click():
    """By processor time, in turns: both meet the same company on a busy machine."""
    import resource  # noqa: PLC0415  # not on Windows

    def cost_s(*command: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ours, clicks = [], []
    for _ in range(15):
        ours.append(cost_s("cli.py", "--help"))
        clicks.append(cost_s("-c", "import click"))
        if len(ours) >= 3 and min(ours) < 1.9 * min(clicks):
            break  # company makes a process dearer, never cheaper: what is cheap once is cheap
    assert min(ours) < 1.9 * min(clicks)


@pytest.mark.parametrize("verb", [verb for verbs in cli.GROUPS.values() for verb in verbs])
def test_every_verb_has_help_and_takes_json(verb, capsys):
    code, out, _ = run(verb, "--help", capsys=capsys)
    assert code == 0
    assert f"tape {verb}" in out
    assert "--json" in out


def test_an_unknown_verb_is_a_usage_error_with_the_likely_one(capsys):
    code, out, err = run("positons", capsys=capsys)
    assert (code, out) == (2, "")
    assert "no verb 'positons'; did you mean 'positions'?" in err


@pytest.mark.parametrize("args", [["--nonsense"], ["config", "--nonsense"], ["config", "extra"], ["why"]])
def test_wrong_options_and_arguments_are_usage_errors(args, capsys):
    code, out, err = run(*args, capsys=capsys)
    assert (code, out) == (2, "")
    assert "Error: " in err


@pytest.mark.parametrize("args", [["--json", "config"], ["config", "--json"]])
def test_global_options_stand_before_or_after_the_verb(args, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(*args, "--log", "here", capsys=capsys)
    assert code == 0
    assert json.loads(out)["settings"]["log.path"] == {"value": "here", "origin": "--log"}


def test_configuration_files_before_and_after_the_verb_are_all_read_in_order(capsys, tmp_path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text("[replay]\ncash = 1\nlatency_ms = 1\n")
    second.write_text("[replay]\ncash = 2\n")
    _, out, _ = run("-c", str(first), "config", "-c", str(second), "--json", capsys=capsys)
    settings = json.loads(out)["settings"]
    assert settings["replay.cash"] == {"value": "2", "origin": f"{second}:2"}
    assert settings["replay.latency_ms"] == {"value": 1, "origin": f"{first}:3"}


def test_a_wrong_configuration_ends_in_2_and_names_file_and_line(capsys, tmp_path):
    path = tmp_path / "trading.toml"
    path.write_text("[risk_management]\nmax_positon_size = 0.05\n")
    code, out, err = run("-c", str(path), "config", "--json", capsys=capsys)
    assert (code, out) == (2, "")
    assert (
        f'{path}:2: [risk_management] unknown key "max_positon_size"; did you mean "max_position_size"?'
        in err
    )


def test_json_is_alone_on_stdout_and_quiet_silences_hints(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, out, err = run("config", "--json", capsys=capsys)
    assert json.loads(out)
    assert "next: tape " in err
    assert run("-q", "config", "--json", capsys=capsys)[2] == ""


ERRORS: dict[type[TapeError], int] = {
    UsageError: 2,
    ConfigError: 2,
    InvalidEvent: 2,
    UnknownInstrument: 2,
    UnknownPlugin: 2,
    UnknownStrategy: 2,
    LogLocked: 6,
    CorruptLog: 6,
    LogDead: 6,
    DataMissing: 7,
    StrategyRaised: 8,
}


@pytest.fixture
def failing(monkeypatch):
    """A verb `config` that raises what it is told to."""

    def arrange(error: BaseException) -> None:
        def fail() -> None:
            raise error

        command = click.Command("config", callback=fail)
        monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: command)

    return arrange


@pytest.mark.parametrize("kind", ERRORS)
def test_each_error_ends_with_its_own_exit_code_and_only_its_message(kind, failing, capsys):
    failing(kind("the place: the value: the next step"))
    code, out, err = run("config", capsys=capsys)
    assert (code, out, err) == (ERRORS[kind], "", "error: the place: the value: the next step\n")


def test_an_unforeseen_exception_is_a_bug_in_one_line_and_details_come_with_v(failing, capsys):
    failing(ZeroDivisionError("no\nway"))
    code, _, err = run("config", capsys=capsys)
    assert code == ExitCode.BUG
    assert err.startswith("bug: ZeroDivisionError: no way\n")
    assert "Traceback" not in err
    assert "-v" in err
    assert "Traceback" in run("-v", "config", capsys=capsys)[2]


def test_an_interrupt_ends_in_130(failing, capsys):
    failing(KeyboardInterrupt())
    code, _, err = run("config", capsys=capsys)
    assert code == ExitCode.INTERRUPTED
    assert "Traceback" not in err


_INTERRUPTING = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "click":
            {before}
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
import cli
"""


def interrupted_import(before):
    program = [sys.executable, "-c", _INTERRUPTING.format(before=before)]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_an_interrupt_while_modules_are_imported_ends_like_a_later_one():
    done = interrupted_import("pass")
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")


def test_without_the_hook_an_interrupted_import_is_told_with_a_traceback():
    done = interrupted_import("sys.excepthook = sys.__excepthook__")
    assert "KeyboardInterrupt" in done.stderr
    assert done.returncode != ExitCode.INTERRUPTED


def test_an_interrupt_before_click_takes_over_ends_in_130_too(monkeypatch, capsys):
    def main(*_args, **_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.tape, "main", main)
    assert run("config", capsys=capsys) == (ExitCode.INTERRUPTED, "", "")
    assert sys.excepthook is not cli._leave  # of use to the command alone


def test_help_as_a_verb_is_told_how_to_ask(capsys):
    assert "no verb 'help'; tape --help lists the verbs" in run("help", capsys=capsys)[2]


def test_a_command_that_an_error_names_is_for_the_same_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("status", capsys=capsys)[2].count("next: tape replay 2025-07-02 ") == 1
    (tmp_path / "my.toml").touch()
    _, _, err = run("-c", "my.toml", "--log", "a log", "status", capsys=capsys)
    assert "next: tape -c my.toml --log 'a log' replay 2025-07-02 " in err
    _, _, err = run("sql", "SELECT 1", "--log", "other", capsys=capsys)
    assert "`tape --log other import` or `tape --log other replay` makes one" in err


def test_a_termination_signal_ends_in_143_and_lets_the_verb_clean_up(tmp_path):
    program = (
        "import os, signal, sys, click, cli\n"
        "def verb():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        signal.pause()\n"
        "    finally:\n"
        "        print('cleaned up')\n"
        "cli.Verbs.get_command = lambda *_: click.Command('config', callback=verb)\n"
        "sys.exit(cli.main(['config']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "cleaned up\n", "")


def test_output_that_the_terminal_cannot_show_is_replaced_not_fatal(tmp_path):
    (tmp_path / "tape.toml").write_text('[trading]\nwatchlist = ["né\U0001f600 纸带"]\n', "utf-8")
    done = tape("config", cwd=tmp_path, PYTHONIOENCODING="gbk")
    assert done.returncode == 0, done.stderr
    assert "纸带".encode("gbk") in done.stdout
    assert tape("config", cwd=tmp_path, PYTHONIOENCODING="ascii").returncode == 0


def test_a_reader_that_goes_away_is_a_normal_end(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, str(ROOT / "cli.py"), "config"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert b"BrokenPipe" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_no_bug_wherever_it_comes_up(tmp_path):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), "strategies"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == ExitCode.STORE
    assert b"error: No space left on device (errno 28)" in done.stderr
    assert b"bug" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_stderr_that_takes_nothing_still_gives_an_exit_code(tmp_path):
    command = [sys.executable, str(ROOT / "cli.py"), "--log", str(tmp_path / "none"), "status"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, stdout=full, timeout=60, check=False).returncode == 7


def test_a_closed_stdout_is_no_bug(tmp_path):
    command = ["sh", "-c", 'exec "$0" "$1" strategies >&-', sys.executable, str(ROOT / "cli.py")]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, b"bug" in done.stderr) == (0, False)


def test_a_replay_that_is_stopped_keeps_no_run_and_says_so(tape, morning, monkeypatch):
    def stopped(self):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr("app.replay.watched.WatchedSource.batches", stopped)
    done = tape("--log", morning, "replay", "2025-07-02")
    assert (done.code, done.out) == (ExitCode.INTERRUPTED, "")
    assert "stopped; no run is kept" in done.err
    assert list((morning / "runs").iterdir()) == []
