"""Results of backtesting.py's guides, reproduced on its nine years of days."""

from decimal import Decimal

import pytest

from core.events import AccountMarked
from tests.conftest import PROJECT
from tests.logs import events_of
from tests.published.conftest import EXAMPLES, cents, fills

NINE_YEARS = "2004-08-19..2013-03-01"

D = Decimal

pytestmark = pytest.mark.shared_data


def paid_by_trades(run, still_open):
    """Return what closed trades paid at 0.2 %: what opened a position that is still held does not count."""
    entries = sum(fill.quantity * fill.price * D("0.002") for fill in still_open)
    return cents(str(D(run.summary["commissions"]) - entries))


def test_sma_cross_of_backtesting_py_comes_out_to_the_cent(goog_log, play):
    run = play(goog_log, "sma_cross.py:SmaCross", NINE_YEARS, cash=D(10_000), commission="zero")
    assert cents(run.summary["end_equity"]) == D("51422.99")
    done = fills(run)
    assert len(done) == 2 * 66
    gains = [(out.price - into.price) * (1 if into.side == "BUY" else -1)
             for into, out in zip(done[::2], done[1::2], strict=True)]  # fmt: skip
    assert round(100 * sum(gain > 0 for gain in gains) / len(gains), 2) == 46.97
    # The peak is of closes: marks are made each minute, after the open and after the close.
    assert max(cents(str(mark.equity)) for mark in events_of(run, AccountMarked)) == D("75787.44")


@pytest.mark.parametrize(
    ("slow", "trades", "paid", "peak", "final"),
    [
        (20, 93, "10563.95", "56309.06", "56263.52"),
        pytest.param(15, 152, "30771.04", "84982.19", "77829.05", marks=pytest.mark.extended),
    ],
)
def test_sma_cross_pays_a_rate_of_the_value_to_the_cent(slow, trades, paid, peak, final, goog_log, play):
    """The two results of backtesting.py's Quick Start guide. It counts what closed trades paid."""
    terms = {"slow": slow, "share": 1.0, "rate": 0.002, "last_day": "never"}
    period = NINE_YEARS
    options = {"cash": D(10_000), "commission": "0.2 %", "parameters": terms}
    run = play(goog_log, "sma_cross.py:SmaCross", period, **options)
    done = fills(run)
    assert (len(done), cents(run.summary["end_equity"])) == (2 * trades + 1, D(final))
    assert paid_by_trades(run, done[2 * trades :]) == D(paid)
    # The peak is of closes; marks are made after the opens, too.
    assert D(peak) in {cents(str(mark.equity)) for mark in events_of(run, AccountMarked)}


@pytest.mark.extended
def test_a_search_over_the_guides_grid_finds_its_best(goog_log, tape):
    """The same guide searches the 50 pairs of 5 to 25 and 10 to 65 for the highest final equity."""
    done = tape(
        *("--log", goog_log, "optimize", f"{EXAMPLES}/sma_cross.py:SmaCross", NINE_YEARS),
        *("--range", "fast=5:25:5", "--range", "slow=10:65:5", "--where", "fast < slow"),
        *("--set", "share=1", "--set", "rate=0.002", "--set", "last_day=never"),
        *("--cash", 10_000, "--commission", "0.2 %", "--objective", "return", "--every", "day", "--json"),
    )
    assert (done.json["counts"]["trials"], done.json["counts"]["failed"]) == (50, 0)
    best = done.json["rows"][0]
    assert best["parameters"] == {"fast": 10, "slow": 15}
    assert round(100 * best["score"], 2) == 678.29


@pytest.mark.parametrize(
    ("terms", "trades", "open_at_end", "paid", "peak", "final"),
    [
        ({}, 4, 0, "156.64", "10940.25", "9939.03"),
        pytest.param(
            {"weekly": 10, "level": 60.0},
            22,
            1,
            "1343.28",
            "22500.98",
            "21903.22",
            marks=pytest.mark.extended,
        ),
    ],
)
def test_two_time_frames_of_backtesting_py_come_out_to_the_cent(
    terms, trades, open_at_end, paid, peak, final, goog_log, play
):
    """The page Multiple Time Frames, and the best of its search there."""
    strategy = PROJECT / "tests/published/time_frames.py"
    options = {"cash": D(10_000), "commission": "0.2 %", "parameters": terms}
    run = play(goog_log, f"{strategy}:TimeFrames", NINE_YEARS, **options)
    done = fills(run)
    assert (len(done), cents(run.summary["end_equity"])) == (2 * trades + open_at_end, D(final))
    assert paid_by_trades(run, done[2 * trades :]) == D(paid)
    assert D(peak) in {cents(str(mark.equity)) for mark in events_of(run, AccountMarked)}
