"""Market data: lines within limits and pace, ticks as trades and quotes, and when data are not live."""

import re
from collections.abc import Iterable
from decimal import Decimal

import pytest

from adapters.ibkr.data.marketdata import DataLimits, MarketData
from adapters.ibkr.data.ticks import FEED
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import ErrorMessage, Message
from adapters.ibkr.wire.ticks import (
    MarketDataType,
    TickByTickLast,
    TickGeneric,
    TickPrice,
    TickSize,
    TickString,
)
from core.clock import SECOND_NS
from core.events import (
    DataStateChanged,
    Event,
    HaltChanged,
    InstrumentDefined,
    Quote,
    SessionScheduled,
    Trade,
)
from projections.sessions import Calendar

NOON = 1_000_000 * SECOND_NS
OPEN, CLOSE = NOON - 3600 * SECOND_NS, NOON + 3600 * SECOND_NS
DAY = SessionScheduled(
    OPEN - SECOND_NS, "XNYS", "2025-07-02", "UTC", OPEN - SECOND_NS, OPEN, CLOSE, CLOSE + SECOND_NS
)
BID, ASK, BID_SIZE, ASK_SIZE, DELAYED_BID, RT_VOLUME, HALTED = 1, 2, 0, 3, 66, 48, 49


def stock(name: str = "ACME", kind: str = "STK") -> InstrumentDefined:
    return InstrumentDefined(
        0, name, name, kind, "XNYS", "USD", Decimal(1), Decimal("0.01"), "America/New_York", con_id=1
    )


class Bench:
    """Market data with what surrounds them: an encoder, ids from 1 on, two clocks."""

    def __init__(
        self, *names: str, held: Iterable[str] = (), hours: Calendar | None = None, **limits
    ) -> None:
        self.data = MarketData(
            DataLimits(**{"tick_by_tick_max": 1, **limits}), hours or Calendar([DAY]), lambda: held
        )
        self.wanted = [stock(name) for name in names or ("ACME",)]
        self._requests = Encoder(installed(), 200)
        self._ids = 0
        self.now_ns = 0
        self.ts = NOON

    def take_id(self) -> int:
        self._ids += 1
        return self._ids

    def due(self) -> list[list[str]]:
        sent = self.data.due(self._requests, self.take_id, self.ts, self.now_ns)
        return [frame[4:].decode().split("\0") for frame in sent]

    def begun(self) -> "Bench":
        self.data.begin(self.wanted, self.ts)
        self.due()
        return self

    def said(self, *messages: Message) -> list[Event]:
        out: list[Event] = []
        for message in messages:
            tick = self.data.ticks.get(type(message))
            if tick is not None:
                tick(message, self.ts, out.append)
            else:
                out += self.data.events(message, self.ts)
        return out

    def live(self) -> "Bench":
        self.begun()
        for line in list(self.data.lines.values()):
            self.said(MarketDataType(line.quotes_id, 1))
        return self

    def watch_at(self, seconds: float) -> list[Event]:
        self.ts = NOON + round(seconds * SECOND_NS)
        return self.data.watch(self.ts)


def error(code: int, req_id: int | None = None) -> ErrorMessage:
    return ErrorMessage(req_id, code, f"code {code}", None, "")


def opened(requests: list[list[str]]) -> list[str]:
    return [fields[4] for fields in requests if fields[0] == "1"]


# -- lines -----------------------------------------------------------------------------------------


def test_what_is_held_gets_the_first_lines_then_the_order_given():
    bench = Bench("A", "B", "C", held=["C"])
    bench.data.begin(bench.wanted, NOON)
    assert opened(bench.due()) == ["C", "A", "B"]


def test_what_the_limit_leaves_out_is_told():
    bench = Bench("A", "B", "C", held=["C"], lines_max=2)
    told = bench.data.begin(bench.wanted, NOON)
    assert [(event.instrument, event.state) for event in told] == [("B", "left_out")]
    assert opened(bench.due()) == ["C", "A"]


def test_at_most_twenty_lines_are_opened_in_any_second():
    bench = Bench(*(f"S{number:02d}" for number in range(45)))
    bench.data.begin(bench.wanted, NOON)
    counts = []
    for tenth in range(31):
        bench.now_ns = tenth * SECOND_NS // 10
        counts.append(len(opened(bench.due())))
    assert sum(counts) == 45
    assert max(sum(counts[first : first + 10]) for first in range(21)) == 20
    assert not bench.data.opening


def test_single_trades_go_to_the_first_lines_and_the_others_get_time_and_sales():
    bench = Bench("A", "B", tick_by_tick_max=1)
    bench.data.begin(bench.wanted, NOON)
    requests = bench.due()
    assert [fields[0] for fields in requests] == ["59", "1", "97", "1"]
    assert ["233" in fields for fields in requests] == [False, False, False, True]


def test_a_new_connection_doubts_every_line_until_it_speaks():
    bench = Bench().live()
    bench.data.lost("it broke")
    assert bench.data.begin(bench.wanted, NOON) == [
        DataStateChanged(NOON, "ACME", "stale", "what was subscribed is lost")
    ]
    bench.now_ns += SECOND_NS
    assert opened(bench.due()) == ["ACME"]
    (told, *_, quote) = bench.said(TickPrice(bench.data.lines["ACME"].quotes_id, BID, 10.0, 5.0, 1))
    assert (told.state, type(quote)) == ("live", Quote)


def test_ticks_of_a_lost_connections_ids_count_for_nothing():
    bench = Bench().live()
    old = bench.data.lines["ACME"].quotes_id
    bench.data.lost("it broke")
    bench.data.begin(bench.wanted, NOON)
    bench.now_ns += SECOND_NS
    bench.due()
    assert bench.said(TickPrice(old, BID, 10.0, 5.0, 1)) == []


def test_doubt_makes_every_line_stale_and_renewal_reopens_all_that_were_in_doubt():
    bench = Bench("A", "B").live()
    told = bench.data.doubt("the data farm usfarm is lost", NOON)
    assert [(event.instrument, event.state) for event in told] == [("A", "stale"), ("B", "stale")]
    told, *_ = bench.said(TickPrice(bench.data.lines["B"].quotes_id, BID, 10.0, 5.0, 1))
    assert (told.instrument, told.state) == ("B", "live")
    bench.data.renew()
    bench.now_ns += SECOND_NS
    requests = bench.due()
    assert opened(requests) == ["A", "B"]  # what B said may have been under way when its farm was lost
    assert requests[0][0] == "2"  # the old one ends first


def test_nothing_is_renewed_without_a_doubt():
    bench = Bench().live()
    bench.data.renew()
    assert not bench.data.opening


# -- ticks -----------------------------------------------------------------------------------------


def test_a_price_with_its_size_is_a_quote_of_its_side():
    bench = Bench().live()
    assert bench.said(TickPrice(1, BID, 10.0, 5.0, 1), TickPrice(1, ASK, 10.1, 7.0, 1)) == [
        Quote(NOON, FEED, "ACME", 10.0, 5.0, None, None),
        Quote(NOON, FEED, "ACME", None, None, 10.1, 7.0),
    ]


def test_a_size_is_news_only_if_it_is_another():
    bench = Bench().live()
    bench.said(TickPrice(1, BID, 10.0, 5.0, 1))
    assert bench.said(TickSize(1, BID_SIZE, 5.0)) == []
    assert bench.said(TickSize(1, BID_SIZE, 6.0)) == [Quote(NOON, FEED, "ACME", None, 6.0, None, None)]


@pytest.mark.parametrize(("price", "size"), [(-1.0, 0.0), (-1.0, 100.0), (0.0, 0.0), (10.0, None)])
def test_a_price_that_is_none_takes_the_side_away(price, size):
    bench = Bench().live()
    assert bench.said(TickPrice(1, ASK, price, size, 0)) == [Quote(NOON, FEED, "ACME", None, None, None, 0.0)]


def test_a_future_may_cost_less_than_nothing_if_there_is_a_size():
    bench = Bench()
    bench.wanted = [stock("CL", "FUT")]
    bench.live()
    assert bench.said(TickPrice(1, BID, -37.6, 2.0, 1)) == [Quote(NOON, FEED, "CL", -37.6, 2.0, None, None)]
    assert bench.said(TickPrice(1, BID, -1.0, 0.0, 1)) == [Quote(NOON, FEED, "CL", None, 0.0, None, None)]


def test_a_trade_that_was_not_reported_to_the_tape_is_suspicious():
    bench = Bench().live()
    plain = TickByTickLast(2, 2, 1_000_000, 10.0, 100.0, 0, "ARCA", "")
    odd = TickByTickLast(2, 2, 1_000_000, 10.0, 3.0, 2, "FINRA", "I")
    assert bench.said(plain, odd) == [
        Trade(NOON, FEED, "ACME", 10.0, 100.0, "ARCA", ""),
        Trade(NOON, FEED, "ACME", 10.0, 3.0, "FINRA", "I", suspicious=True),
    ]


def sale(size: str = "100", seconds: int = 1, volume: int = 5000, price: str = "10.5") -> TickString:
    return TickString(1, RT_VOLUME, f"{price};{size};{NOON // 1_000_000 + 1000 * seconds};{volume};10.4;true")


def test_time_and_sales_are_trades_where_none_come_one_by_one():
    bench = Bench(tick_by_tick_max=0).live()
    assert bench.said(sale()) == [Trade(NOON, FEED, "ACME", 10.5, 100.0)]


@pytest.mark.parametrize("size", ["", "0"])
def test_a_change_of_the_volume_alone_is_no_trade(size):
    assert Bench(tick_by_tick_max=0).live().said(sale(size)) == []


def test_a_repeated_sale_counts_once_and_two_in_one_millisecond_count_twice():
    bench = Bench(tick_by_tick_max=0).live()
    assert (
        len(bench.said(sale(), sale(), sale(volume=5100), sale(volume=5100), sale(seconds=2, volume=9))) == 3
    )


def test_a_sale_from_before_the_subscription_is_history():
    assert Bench(tick_by_tick_max=0).live().said(sale(seconds=-1)) == []


@pytest.mark.parametrize("ahead_s", [3, 3600, -3600])
def test_a_sale_is_of_the_brokers_clock_whatever_ours_says(ahead_s):
    bench = Bench(tick_by_tick_max=0)
    bench.data.broker_ahead(ahead_s * 1000)
    bench.live()
    assert bench.said(sale(seconds=ahead_s - 1)) == []
    assert len(bench.said(sale(seconds=ahead_s + 1, volume=5100))) == 1


def test_the_last_sale_told_again_after_a_reconnection_counts_once():
    bench = Bench(tick_by_tick_max=0).live()
    assert len(bench.said(sale())) == 1
    bench.data.lost("it broke")
    bench.data.begin(bench.wanted, NOON)
    bench.now_ns += SECOND_NS
    bench.due()
    again = TickString(bench.data.lines["ACME"].quotes_id, RT_VOLUME, sale().text)
    assert [event for event in bench.said(again) if isinstance(event, Trade)] == []


def test_sales_are_not_counted_beside_single_trades():
    assert Bench(tick_by_tick_max=1).live().said(sale()) == []


def test_refused_single_trades_come_as_time_and_sales_instead():
    bench = Bench().live()
    bench.said(error(10190, req_id=2))
    bench.now_ns += SECOND_NS
    requests = bench.due()
    assert [fields[0] for fields in requests] == ["2", "98", "1"]
    assert "233" in requests[-1]
    assert bench.data.lines["ACME"].state == "live"


def test_a_halt_is_told_when_it_begins_and_when_it_ends():
    bench = Bench().live()
    ticks = [TickGeneric(1, HALTED, value) for value in (0.0, 2.0, 2.0, -1.0)]
    assert bench.said(*ticks) == [
        HaltChanged(NOON, FEED, "ACME", True, "for volatility"),
        HaltChanged(NOON, FEED, "ACME", False, ""),
    ]


# -- states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "state"), [(1, "live"), (2, "stale"), (3, "delayed"), (4, "delayed")])
def test_the_declared_type_is_the_state(kind, state):
    (told,) = Bench().begun().said(MarketDataType(1, kind))
    assert (told.instrument, told.state) == ("ACME", state)


def test_delayed_ticks_make_the_data_delayed_even_without_a_word():
    bench = Bench().live()
    told, quote = bench.said(TickPrice(1, DELAYED_BID, 10.0, 5.0, 0))
    assert (told.state, quote.bid) == ("delayed", 10.0)
    assert len(bench.said(TickPrice(1, DELAYED_BID, 10.0, 5.0, 0))) == 1


@pytest.mark.parametrize(
    ("code", "state", "remedy"),
    [
        (354, "refused", r"Client Portal.*delayed_data"),
        (10089, "refused", r"Client Portal"),
        (10168, "refused", r"Client Portal"),
        (10167, "delayed", r"Client Portal"),
        (10197, "refused", r"end it.*second user"),
        (101, "left_out", r"market_data_lines"),
        (200, "refused", r"symbol, exchange, currency and expiry"),
    ],
)
def test_a_refusal_says_what_to_do(code, state, remedy):
    told = Bench().begun().said(error(code, req_id=1))[0]
    assert isinstance(told, DataStateChanged)
    assert told.state == state
    assert re.search(remedy, told.reason)


def test_10090_ends_nothing():
    bench = Bench().live()
    assert bench.said(error(10090, req_id=1)) == []
    assert bench.data.lines["ACME"].state == "live"


def test_what_was_quoted_before_a_refusal_is_taken_away():
    bench = Bench().live()
    bench.said(TickPrice(1, BID, 10.0, 5.0, 1))
    assert bench.said(error(10197, req_id=1))[1] == Quote(NOON, FEED, "ACME", None, 0.0, None, 0.0)
    told, *_ = bench.said(TickPrice(1, BID, 10.0, 5.0, 1))
    assert told.state == "live"


def test_data_that_another_session_has_are_asked_for_again_and_others_that_are_refused_are_not():
    bench = Bench("A", "B", tick_by_tick_max=0).live()
    bench.said(error(10197, req_id=1), error(10197, req_id=1), error(354, req_id=2))
    bench.data.renew()
    bench.now_ns += 61 * SECOND_NS
    assert opened(bench.due()) == ["A"]


# -- silence ---------------------------------------------------------------------------------------


def test_silence_in_regular_hours_is_stale_and_the_next_tick_ends_it():
    bench = Bench().live()
    assert bench.watch_at(59) == []
    (told,) = bench.watch_at(61)
    assert (told.instrument, told.state, told.reason) == ("ACME", "stale", "nothing for 61 s")
    assert bench.watch_at(63) == []
    told, *_ = bench.said(TickPrice(1, BID, 10.0, 5.0, 1))
    assert told.state == "live"


def test_a_line_that_never_spoke_is_stale_too():
    bench = Bench().begun()
    (told,) = bench.watch_at(61)
    assert told.state == "stale"


def test_outside_regular_hours_an_instrument_may_be_quiet():
    assert Bench().live().watch_at(3700) == []


def test_the_night_before_the_open_is_no_silence():
    bench = Bench()
    bench.ts = OPEN - SECOND_NS
    bench.live()
    assert bench.watch_at(-3600 + 30) == []
    (told,) = bench.watch_at(-3600 + 61)
    assert told.reason == "nothing for 61 s"


def test_an_exchange_of_unknown_hours_is_always_watched():
    (told,) = Bench(hours=Calendar()).live().watch_at(90_000)
    assert told.state == "stale"


def test_an_instrument_can_have_a_patience_of_its_own():
    bench = Bench("A", "B", stale_after={"B": 600}).live()
    assert [event.instrument for event in bench.watch_at(61)] == ["A"]


def gaps(bench: Bench) -> list[tuple[str, int, int, str]]:
    """Open what waits, and return the gaps that are told with it."""
    bench.due()
    asked, told = bench.data.fill(bench._requests, bench.take_id, bench.ts, bench.now_ns)
    assert asked == []  # the minute is not over
    return [(gap.instrument, gap.begin, gap.end, gap.reason) for gap in told]


def test_a_gap_reaches_from_the_last_tick_to_the_opening_of_the_line():
    bench = Bench().live()
    bench.ts += SECOND_NS
    bench.said(TickPrice(bench.data.lines["ACME"].quotes_id, BID, 10.0, 5.0, 1))
    bench.ts += SECOND_NS
    bench.data.lost("it broke")
    bench.ts += SECOND_NS
    bench.data.begin(bench.wanted, bench.ts)
    bench.now_ns += SECOND_NS
    assert gaps(bench) == [("ACME", bench.ts - 2 * SECOND_NS, bench.ts, "it broke")]
    assert gaps(bench) == []


def test_a_line_that_is_opened_for_the_first_time_has_missed_nothing():
    bench = Bench()
    bench.data.begin(bench.wanted, NOON)
    assert gaps(bench) == []


def test_lines_that_stay_while_the_gateway_is_cut_off_have_missed_that_time():
    bench = Bench("A", "B").live()
    bench.data.cut_off("1100")
    told = bench.data.restored(NOON + SECOND_NS)
    assert [(gap.instrument, gap.reason) for gap in told] == [("A", "1100"), ("B", "1100")]
    assert bench.data.restored(NOON + SECOND_NS) == []


def test_what_is_refused_is_not_missed():
    bench = Bench().live()
    bench.said(error(354, req_id=1))
    bench.data.cut_off("1100")
    assert bench.data.restored(NOON + SECOND_NS) == []
