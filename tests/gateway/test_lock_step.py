"""Lock step: a client that decides as a strategy does has its orders filled as a replay fills them."""

from typing import Any

from tests.gateway.raw import ZVXA, Raw, connected
from truetape import Parameters, Strategy, Trade, rehearse

PRINTS = 2_000
EVERY = 40


class EveryFewParameters(Parameters, frozen=True):
    instrument: str = "ZVXA"


class EveryFew(Strategy[EveryFewParameters]):
    """Buy at one print, sell half a period later: what it does depends on the count of prints alone."""

    prints = 0

    def on_trade(self, trade: Trade) -> None:
        self.prints += 1
        if self.prints > PRINTS:
            return
        if self.prints % EVERY == 1:
            self.buy(trade.instrument, 100, reason="count")
        elif self.prints % EVERY == 1 + EVERY // 2:
            self.sell(trade.instrument, 100, reason="count")


def traded(raw: Raw) -> list[tuple[str, str, str]]:
    """Do what the strategy does, as a client in lock step; return side, quantity and price of each fill."""
    raw.send(97, 3, *ZVXA, "AllLast", 0, 0)
    prints = order_id = 0
    while prints <= PRINTS:
        first = len(raw.messages)
        raw.send(105)
        raw.seek(109)
        for message in raw.messages[first:]:
            if message[0] == "99":
                prints += 1
                if prints <= PRINTS and prints % EVERY in (1, 1 + EVERY // 2):
                    order_id += 1
                    raw.place(order_id, "BUY" if prints % EVERY == 1 else "SELL")
    return [(m[18], m[19], m[20]) for m in raw.messages if m[0] == "11"]


def test_the_same_decisions_fill_at_the_same_prices(ib_gateway: Any) -> None:
    with connected(ib_gateway(speed="step").port) as raw:
        live = traded(raw)
    replayed = rehearse(EveryFew).fills
    sides = {"BUY": "BOT", "SELL": "SLD"}
    expected = [(sides[f.side], f"{f.quantity:f}", f"{f.price:f}") for f in replayed]
    assert len(expected) == 2 * PRINTS // EVERY
    assert live == expected


def test_two_rounds_tell_exactly_the_same(ib_gateway: Any, tmp_path: Any) -> None:
    heard = []
    for name in ("one", "two"):
        gateway = ib_gateway(speed="step", start="open", book=tmp_path / name)
        with connected(gateway.port) as raw:
            raw.subscribe()
            raw.place(1)
            for _ in range(100):
                raw.send(105)
                raw.seek(109)
            heard.append(raw.messages)
    assert heard[0] == heard[1]


def test_a_client_that_waits_for_nothing_is_only_told_the_time(ib_gateway: Any) -> None:
    with connected(ib_gateway(speed="step").port) as raw:
        raw.send(105)
        first = raw.seek(109)
        raw.send(105)
        assert raw.seek(109) == first


def test_the_day_ends_and_day_orders_with_it(ib_gateway: Any) -> None:
    with connected(ib_gateway(speed="step", start="15:59:50").port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99, tif="DAY")
        raw.place(2, "SELL", 100, "LMT", 99, tif="GTC")
        raw.subscribe()
        raw.drain()
        heard = 2
        while heard > 1:  # until the time comes alone
            first = len(raw.messages)
            raw.send(105)
            raw.seek(109)
            heard = len(raw.messages) - first
        assert [(m[1], m[2]) for m in raw.messages if m[0] == "3"][-1] == ("1", "Cancelled")
        raw.send(5, 1)
        raw.seek(53)
        assert raw.messages[-3][1] == "2"
