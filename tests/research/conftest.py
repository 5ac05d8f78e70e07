"""A small log of one instrument, and strategies in files, as users write them."""

from pathlib import Path

import cli

START_S = 9 * 3600 + 31 * 60


def price(index: int) -> float:
    """A walk that swings: enough crossings in a short file, without a random number."""
    return round(50 + ((index * 37) % 101) / 100 + abs(index % 60 - 30) / 20, 2)


def rows(days: list[str], count: int, step_s: int) -> str:
    """Trades of the regular session: `count` a day, `step_s` apart."""
    lines = ["ts,price,size"]
    for number, day in enumerate(days):
        for index in range(count):
            second = START_S + index * step_s
            clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            lines.append(f"{day} {clock},{price(index + number * 17)},{100 + index % 7}")
    return "\n".join(lines) + "\n"


def make_log(directory: Path, days: list[str], count: int, step_s: int) -> Path:
    """Import trades of an instrument ABC into `directory/tape-log`."""
    file, root = directory / "trades.csv", directory / "tape-log"
    file.write_text(rows(days, count, step_s), "utf-8")
    command = ["-q", "--log", str(root), "import", str(file), "--symbol", "ABC"]
    assert cli.main([*command, "--timezone", "America/New_York", "--exchange", "XNYS"]) == 0
    return root


def make_bar_log(directory: Path, day: str, names: list[str], count: int) -> Path:
    """Import minute bars of some instruments, each with a walk of its own, into `directory/tape-log`."""
    root = directory / "tape-log"
    for number, name in enumerate(names):
        lines = ["ts,open,high,low,close,volume"]
        for index in range(count):
            second = START_S + index * 60
            opens, closes = (price(7 * number + place) for place in (index, index + 1))
            ohlc = f"{opens},{max(opens, closes)},{min(opens, closes)},{closes}"
            lines.append(f"{day} {second // 3600:02}:{second // 60 % 60:02}:00,{ohlc},{100 + index % 7}")
        file = directory / f"{name}.csv"
        file.write_text("\n".join(lines) + "\n", "utf-8")
        command = ["-q", "--log", str(root), "import", str(file), "--symbol", name, "--kind", "bars"]
        command += ["--resolution", "minute", "--bar-time", "start"]
        assert cli.main([*command, "--timezone", "America/New_York", "--exchange", "XNYS"]) == 0
    return root
