"""What an order is about, in our own types: the contract, the order's terms, the state it is in.

The same structs go out and come in, so that an order can be compared with what the broker says of it.
They hold the broker's words (`BUY`, `STP LMT`, `20251219`), not ours: translation is elsewhere.
"""

from decimal import Decimal

import msgspec


class Contract(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A contract as the broker names it. `con_id` alone identifies it, together with `exchange`."""

    con_id: int | None = None
    symbol: str = ""
    kind: str = ""
    expiry: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    legs: str = ""


class OrderTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The terms of an order. Amounts are `None` where the broker or we leave them unset.

    `order_id` and `perm_id` are `None` while unknown, and `order_id` for orders of no API client.
    `filled` is set for completed orders only.
    """

    side: str
    quantity: Decimal | None
    type: str
    limit: Decimal | None = None
    stop: Decimal | None = None
    tif: str = "DAY"
    account: str = ""
    order_ref: str = ""
    order_id: int | None = None
    client_id: int | None = None
    perm_id: int | None = None
    parent_id: int | None = None
    parent_perm_id: int | None = None
    oca_group: str = ""
    oca_kind: int = 0
    transmit: bool = True
    outside_hours: bool = False
    good_after: str = ""
    good_till: str = ""
    trail_stop: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    trigger_method: int = 0
    cash_quantity: Decimal | None = None
    algo: str = ""
    what_if: bool = False
    filled: Decimal | None = None


class Margin(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One set of margins: initial, maintenance, and equity with loan value."""

    initial: Decimal | None = None
    maintenance: Decimal | None = None
    equity: Decimal | None = None


class OrderState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Where an order stands. Margins and commissions are set in answers to a what-if order only."""

    status: str
    before: Margin = Margin()
    change: Margin = Margin()
    after: Margin = Margin()
    commission: Decimal | None = None
    commission_min: Decimal | None = None
    commission_max: Decimal | None = None
    commission_currency: str = ""
    warning: str = ""
    reject_reason: str = ""
    completed_time: str = ""
    completed_status: str = ""
