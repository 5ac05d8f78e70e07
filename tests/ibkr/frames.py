"""Messages as a server writes them, field by field, for any protocol version from 163 to 200.

Written from the protocol's own gates, not from our code, so that a mistake of ours shows. Values that a
server leaves unset are `UNSET`, which a test sets to any of the forms that servers use.
"""

E308 = "1.7976931348623157E308"
CONTRACT = (265598, "AAPL", "STK", "", "0", "", "", "SMART", "USD", "AAPL", "NMS")
"""con id, symbol, kind, expiry, strike, right, multiplier, exchange, currency, local symbol, class."""


def payload(*fields):
    """Join fields; each ends with a NUL. Booleans are 0 and 1."""
    texts = (int(field) if isinstance(field, bool) else field for field in fields)
    return b"".join(str(text).encode() + b"\0" for text in texts)


def open_order(
    version,
    *,
    unset="",
    order_id=17,
    perm_id=1_234_567_890,
    side="BUY",
    quantity="100",
    kind="LMT",
    limit="144.78",
    stop="0.0",
    tif="DAY",
    account="DU1",
    order_ref="a-1-1",
    status="PreSubmitted",
    what_if=False,
    margins=None,
    commission=None,
    warning="",
    parent=0,
    oca="",
    outside="0",
    good_till="",
    trail_stop=None,
    trail_percent=None,
):
    """Message 5."""
    none, whole = unset, "2147483647" if unset == E308 else unset
    margins = [none] * 9 if margins is None else margins
    charges = [none] * 3 if commission is None else [commission] * 3
    head = [
        *(5, order_id, *CONTRACT, side, quantity, kind, limit, stop, tif, oca, account, "", 0, order_ref),
        *(7, perm_id, outside, False, 0, "", "", "", "", ""),
        *([""] if version < 177 else []),  # the profile of an advisor
        *("", good_till, "", none, "", 0, "", -1, 0, none, none, none, none, none),
        *(whole if none == E308 else none, False, False, False, whole if none == E308 else none),
        *(1, False, False, none, parent, 0, none, 0, "None", none, 0, "", "", "", "?", False, 0, ""),
        *(False, whole, none if trail_stop is None else trail_stop),
        *(none if trail_percent is None else trail_percent, none, 2147483647, "", 0, 0, 0),
    ]
    state = [
        *(2147483647, 2147483647, none, "", False, "", "", False, False, "", False, what_if, status),
        *(*margins, *charges, "USD"),
        *(["", *[none] * 9, none, "", 0] if version >= 195 else []),
        *(warning, False, False, 0),
    ]
    return payload(*head, *state, *_open_order_end(version, none, trail_stop))


_SINCE = (
    (170, ("2147483647", "2147483647", E308, E308, E308)),
    (183, ("",)),
    (184, (False,)),
    (185, ("",)),
    (189, (False,)),
    (193, ("", "2147483647")),
    (198, ("",)),
    (199, (False,)),
)
"""What the end of message 5 has since which version."""


def _open_order_end(version, none, trail_stop):
    return [
        *("None", E308, E308 if trail_stop is None else trail_stop, E308, E308, E308, E308, 0),
        *("", "", "", none if none == E308 else 0, False, False, False, False),
        *("2147483647", "2147483647", False),
        *(value for since, values in _SINCE if version >= since for value in values),
    ]


def completed_order(version, *, unset="", perm_id=1_234_567_890, filled="100", status="Filled"):
    """Message 101."""
    none = unset
    fields = [
        *(101, *CONTRACT, "BUY", "0", "LMT", "144.78", "0.0", "DAY", "", "DU1", "", 0, "a-1-1"),
        *(perm_id, False, False, 0, "", "", "", ""),
        *([""] if version < 177 else []),
        *("", "", "", none, "", 0, "", -1, none, none, none, none, none),
        *("2147483647", False, False, "2147483647", 3, 0, none, 0, "None", none, 0, False, 0, ""),
        *(False, 0, none, none, "", 0, 0, 0, "2147483647", "2147483647", none, "", "", ""),
        *(False, False, "", False, status, False, False, 0, E308, E308, 0, False, False, ""),
        *(filled, 0, False, "Not an insider or substantial shareholder", False, False, perm_id * 2),
        *("20260102 10:31:22 US/Eastern", "Filled Size: 100"),
        *(["2147483647", "2147483647", E308, E308, E308] if version >= 170 else []),
        *([""] if version >= 183 else []),
        *([False] if version >= 184 else []),
        *([""] if version >= 198 else []),
    ]
    return payload(*fields)


def order_status(*, unset="0", perm_id=1_234_567_890, status="Submitted"):
    """Message 3."""
    return payload(3, 17, status, "0", "100", unset, perm_id, 0, unset, 7, "", unset)


def execution(version, *, req_id=-1, price="144.75", shares="100"):
    """Message 11."""
    fields = [
        *(
            11,
            req_id,
            17,
            *CONTRACT,
            "0000e0d5.65f00001.01.01",
            "20260102 10:31:22 US/Eastern",
            "DU1",
            "ARCA",
        ),
        *("BOT", shares, price, 1_234_567_890, 7, 0, shares, price, "a-1-1", "", "", "", 2),
        *([False] if version >= 178 else []),
        *(["someone"] if version >= 198 else []),
    ]
    return payload(*fields)


def contract_details(version, *, req_id=8):
    """Message 10."""
    fields = [
        10,
        *([8] if version < 164 else []),
        *(req_id, "AAPL", "STK", ""),
        *([""] if version >= 182 else []),
        *("0", "", "SMART", "USD", "AAPL", "NMS", "NMS", 265598, "0.01"),
        *([100] if version < 164 else []),
        *(
            "",
            "LMT,MKT,STP",
            "SMART,NYSE",
            1,
            0,
            "APPLE INC \\u2014 A",
            "NASDAQ",
            "",
            "Technology",
            "Computers",
        ),
        *("Computers", "US/Eastern", "20260102:0400-20260102:2000", "20260102:0930-20260102:1600", "", 0),
        *(1, "ISIN", "US0378331005", 1, "", "", "26,26", "", "COMMON"),
        *(["0.0001"] if version < 164 else ["0.0001", "0.0001", "100"]),
        *([0] if version >= 186 else []),
    ]
    return payload(*fields)


def error(version, *, req_id=-1, code=2104, text="Market data farm connection is OK:usfarm", advanced=""):
    """Message 4."""
    fields = [
        *([4, 2] if version < 194 else [4]),
        *(req_id, code, text),
        *([advanced] if version >= 166 else []),
        *([1_767_364_200_123] if version >= 194 else []),
    ]
    return payload(*fields)


def historical_data(version, bars, *, req_id=9):
    """Message 17; from version 196 the end comes as message 108."""
    fields = [
        *(17, req_id),
        *(["20260102 09:30:00", "20260102 16:00:00"] if version < 196 else []),
        len(bars),
        *(field for bar in bars for field in bar),
    ]
    return payload(*fields)


def position(*, quantity="-100", cost="144.7512345"):
    """Message 61."""
    return payload(61, 3, "DU1", *CONTRACT, quantity, cost)


def portfolio_value(*, unset="0"):
    """Message 7."""
    contract = (265598, "AAPL", "STK", "", "0", "", "", "NASDAQ", "USD", "AAPL", "NMS")
    return payload(7, 8, *contract, "100", "145.5", "14550", "144.75", unset, unset, "DU1")


def symbol_samples(version, *, req_id=5):
    """Message 79."""
    fields = [79, req_id, 2]
    for con_id, symbol in ((265598, "AAPL"), (38708077, "AAPLX")):
        fields += [con_id, symbol, "STK", "NASDAQ", "USD", 2, "CFD", "OPT"]
        fields += ["APPLE INC", ""] if version >= 176 else []
    return payload(*fields)
