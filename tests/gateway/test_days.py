"""One book over two days: the second begins at its own start, and its profit is its own."""

from contextlib import contextmanager
from decimal import Decimal

from adapters.ibkr.gateway.daybreak import DayBreak
from tests.gateway.inside import inside

D = Decimal
SECOND_DAY = "2025-07-03"
OPEN_S = {"2025-07-02": 1_751_463_000, SECOND_DAY: 1_751_549_400}


@contextmanager
def opened(log, book, date):
    with inside(log, book, date=date) as raw:
        yield raw


def clock_s(raw):
    raw.send(49, 1)
    return int(raw.seek(49)[2])


def profit(raw):
    """Return the account's daily, open and realised profit, and what the position has realised."""
    first = len(raw.messages)
    raw.send(92, 5, "", "")
    raw.send(6, 2, 1, "")
    raw.send(6, 2, 0, "")
    found = [raw.drain(), raw.messages[first:]][1]
    [pnl] = [m for m in found if m[0] == "94"]
    raw.send(93, 5)
    return [D(value) for value in pnl[2:5]], [D(m[-2]) for m in found if m[0] == "7"]


def fill(raw, order_id, action, quantity):
    first = len(raw.messages)
    raw.place(order_id, action, quantity)
    while not any(m[0] == "59" for m in raw.messages[first:]):
        raw.send(105)
        raw.drain()


def wait(raw):
    for _ in range(300):
        raw.send(105)
    raw.drain()


def trade_first_day(log, book):
    with opened(log, book, "2025-07-02") as raw:
        raw.subscribe()
        fill(raw, 1, "BUY", 100)
        wait(raw)
        fill(raw, 2, "SELL", 60)
        daily, _, realised = profit(raw)[0]
        assert daily != 0
        assert realised != 0


def test_the_next_day_begins_at_its_open_with_no_profit_yet(ib_gateway_log, tmp_path):
    trade_first_day(ib_gateway_log, tmp_path / "book")
    with opened(ib_gateway_log, tmp_path / "book", SECOND_DAY) as raw:
        assert clock_s(raw) == OPEN_S[SECOND_DAY]
        (daily, unrealised, realised), of_positions = profit(raw)
        assert realised == 0
        assert of_positions == [0]
        raw.subscribe()
        fill(raw, 3, "SELL", 40)
        (daily, unrealised, realised), _ = profit(raw)
        assert unrealised == 0
        before = (daily, realised)
        assert 0 != daily != realised  # what the position gained overnight was not realised before
        wait(raw)
    with opened(ib_gateway_log, tmp_path / "book", SECOND_DAY) as raw:
        assert clock_s(raw) > OPEN_S[SECOND_DAY]  # goes on
        (daily, _, realised), _ = profit(raw)
        assert realised == before[1]
        assert abs(daily - before[0]) < 20  # from the last minute of the day before


def test_a_book_that_counts_from_its_beginning_is_caught(ib_gateway_log, tmp_path, monkeypatch):
    trade_first_day(ib_gateway_log, tmp_path / "book")
    monkeypatch.setattr(DayBreak, "end", lambda _: None)
    with opened(ib_gateway_log, tmp_path / "book", SECOND_DAY) as raw:
        (_, _, realised), of_positions = profit(raw)
        assert realised != 0
        assert of_positions != [0]
