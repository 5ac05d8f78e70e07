"""Bars from sources that are no broker. `yfinance` is stood in for by a module of the same interface."""

import sys

import pytest

YFINANCE = '''"""Stands in for yfinance: `Ticker.history` its arguments, index and columns. No traffic."""
import pandas as pd


class Ticker:
    def __init__(self, symbol):
        self.symbol = symbol

    def history(self, *, start, end, interval, auto_adjust, actions, prepost):
        assert (auto_adjust, actions, prepost) == (False, False, False)
        zone = "America/New_York"
        if interval == "1d":
            index = pd.date_range(start, end, freq="D", tz=zone, inclusive="left")
        else:
            index = pd.date_range(f"{start} 09:30", f"{start} 09:40", freq="min", tz=zone, inclusive="left")
        prices = {"Open": 10.0, "High": 11.0, "Low": 9.0, "Close": 10.5, "Adj Close": 10.4, "Volume": 100}
        return pd.DataFrame(prices, index=index)
'''
SOURCE = '''from truetape import DataSource


class Mine(DataSource):
    """Mine."""

    def bars(self, symbol, bar, first, last):
        {body}
'''
COMMAND = ("fetch", "ACME", "--from", "2025-07-01", "--to", "2025-07-02", "--exchange", "NYSE", "--json")


@pytest.fixture
def yfinance(tmp_path, monkeypatch):
    """Write what stands in for the package, where it is imported from."""

    def write(text):
        (tmp_path / "fake").mkdir()
        (tmp_path / "fake" / "yfinance.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / "fake")

    monkeypatch.setitem(sys.modules, "yfinance", None)  # what is there after the test is forgotten
    monkeypatch.delitem(sys.modules, "yfinance")
    return write


@pytest.mark.parametrize(("bar", "count"), [("1day", 2), ("1min", 10)])
def test_bars_of_yfinance_are_a_feed_of_their_own_and_come_once(bar, count, tape, yfinance):
    yfinance(YFINANCE)
    command = [*COMMAND, "--bar", bar, "--source", "yfinance"]
    done = tape(*command)
    assert done.code == 0, done.err
    told = done.json
    assert (told["accepted"], told["rejected"], told["feed"]) == (count, 0, f"yfinance/{bar}")
    assert tape(*command).json["accepted"] == 0


def test_without_the_package_it_says_what_to_install(tape, tmp_path, yfinance):
    yfinance("raise ImportError('no such package')")
    done = tape(*COMMAND, "--source", "yfinance")
    assert (done.code, "pip install 'truetape[yahoo]'" in done.err) == (2, True)
    assert not (tmp_path / "tape-log").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1 / 0", "mine.py:8: ZeroDivisionError"),
        ("raise SystemExit(3)", "mine.py:8: SystemExit"),
        ("return None", "TypeError"),
        ("return []", "no bars of ACME"),
        ("import datetime; return [(datetime.datetime(2025, 7, 1), 1, 1, 1, 1, 1)]", "has no zone"),
    ],
)
def test_a_source_that_fails_is_named_and_leaves_no_log(body, said, tape, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(SOURCE.format(body=body))
    done = tape(*COMMAND, "--source", "Mine")
    assert done.code in (2, 7)
    assert said in done.err
    assert not (tmp_path / "tape-log").exists()


def test_a_bad_bar_is_rejected_and_the_others_are_taken(tape, tmp_path):
    (tmp_path / "plugins").mkdir()
    body = "return [(first, 10, 11, 9, 10, 5), (last, 10, 9, 11, float('nan'), 5)]"
    (tmp_path / "plugins" / "mine.py").write_text(SOURCE.format(body=body))
    done = tape(*COMMAND, "--bar", "1day", "--source", "Mine")
    assert (done.json["accepted"], done.json["rejected"], done.json["feed"]) == (1, 1, "Mine/1day")


def test_an_unknown_symbol_needs_an_exchange_and_broker_options_do_not_go_along(tape):
    done = tape("fetch", "ACME", "--from", "2025-07-01", "--source", "yfinance")
    assert (done.code, "--exchange NYSE" in done.err) == (2, True)
    done = tape(*COMMAND, "--source", "yfinance", "--port", "4002")
    assert (done.code, "--port: not with --source" in done.err) == (2, True)
