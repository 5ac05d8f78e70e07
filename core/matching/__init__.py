"""Matching: when a resting order fills, at what price and for how much. Pure rules, no I/O.

`order` is an order at the simulated broker; `ticks` and `bars` are the two fill modes, `hours` says when
they apply, `families` binds brackets and one-cancels-all groups, `restating` says what splits and dividends
make of orders, `model` names the assumptions, `recall` has what passed by before a broker began again.

An order's prices are converted to float once, on arrival: a float is never compared with a Decimal.
"""

from core.matching.bars import close_in_bars, fills_on_arrival, match_bar, match_open_bar
from core.matching.families import Change, Families
from core.matching.hours import Hours
from core.matching.model import BarFill, FillModel, Slippage, Trigger, parse_slippage
from core.matching.order import Resting
from core.matching.recall import Recall
from core.matching.restating import ActionOrders, is_priced, pay_dividend, restated_quantity, split_order
from core.matching.ticks import closing_price, match_open, match_tick, satisfies, start_trail

__all__ = [
    "ActionOrders",
    "BarFill",
    "Change",
    "Families",
    "FillModel",
    "Hours",
    "Recall",
    "Resting",
    "Slippage",
    "Trigger",
    "close_in_bars",
    "closing_price",
    "fills_on_arrival",
    "is_priced",
    "match_bar",
    "match_open",
    "match_open_bar",
    "match_tick",
    "parse_slippage",
    "pay_dividend",
    "restated_quantity",
    "satisfies",
    "split_order",
    "start_trail",
]
