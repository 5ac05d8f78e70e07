"""Exposure, the day's result, drawdown and the order rate, from events alone."""

import pytest
from msgspec.structs import replace

from core.events import AccountMarked, CashAdjusted, FxRateReported, SessionScheduled, Trade
from projections.account import Account
from projections.positions import Positions
from projections.quotes import Quotes
from projections.risk import Exposure, Risk
from tests.projections.build import ACCOUNT, D, feed, feed_all, fill, future, intent, stock

pytestmark = pytest.mark.risk

SECOND = 1_000_000_000


def session(date, begin, end):
    return SessionScheduled(begin, "NYSE", date, "America/New_York", begin, begin, end, end)


def marked(ts, equity):
    return AccountMarked(ts, ACCOUNT, "USD", None if equity is None else D(str(equity)), D(0))


def cash(ts, amount, reason="deposit"):
    return CashAdjusted(ts, ACCOUNT, "USD", D(str(amount)), reason)


def build(*events, kind=Risk):
    quotes, positions = Quotes(), Positions()
    account = Account(quotes, positions)
    risk = kind(positions, account, "NYSE")
    feed_all((quotes, positions, account, risk), *events)
    return risk


DAYS = (session("d1", 0, 100), session("d2", 200, 300))


def test_exposure_is_signed_by_instrument_and_counts_a_future_in_full():
    risk = build(
        stock(), future(), fill("1", "BUY", 10, 50), fill("2", "SELL", 1, 5000, instrument="IDX-202509"),
        Trade(2, "f", "ACME", 51.0, 1.0), Trade(2, "f", "IDX-202509", 5001.0, 1.0),
    )  # fmt: skip
    by_instrument = {"ACME": D(510), "IDX-202509": D(-250050)}
    assert risk.exposure(ACCOUNT, "USD") == Exposure(D(250560), D(-249540), by_instrument)


def test_exposure_without_a_mark_is_unknown():
    assert build(stock(), fill("1", "BUY", 10, 50)).exposure(ACCOUNT, "USD") is None


def test_the_day_starts_from_the_last_equity_of_the_day_before():
    risk = build(*DAYS, marked(10, 1000), marked(90, 1040))
    assert risk.day_pnl(ACCOUNT, "USD") == D(40)
    feed(risk, marked(210, 1030))
    assert risk.day_pnl(ACCOUNT, "USD") == D(-10)


def test_a_deposit_is_neither_profit_nor_a_new_peak():
    risk = build(*DAYS, marked(10, 1000), cash(20, 500), marked(30, 1490))
    assert risk.day_pnl(ACCOUNT, "USD") == D(-10)
    assert risk.peak_equity(ACCOUNT, "USD") == D(1500)


class EachCurrencyAlone(Risk):
    """The mistake: a deposit counts for figures in its own currency only."""

    def _cash_adjusted(self, event, seq):
        if event.currency == "USD":
            super()._cash_adjusted(event, seq)


@pytest.mark.parametrize(("kind", "day"), [(Risk, -10), (EachCurrencyAlone, 98)])
def test_a_deposit_in_another_currency_is_no_profit_either(kind, day):
    euros = CashAdjusted(20, ACCOUNT, "EUR", D(100), "deposit")
    risk = build(
        *DAYS,
        marked(10, 1000),
        FxRateReported(15, "EUR", "USD", D("1.08")),
        euros,
        marked(30, 1098),
        kind=kind,
    )
    assert risk.day_pnl(ACCOUNT, "USD") == D(day)


def test_a_dividend_is_profit():
    assert build(*DAYS, marked(10, 1000), cash(20, 5, "dividend"), marked(30, 1005)).day_pnl(
        ACCOUNT, "USD"
    ) == D(5)


def test_drawdown_is_measured_from_the_peak_and_its_worst_is_kept():
    risk = build(marked(1, 1000), marked(2, 1250), marked(3, 1000), marked(4, 1125))
    assert (risk.drawdown(ACCOUNT, "USD"), risk.drawdown_max(ACCOUNT, "USD")) == (D("0.1"), D("0.2"))
    assert risk.peak_equity(ACCOUNT, "USD") == D(1250)


def test_an_unknown_equity_is_skipped_and_before_any_mark_nothing_is_known():
    risk = build(marked(1, None))
    assert (risk.day_pnl(ACCOUNT, "USD"), risk.drawdown(ACCOUNT, "USD"), risk.track(ACCOUNT, "USD")) == (
        None,
    ) * 3


def test_the_rate_counts_the_last_sixty_seconds_of_event_time():
    risk = build(
        intent("1", ts=0), intent("2", ts=30 * SECOND), intent("3", ts=59 * SECOND, strategy="other")
    )
    assert risk.orders_last_minute(59 * SECOND) == 3
    assert risk.orders_last_minute(59 * SECOND, strategy="other") == 1
    assert risk.orders_last_minute(60 * SECOND) == 2
    assert risk.orders_last_minute(119 * SECOND) == 0


def test_the_window_forgets_what_is_older_than_a_minute():
    risk = build(*(intent(str(n), ts=n * 10 * SECOND) for n in range(100)))
    assert len(risk.state().intents) == 6


@pytest.mark.parametrize("seconds", [65, 100, 119, 121, 299])
def test_a_snapshot_taken_at_any_second_counts_what_the_whole_log_does(seconds):
    intents = [intent(str(n), ts=n * SECOND // 2) for n in range(2 * seconds + 1)]
    risk, restored = build(*intents), build()
    restored.load(risk.encoded())
    for after in (1, 20, 70):
        feed_all((risk, restored), intent(f"{after}", ts=(seconds + after) * SECOND))
        assert restored.digest() == risk.digest()
        assert restored.intents_last_minute(ACCOUNT) == risk.intents_last_minute(ACCOUNT)
        assert restored.recent(0) == risk.recent(0)


def test_the_rate_of_an_account_counts_up_to_the_last_order_of_any():
    others = [replace(intent(f"b{n}", ts=n * SECOND), account="DU2") for n in (10, 20, 30)]
    risk = build(*(intent(f"a{n}", ts=n * SECOND) for n in (10, 20)), *others)
    feed(risk, replace(intent("b75", ts=75 * SECOND), account="DU2"))
    assert (risk.intents_last_minute(ACCOUNT), risk.intents_last_minute("DU2")) == (1, 3)
    assert [i.order for i in risk.recent(0)] == ["b75", "b30", "b20", "a20"]
    assert [i.order for i in risk.recent(25 * SECOND)] == ["b75", "b30"]
    assert risk.intents_last_minute("DU3") == 0


def test_orders_of_hours_are_not_held():
    risk = build(*(intent(str(n), ts=n * SECOND) for n in range(10_000)))
    assert sum(map(len, risk._intents.values())) <= 120


def test_the_line_names_account_day_and_drawdown():
    risk = build(*DAYS, marked(10, 1000), marked(20, 990))
    assert repr(risk) == "<risk: DU1 USD day -10 drawdown 0.01; 0 intents in the window>"
