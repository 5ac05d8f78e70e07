"""Cash, commissions and equity; nothing is converted without a rate."""

from core.events import CashAdjusted, FxRateReported, Trade
from projections.account import Account
from projections.positions import Positions
from projections.quotes import Quotes
from tests.projections.build import ACCOUNT, D, charge, corrected, feed_all, fill, future, option, stock


class Books:
    """An account with the projections that it reads."""

    def __init__(self, *events):
        self.quotes, self.positions = Quotes(), Positions()
        self.account = Account(self.quotes, self.positions)
        self.take(stock(), future(), option(), stock("EURO", "EUR"), *events)

    def take(self, *events):
        feed_all((self.quotes, self.positions, self.account), *events)

    def cash(self, currency="USD"):
        return self.account.cash(ACCOUNT, currency)

    def equity(self, currency="USD"):
        return self.account.equity(ACCOUNT, currency)


def deposit(amount, currency="USD"):
    return CashAdjusted(0, ACCOUNT, currency, D(amount), "start")


def trade(instrument, price):
    return Trade(9, "f", instrument, price, 1.0)


def rate(base, quote, value):
    return FxRateReported(0, base, quote, D(value))


def test_a_purchase_costs_its_price_and_its_commission():
    books = Books(deposit(10_000), fill("1", "BUY", 100, "10.5"), charge("1", "1.25"))
    assert books.cash() == D("8948.75")
    assert books.account.commissions(ACCOUNT, "USD") == D("1.25")


def test_an_option_moves_cash_by_its_multiplier():
    books = Books(deposit(10_000), fill("1", "BUY", 2, "3.1", instrument="ACME-20250919-C-250"))
    assert books.cash() == D(9380)


def test_a_future_moves_cash_by_what_it_realised_alone():
    where = {"instrument": "IDX-202509"}
    books = Books(deposit(10_000), fill("1", "BUY", 2, 5000, ts=1, **where))
    assert books.cash() == D(10_000)
    books.take(fill("2", "SELL", 1, 5004, ts=2, **where))
    assert books.cash() == D(10_200)


def test_cash_of_a_future_follows_positions_that_are_folded_later():
    where = {"instrument": "IDX-202509"}
    quotes, positions = Quotes(), Positions()
    account = Account(quotes, positions)
    trades = (fill("1", "BUY", 2, 5000, ts=1, **where), fill("2", "SELL", 1, 5004, ts=2, **where))
    feed_all((account,), future(), *trades)
    assert account.cash(ACCOUNT, "USD") == D(0)
    feed_all((positions,), future(), *trades)
    assert account.cash(ACCOUNT, "USD") == D(200)


def test_a_future_adds_its_open_profit_to_equity_not_its_value():
    books = Books(
        deposit(10_000), fill("1", "BUY", 2, 5000, instrument="IDX-202509"), trade("IDX-202509", 5001.5)
    )
    assert books.equity() == D(10_150)


def test_equity_is_cash_plus_shares_at_their_mark():
    books = Books(deposit(1000), fill("1", "BUY", 10, 50), charge("1", 1), trade("ACME", 50.75))
    assert books.equity() == D("1006.5")


def test_equity_asked_after_each_event_is_what_it_is_if_asked_once():
    told = [
        deposit(1000),
        fill("1", "BUY", 10, 50),
        trade("ACME", 50.75),
        charge("1", 1),
        deposit(500, "EUR"),
        rate("EUR", "USD", 2),
        corrected("1", 1, "BUY", 8, 50),
        rate("EUR", "USD", 3),
        fill("2", "SELL", 8, 51, ts=2),
    ]
    books = Books()
    asked = []
    for event in told:
        books.take(event)
        asked.append(books.equity())
    assert asked == [Books(*told[: number + 1]).equity() for number in range(len(told))]
    assert len(set(asked)) == len(told) - 1, (
        "only the fill without a mark and the rate that is missing are alike"
    )


def test_equity_of_futures_asked_after_each_event_is_what_it_is_if_asked_once():
    where = {"instrument": "LATE-202509"}
    told = [
        deposit(1000),
        trade("LATE-202509", 101.5),
        fill("1", "BUY", 2, 100, ts=1, **where),
        future("LATE-202509"),
        fill("2", "BUY", 2, 101, ts=2, **where),
        trade("LATE-202509", 102.25),
        future("LATE-202509", multiplier=10),
        fill("3", "SELL", 3, 102, ts=3, **where),
        fill("4", "SELL", 1, 103, ts=4, **where),
    ]
    books = Books()
    asked = []
    for event in told:
        books.take(event)
        asked.append(books.equity())
    assert asked == [Books(*told[: number + 1]).equity() for number in range(len(told))]
    assert asked[2:] == [None, *map(D, (1150, 1200, 1350, 1070, "1062.5", 1070))]


def test_equity_without_a_mark_is_unknown():
    assert Books(deposit(1000), fill("1", "BUY", 10, 50)).equity() is None


def test_equity_without_a_needed_rate_is_unknown_and_never_converted_at_one():
    books = Books(deposit(1000), deposit(500, "EUR"))
    assert books.equity() is None
    books.take(rate("EUR", "USD", "1.1"))
    assert books.equity() == D(1550)


def test_a_rate_serves_both_ways():
    assert Books(deposit(550), rate("EUR", "USD", "1.1")).equity("EUR") == D(500)


def test_two_rates_join_through_the_base_currency():
    books = Books(deposit(100, "EUR"), rate("EUR", "USD", "1.2"), rate("GBP", "USD", "1.5"))
    assert books.equity("GBP") == D(80)


def test_a_foreign_share_is_paid_in_its_own_currency():
    books = Books(deposit(1000), fill("1", "BUY", 10, 5, instrument="EURO"), trade("EURO", 6.0))
    assert (books.cash(), books.cash("EUR")) == (D(1000), D(-50))
    assert books.equity() is None
    books.take(rate("EUR", "USD", 2))
    assert books.equity() == D(1020)


def test_a_commission_reported_again_replaces_and_is_not_summed():
    books = Books(charge("1", 1, ts=1), charge("1", 1, ts=1), charge("1", "0.8", ts=2))
    assert books.account.commissions(ACCOUNT, "USD") == D("0.8")


def test_a_commission_corrected_into_another_currency_moves_there():
    books = Books(charge("1", 1, ts=1), charge("1", 2, ts=2, currency="EUR"))
    assert (books.cash(), books.cash("EUR")) == (D(0), D(-2))


def test_a_duplicated_or_outdated_execution_moves_no_cash():
    books = Books(fill("1", "BUY", 10, 5), corrected("1", 2, "BUY", 10, 6), corrected("1", 1, "BUY", 10, 7))
    books.take(fill("1", "BUY", 10, 5))
    assert books.cash() == D(-60)


def test_a_trade_in_an_undefined_instrument_makes_equity_unknown_not_wrong():
    books = Books(deposit(1000), fill("1", "BUY", 10, 5, instrument="GHOST"), trade("GHOST", 5.0))
    assert books.cash() == D(1000)
    assert books.equity() is None


def test_the_line_lists_balances():
    books = Books(deposit(1000), charge("1", "1.5"))
    assert repr(books.account) == "<account: DU1 USD 998.5; 1 commissions>"
