"""`tape sql --run`: the orders of one run alone; and a word where those of several come together."""

import pytest

PAID = "SELECT sum(commission) AS paid, count(*) AS fills FROM fills"


@pytest.fixture
def two(tape, morning):
    """Replay the morning twice, with other sizes; return what each paid, by run."""
    paid = {}
    for quantity in (100, 300):
        asked = ["--strategy", "sma_cross", "--set", "instrument=ZVXA", "--set", f"quantity={quantity}"]
        told = tape("--log", morning, "replay", "2025-07-02", *asked, "--json").json
        paid[told["run"]] = {"paid": told["commissions"], "fills": told["fills"]}
    return paid


def test_a_run_is_asked_alone_and_without_it_a_note_says_that_several_are_added_up(tape, morning, two):
    for run, expected in two.items():
        done = tape("--log", morning, "sql", "--run", run, PAID, "--json")
        assert done.json == [expected]
        assert "together" not in done.err
    latest = list(two)[-1]
    assert tape("--log", morning, "sql", "--run", "latest", "SELECT run FROM runs", "--json").json == [
        {"run": latest}
    ]
    every = tape("--log", morning, "sql", PAID, "--json")
    assert every.json[0]["fills"] == sum(one["fills"] for one in two.values())
    assert "fills has the rows of 2 runs together; --run latest" in every.err
    assert "together" not in tape("--log", morning, "sql", f"{PAID} GROUP BY run").err
    assert "together" not in tape("--log", morning, "sql", "SELECT count(*) FROM trades").err


def test_the_log_itself_has_no_fills_of_runs_and_all_have_its_market_data(tape, morning, two):
    assert tape("--log", morning, "sql", "--run", "log", PAID, "--json").json == [{"paid": None, "fills": 0}]
    trades = "SELECT count(*) AS n FROM trades"
    counts = [tape("--log", morning, "sql", "--run", one, trades, "--json").json for one in ("log", *two)]
    assert counts[0][0]["n"] > 100
    assert counts == [counts[0]] * 3
    done = tape("--log", morning, "sql", "--run", "nix", trades)
    assert (done.code, "run 'nix' is not there" in done.err) == (7, True)
