"""One book over two days: the second begins at its own start, and its profit is its own."""

from contextlib import contextmanager
from decimal import Decimal

from adapters.ibkr.gateway.daybreak import DayBreak
from tests.gateway.inside import inside
from tests.gateway.raw import ZVXA

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
        wait(raw)
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
        assert daily == before[0]


def single(raw):
    """Return a position's daily, open and realised profit."""
    raw.send(94, 6, "", "", con_id(raw))
    found = raw.seek(95)
    raw.send(95, 6)
    return [D(value) for value in found[3:6]]


def con_id(raw):
    raw.send(9, 8, 9, *ZVXA, 0, "", "", "")
    return raw.seek(10)[13]


def close_of(raw):
    """Return the `close` tick, and that it is the last bar of a day of regular hours."""
    raw.send(20, 5, *ZVXA, 0, "20250703-08:00:00", "1 day", "1 D", 1, "TRADES", 1, 0, "")
    bar = raw.seek(17)
    raw.subscribe(9)
    [told] = [m[4] for m in raw.drain() if m[0] == "1" and m[3] == "9"]
    assert (bar[3], bar[7]) == ("20250702", told)
    return D(told)


def test_what_is_held_over_night_counts_from_the_close(ib_gateway_log, tmp_path):
    trade_first_day(ib_gateway_log, tmp_path / "book")
    with opened(ib_gateway_log, tmp_path / "book", "2025-07-02") as raw:
        [cost] = [D(m[15]) for m in positions(raw)]
    with opened(ib_gateway_log, tmp_path / "book", SECOND_DAY) as raw:
        close = close_of(raw)
        assert close != cost
        daily, unrealised, realised = single(raw)
        assert realised == 0
        assert daily - unrealised == 40 * (cost - close)
        assert [daily, unrealised, realised] == profit(raw)[0]
        fill(raw, 3, "SELL", 40)
        daily, unrealised, realised = single(raw)
        assert daily - realised == 40 * (cost - close)
        assert unrealised == 0
        assert profit(raw)[0][0] == daily - 1  # a commission of 1
        fill(raw, 4, "BUY", 10)
        after = single(raw)
        assert after[0] == daily + after[1]
    with opened(ib_gateway_log, tmp_path / "book", SECOND_DAY) as raw:
        assert single(raw)[2] == realised
        assert single(raw)[0] == daily + single(raw)[1]


def positions(raw):
    raw.send(61, 1)
    return [m for m in raw.drain() if m[0] == "61"]


def test_a_book_made_today_has_no_profit_before_it_trades(ib_gateway_log, tmp_path):
    for _ in range(2):
        with inside(ib_gateway_log, tmp_path / "book", cash=D(5000)) as raw:
            assert profit(raw)[0] == [0, 0, 0]


def test_a_book_that_counts_from_its_beginning_is_caught(ib_gateway_log, tmp_path, monkeypatch):
    trade_first_day(ib_gateway_log, tmp_path / "book")
    monkeypatch.setattr(DayBreak, "end", lambda _: None)
    with opened(ib_gateway_log, tmp_path / "book", SECOND_DAY) as raw:
        (_, _, realised), of_positions = profit(raw)
        assert realised != 0
        assert of_positions != [0]
