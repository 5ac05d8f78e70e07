"""Best prices over venues, and what does not count."""

import pytest

from core.events import Bar, FeedDefined, HaltChanged, Quote, QuoteBar, Trade
from projections.quotes import Quotes
from tests.projections.build import feed


def bid(price, size, venue="A", feed="tick", **more):
    return Quote(1, feed, "ACME", price, size, None, None, venue, **more)


def ask(price, size, venue="A", feed="tick", **more):
    return Quote(1, feed, "ACME", None, None, price, size, venue, **more)


def trade(price, ts=1, **more):
    return Trade(ts, "tick", "ACME", price, 10.0, "A", **more)


def bar(close, ts=1):
    return Bar(ts, 0, "minute", "ACME", 1.0, 2.0, 0.5, close, 100.0)


def quote_bar(bid_close, ask_close, size=5.0):
    bids, asks = (bid_close,) * 4, (ask_close,) * 4
    return QuoteBar(1, 0, "minute", "ACME", *bids, size, *asks, size)


def folded(*events):
    quotes = Quotes()
    feed(quotes, *events)
    return quotes


def shown(*events):
    quotes = folded(*events)
    return (quotes.bid("ACME"), quotes.bid_size("ACME"), quotes.ask("ACME"), quotes.ask_size("ACME"))


def test_the_best_is_the_highest_bid_and_the_lowest_ask_over_venues():
    quotes = (bid(10.0, 5.0, "A"), bid(10.1, 3.0, "B"), ask(10.4, 1.0, "A"), ask(10.3, 2.0, "C"))
    assert shown(*quotes) == (10.1, 3.0, 10.3, 2.0)


def test_sizes_at_the_best_add_up_over_venues():
    assert shown(bid(10.0, 5.0, "A"), bid(10.0, 3.0, "B"), bid(9.0, 50.0, "C")) == (10.0, 8.0, None, 0.0)


def test_a_missing_side_keeps_its_last_value():
    assert shown(bid(10.0, 5.0), ask(11.0, 4.0), bid(10.1, 5.0)) == (10.1, 5.0, 11.0, 4.0)


@pytest.mark.parametrize("gone", [bid(10.1, 0.0, "B"), bid(0.0, 3.0, "B"), bid(None, 0.0, "B")])
def test_a_size_or_price_of_zero_clears_that_venue_alone(gone):
    assert shown(bid(10.0, 5.0, "A"), bid(10.1, 3.0, "B"), gone) == (10.0, 5.0, None, 0.0)


def test_a_size_only_update_keeps_the_price_and_a_price_only_update_the_size():
    assert shown(bid(10.0, 5.0), bid(None, 7.0)) == (10.0, 7.0, None, 0.0)
    assert shown(bid(10.0, 5.0), bid(10.2, None)) == (10.2, 5.0, None, 0.0)


def test_a_size_for_a_venue_without_a_price_shows_nothing():
    assert shown(bid(None, 7.0)) == (None, 0.0, None, 0.0)


def test_a_worse_quote_at_the_best_venue_gives_way_to_the_next():
    quotes = folded(bid(10.0, 5.0, "A"), bid(10.1, 3.0, "B"))
    assert quotes.bid("ACME") == 10.1
    feed(quotes, bid(9.0, 3.0, "B"))
    assert (quotes.bid("ACME"), quotes.bid_size("ACME")) == (10.0, 5.0)


def test_suspicious_rows_are_not_traded_on():
    quotes = folded(bid(10.0, 5.0, suspicious=True), trade(99.0, suspicious=True))
    assert (quotes.bid("ACME"), quotes.last_trade("ACME"), quotes.has_quotes("ACME")) == (None, None, False)


def test_quotes_of_two_feeds_are_never_mixed():
    quotes = folded(bid(10.0, 5.0, "A"), bid(12.0, 5.0, "A", feed="other"), ask(11.0, 5.0, "A"))
    assert (quotes.bid("ACME"), quotes.ask("ACME")) == (10.0, 11.0)
    feed(quotes, ask(13.0, 1.0, "A", feed="other"))
    assert (quotes.bid("ACME"), quotes.ask("ACME")) == (12.0, 13.0)


def test_a_consolidated_feed_has_one_venue_whichever_a_quote_names():
    best = FeedDefined(0, "tick", "sip", "tick", True)
    assert shown(best, bid(10.1, 3.0, "A"), bid(10.0, 5.0, "B")) == (10.0, 5.0, None, 0.0)


def test_a_feed_that_turns_out_to_be_consolidated_forgets_its_venues():
    quotes = (bid(10.1, 3.0, "A"), FeedDefined(0, "tick", "sip", "tick", True))
    assert shown(*quotes) == (None, 0.0, None, 0.0)
    assert shown(*quotes, bid(10.0, 5.0, "B")) == (10.0, 5.0, None, 0.0)


def test_a_restored_book_still_knows_that_its_feed_is_consolidated():
    quotes, restored = folded(FeedDefined(0, "tick", "sip", "tick", True), bid(10.1, 3.0, "A")), Quotes()
    restored.load(quotes.encoded())
    feed(restored, bid(10.0, 5.0, "B"))
    assert restored.bid("ACME") == 10.0


def test_a_quote_bar_gives_its_closes_and_a_side_without_quotes_stays():
    assert shown(quote_bar(10.0, 11.0), quote_bar(None, 12.0)) == (10.0, 5.0, 12.0, 5.0)


@pytest.mark.parametrize(
    ("events", "mark"),
    [
        ((), None),
        ((bid(10.0, 1.0),), None),
        ((bid(10.0, 1.0), ask(11.0, 1.0)), 10.5),
        ((bid(10.0, 1.0), ask(11.0, 1.0), trade(10.9)), 10.9),
        ((bar(1.5),), 1.5),
        ((trade(10.9, ts=1), bar(1.5, ts=2)), 1.5),
        ((bar(1.5, ts=1), trade(10.9, ts=2)), 10.9),
    ],
)
def test_the_mark_is_the_later_of_trade_and_bar_else_the_middle(events, mark):
    assert folded(*events).mark("ACME") == mark


def test_a_halt_lasts_until_it_is_lifted():
    quotes = folded(HaltChanged(1, "tick", "ACME", True))
    assert quotes.halted("ACME")
    feed(quotes, HaltChanged(2, "tick", "ACME", False))
    assert not quotes.halted("ACME")


def test_a_held_book_sees_bare_events_and_entries_alike():
    quotes = Quotes()
    book = quotes.book("ACME")
    quotes.on_quote(bid(10.0, 5.0))
    book.on_quote(ask(11.0, 5.0))
    feed(quotes, trade(10.5))
    assert (book.bid, book.ask, book.last.price, quotes.mark("ACME")) == (10.0, 11.0, 10.5, 10.5)


def test_asking_for_a_book_is_not_part_of_the_state():
    asked, idle = Quotes(), Quotes()
    asked.book("ACME")
    assert asked.digest() == idle.digest()


def test_a_restored_book_goes_on_as_the_old_one():
    events = (
        bid(10.0, 0.1, "B"),
        bid(10.0, 0.7, "A"),
        trade(10.2),
        bar(1.0),
        bid(9.0, 1.0, "A", feed="other"),
    )
    quotes, restored = folded(*events), Quotes()
    restored.load(quotes.encoded())
    for each in (quotes, restored):
        feed(each, bid(10.0, 0.2, "C"))
    assert restored.digest() == quotes.digest()
    assert restored.bid_size("ACME") == quotes.bid_size("ACME")


def test_the_line_counts_instruments():
    assert repr(folded(bid(10.0, 1.0))) == "<quotes: 1 instruments, 1 quoted, 0 halted>"
