"""Results that LEAN states, reproduced: orders, fees and end equity to the cent, drawdown as printed."""

from decimal import Decimal

import pytest

from app.replay.planning import DataOptions
from app.report.building import opened
from tests.published.conftest import cents, drawdown_pct, net_profit_pct
from tests.published.lean import ALL_HOURS, DAILY, MINUTE, MORE, PUBLISHED, RATES, WEEK, YEARS

D = Decimal

pytestmark = pytest.mark.shared_data


def lean_drawdown(log, run):
    """Return the drawdown as LEAN counts and prints it, in per cent."""
    with opened(log, run) as material:
        return material.report.figures["lean_drawdown"] * 100


@pytest.mark.parametrize(
    "algorithm", [*PUBLISHED, *(pytest.param(name, marks=pytest.mark.extended) for name in MORE)]
)
def test_a_published_result_comes_out_to_the_cent(algorithm, lean_log, play):
    strategy, parameters, period, feed, orders, fees, equity, drawdown = (PUBLISHED | MORE)[algorithm]
    data = DataOptions(extended_hours=algorithm in ALL_HOURS)
    run = play(lean_log, strategy, period, feed, parameters=parameters, data=data)
    told = run.summary
    assert told["orders"] == orders
    assert cents(told["commissions"]) == D(fees)
    assert cents(told["end_equity"]) == D(equity)
    assert drawdown is None or lean_drawdown(lean_log, run) == D(drawdown)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("strategy", "parameters", "commission", "orders", "fees", "equity", "drawdown"),
    [
        ("in_and_out.py:InAndOut", {}, "zero", 2, "0.00", "99952.34", None),
        ("basic_template.py:BasicTemplate", {"share": 0.25}, "0.0035 each", 1, "0.60", "100423.24", "0.5"),
    ],
)
def test_other_commissions_come_out_to_the_cent(
    strategy, parameters, commission, orders, fees, equity, drawdown, lean_log, play
):
    """ZeroFeeRegression and BasicTemplateAxos."""
    run = play(lean_log, strategy, WEEK, MINUTE, parameters=parameters, commission=commission)
    told = run.summary
    assert (told["orders"], cents(told["commissions"])) == (orders, D(fees))
    assert cents(told["end_equity"]) == D(equity)
    assert drawdown is None or lean_drawdown(lean_log, run) == D(drawdown)


@pytest.mark.extended
def test_an_order_withdrawn_as_it_is_given_never_fills(lean_log, play):
    """CompleteOrderTagUpdate, of which the net profit was published."""
    told = play(lean_log, "withdrawn.py:Withdrawn", WEEK, MINUTE).summary
    assert (told["orders"], told["fills"], cents(told["commissions"])) == (2, 1, D("1.00"))
    assert net_profit_pct(told) == D("0.251")
    assert drawdown_pct(told) == D("0.300")


@pytest.mark.extended
@pytest.mark.parametrize("algorithm", YEARS)
def test_years_of_days_come_out_to_the_cent(algorithm, lean_years, play):
    strategy, parameters, period, cash, orders, fees, equity, drawdown = YEARS[algorithm]
    told = play(lean_years, strategy, period, DAILY, parameters=parameters, cash=D(cash)).summary
    assert (told["orders"], cents(told["commissions"])) == (orders, D(fees))
    assert cents(told["end_equity"]) == D(equity)
    assert drawdown_pct(told) == D(drawdown)


def test_the_report_of_a_run_at_adjusted_prices_adds_up(lean_log, play):
    """Marks and arrival prices are adjusted as the fills are: the log holds raw ones, some 15 % higher."""
    run = play(lean_log, "basic_template.py:BasicTemplate", WEEK, MINUTE)
    with opened(lean_log, run) as material:
        (position,) = material.report.positions
        profit = position.open_profit - D(run.summary["commissions"])
        assert D(run.summary["start_equity"]) + profit == D(run.summary["end_equity"])
        assert abs(float(material.report.figures["slippage_bps"])) < 1
        assert max(material.facts.prices("SPY", 50).values) < 150


@pytest.mark.extended
@pytest.mark.parametrize("algorithm", RATES)
def test_the_report_has_the_published_annual_return_and_turnover(algorithm, lean_log, play):
    strategy, parameters, period, feed, annual, turnover = RATES[algorithm]
    data = DataOptions(extended_hours=algorithm in ALL_HOURS)
    run = play(lean_log, strategy, period, feed, parameters=parameters, data=data)
    with opened(lean_log, run) as material:
        figures = material.report.figures
    assert annual is None or f"{figures['annual_return']:.3%}" == annual
    assert f"{figures['turnover']:.2%}" == turnover
