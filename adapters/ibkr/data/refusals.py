"""What the broker's codes say of a request for market data, and what the operator can do about it. Pure.

A code here never speaks of an order. 10090 (a part of the data is not subscribed) is not among them: the
other ticks go on, and the message alone is kept.
"""

import msgspec

from core.events import DataState

_SUBSCRIBE = (
    "subscribe to the exchange's data in Client Portal and share them with the paper account, or allow "
    "delayed prices with [ibkr] delayed_data = true"
)


class Refusal(msgspec.Struct, frozen=True):
    """What becomes of a line: its state, why, and what to do."""

    state: DataState
    why: str
    remedy: str

    @property
    def text(self) -> str:
        """The reason and the remedy in one sentence."""
        return f"{self.why}: {self.remedy}"


REFUSALS = {
    101: Refusal(
        "left_out",
        "the login has no free market data line",
        "set [ibkr] market_data_lines to what the login has, or close windows of TWS that show prices",
    ),
    200: Refusal(
        "refused",
        "the broker knows no such contract, or it has expired",
        "compare symbol, exchange, currency and expiry with TWS",
    ),
    354: Refusal("refused", "the data are not subscribed", _SUBSCRIBE),
    10089: Refusal("refused", "the data need a subscription of their own", _SUBSCRIBE),
    10167: Refusal("delayed", "the data are not subscribed, delayed ones are sent", _SUBSCRIBE),
    10168: Refusal("refused", "the data are not subscribed and delayed ones are off", _SUBSCRIBE),
    10186: Refusal("refused", "the data are not subscribed and delayed ones are off", _SUBSCRIBE),
    10197: Refusal(
        "refused",
        "another session of this user has the data",
        "end it (TWS, mobile, Client Portal), or use a second user name; asked for again once a minute",
    ),
}
"""By code. Every other code about a data request is kept as a message and changes no line."""

SINGLE_TRADES_REFUSED = frozenset({10187, 10189, 10190})
"""Tick by tick is refused, for want of permission or of a free place: trades come as time and sales."""
ELSEWHERE = 10197
"""Another session of the login has the data; they may come back when it ends."""
