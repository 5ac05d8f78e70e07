"""Scanners and histograms: who rose, fell and traded most by now, and at which prices."""

from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from tests.gateway.inside import inside
from tests.gateway.raw import ZVXA, step

D = Decimal
DAY = "2025-07-03"


@pytest.fixture(scope="module")
def raw(ib_gateway_log, tmp_path_factory):
    with inside(ib_gateway_log, tmp_path_factory.mktemp("scanner") / "book", date=DAY) as client:
        yield client


def scan(raw, code, *, kind="STK", rows=10, filters="", above="", req_id=4):
    head = [22, req_id, rows, kind, "STK.US.MAJOR", code, above, "", ""]
    raw.send(*head, *[""] * 14, filters, "")


def ranked(raw, *args, **options):
    scan(raw, *args, **options)
    found = raw.seek(20)
    rows = [found[4 + 16 * n : 20 + 16 * n] for n in range(int(found[3]))]
    assert len(found) == 4 + 16 * len(rows)
    assert [row[0] for row in rows] == [str(n) for n in range(len(rows))]
    return [row[2] for row in rows]


def shown(raw, symbol):
    """Return the last price, the close before and the volume as ticks tell them."""
    contract = [*ZVXA]
    contract[1] = symbol
    raw.send(1, 11, 90, *contract, 0, "", 1, 0, "")
    ticks = {m[3]: D(m[4]) for m in raw.drain() if m[0] in ("1", "2") and m[2] == "90"}
    return ticks["4"], ticks["9"], ticks["8"]


def test_instruments_are_ranked_by_their_change_since_the_close(raw):
    found = {symbol: shown(raw, symbol) for symbol in ("ZVXA", "ZVXB", "ZVXC")}
    expected = sorted(found, key=lambda symbol: found[symbol][0] / found[symbol][1], reverse=True)
    assert ranked(raw, "TOP_PERC_GAIN") == expected
    assert ranked(raw, "TOP_PERC_LOSE") == expected[::-1]
    assert ranked(raw, "TOP_PERC_GAIN", rows=1) == expected[:1]


def test_instruments_are_ranked_by_their_volume_and_kept_to_a_kind(raw):
    found = {symbol: shown(raw, symbol)[2] for symbol in ("ZVXA", "ZVXB", "ZVXC")}
    assert ranked(raw, "MOST_ACTIVE") == sorted(found, key=lambda symbol: -found[symbol])
    assert ranked(raw, "TOP_PERC_GAIN", kind="FUT.US") == ["ZVF"]


def test_filters_leave_out_what_they_say(raw):
    prices = {symbol: shown(raw, symbol)[0] for symbol in ("ZVXA", "ZVXB", "ZVXC")}
    limit = sorted(prices.values())[1]
    dear = {symbol for symbol, price in prices.items() if price >= limit}
    assert set(ranked(raw, "MOST_ACTIVE", filters=f"priceAbove={limit};")) == dear
    assert set(ranked(raw, "MOST_ACTIVE", above=limit)) == dear
    assert ranked(raw, "MOST_ACTIVE", filters="changePercAbove=1000;") == []


def test_a_scan_is_told_anew_every_half_minute_until_it_is_cancelled(raw):
    raw.subscribe(1)
    ranked(raw, "MOST_ACTIVE")
    told = [m for m in step(raw, 400) if m[0] in ("20", "109")]
    times = [int(told[n + 1][1]) for n, m in enumerate(told[:-1]) if m[0] == "20"]
    assert len(times) > 2
    assert len({time // 30_000 for time in times}) == len(times)
    raw.send(23, 1, 4)
    assert raw.error(162)[2].endswith("API scanner subscription cancelled: 4")
    assert [m for m in step(raw, 400) if m[0] == "20"] == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"code": "HIGH_DIVIDEND_YIELD_IB"},
            "scan code HIGH_DIVIDEND_YIELD_IB: expected one of TOP_PERC_GAIN",
        ),
        ({"kind": "BOND"}, "instrument BOND: expected one of STK"),
        ({"filters": "marketCapAbove1e6=5;"}, "filter marketCapAbove1e6: expected one of priceAbove"),
        ({"filters": "priceAbove=much;"}, "expected a number"),
    ],
)
def test_what_is_not_simulated_is_named(raw, given, told):
    scan(raw, **{"code": "MOST_ACTIVE", **given})
    req_id, _, text = raw.error(162)
    assert (req_id, told in text) == ("4", True)


def test_the_parameters_name_what_can_be_scanned(raw):
    raw.send(24, 1)
    kinds, _, scans = ET.fromstring(raw.seek(19)[2])
    assert "STK" in [kind.findtext("type") for kind in kinds]
    codes = [code.findtext("scanCode") for code in scans]
    assert "TOP_PERC_GAIN" in codes
    for code in codes:
        ranked(raw, code)


@pytest.mark.parametrize(("period", "duration"), [("1 day", "1 D"), ("3 days", "3 D"), ("1 week", "1 W")])
def test_a_histogram_holds_what_was_traded_at_each_price(raw, period, duration):
    raw.send(88, 6, *ZVXA, 0, 0, period)
    found = raw.seek(89)
    prices, sizes = ([D(value) for value in found[first::2]] for first in (3, 4))
    assert int(found[2]) == len(prices) == len(sizes)
    assert prices == sorted(set(prices))
    raw.send(20, 7, *ZVXA, 0, "", "1 day", duration, 0, "TRADES", 1, 0, "")
    bars = raw.seek(17)
    assert sum(sizes) == sum(D(value) for value in bars[8::8])
    assert max(prices) == max(D(value) for value in bars[5::8])


def test_hours_of_trading_are_longer_than_regular_ones(raw):
    raw.send(9, 8, 9, *ZVXA, 0, "", "", "")
    found = raw.seek(10)
    assert "20250703:0930-20250703:1300" in found
    assert "20250703:0000-20250704:0000" in found


def test_a_continuous_future_is_the_one_that_ends_next(raw):
    contract = ["0", "ZVF", "CONTFUT", "", "0", "", "", "CME", "", "USD", "", ""]
    raw.send(9, 8, 9, *contract, 0, "", "", "")
    found = raw.seek(10)
    assert (found[2], found[3], found[10]) == ("ZVF", "CONTFUT", "ZVFU5")
    raw.send(20, 7, *contract, 0, "", "1 hour", "2 D", 0, "TRADES", 1, 0, "")
    assert raw.seek(17)[1] == "7"
