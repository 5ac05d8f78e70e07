"""On a real terminal: drawn tables, no colour where none is wanted, and a prompt for SQL."""

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

import cli

pty = pytest.importorskip("pty", reason="pseudo-terminals are a POSIX thing")
ROOT = Path(__file__).resolve().parents[2]


def on_terminal(*args: object, **env: str) -> str:
    """Run a command of this process on a pseudo-terminal, and return what the screen showed."""
    main, inner = pty.openpty()
    shown = bytearray()
    reader = Thread(target=_read_all, args=(main, shown))
    reader.start()
    with pytest.MonkeyPatch.context() as patch, os.fdopen(inner, "w", encoding="utf-8") as screen:
        for name, value in {"TERM": "xterm", "COLUMNS": "160", **env}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", screen)
        patch.setattr(sys, "stderr", screen)
        code = cli.main([str(arg) for arg in args])
    reader.join()
    os.close(main)
    assert code == 0, shown.decode()
    return shown.decode()


def _read_all(terminal: int, shown: bytearray) -> None:
    while True:
        try:
            shown += os.read(terminal, 65_536)
        except OSError:  # the terminal's other end was closed
            return


def typed_on_terminal(typed: str, *args: object) -> str:
    """Run a command as a process on a pseudo-terminal, type something, and return what the screen showed."""
    main, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, args)]
    shown, deadline = bytearray(), time.monotonic() + 60
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment)
    os.close(inner)
    while time.monotonic() < deadline:
        if not select.select([main], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(main, 65_536)
        except OSError:  # the terminal's other end was closed
            break
        shown += piece
        if typed and b"sql> " in shown:
            os.write(main, typed.encode())
            typed = ""
    else:
        process.kill()
    os.close(main)
    assert process.wait(60) == 0, shown.decode()
    return shown.decode()


def test_tables_are_drawn_on_a_terminal_only(sample_log, tape):
    assert "──" in on_terminal("--log", sample_log, "fills")
    assert "──" not in tape("--log", sample_log, "fills").out


def test_a_table_wider_than_the_screen_folds_its_widest_text_and_nothing_else(sample_log):
    lines = on_terminal("--log", sample_log, "orders", COLUMNS="140").splitlines()
    first = next(line for line in lines if "sma_cross-1-1 " in line)
    assert "2025-07-03T" in first
    assert "Filled" in first
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines) <= 140


def test_a_screen_too_narrow_for_a_table_gets_whole_lines(sample_log):
    shown = on_terminal("--log", sample_log, "fills", COLUMNS="60")
    assert any("sma_cross-1-1" in line and "USD" in line and "-04:00" in line for line in shown.splitlines())


def test_no_color_means_no_colour(sample_log):
    shown = on_terminal("--log", sample_log, "fills", NO_COLOR="1")
    assert "\x1b[3" not in shown.replace("\x1b[0m", "")


def test_a_dumb_terminal_gets_plain_text(sample_log):
    assert "──" not in on_terminal("--log", sample_log, "fills", TERM="dumb")


def test_json_on_a_terminal_is_json_all_the_same(sample_log):
    assert '"quantity": "100"' in on_terminal("--log", sample_log, "fills", "--json")


def test_sql_asks_on_a_terminal_and_a_wrong_statement_is_not_the_end(sample_log):
    typed = "SELECT 40 +\n2 AS answer;\nDROP VIEW trades;\nSELECT count(*) AS n FROM runs;\nquit\n"
    shown = typed_on_terminal(typed, "--log", sample_log, "sql")
    assert "sql> " in shown
    assert "42" in shown
    assert "error: the log is read-only" in shown
    assert shown.index("error: ") < shown.rindex("n")
