"""What a client asks of an order, in our terms: checked, or refused with the code that the broker would give.

Pure. An order that is well formed for us (`core.order_rules`) is so for the broker, too; the codes are its
own. Prices that an order's type has not are left out, as the broker leaves them out. Knows no other order.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import cast, get_args

import msgspec

from adapters.ibkr.gateway.contracts import Contract
from adapters.ibkr.gateway.requests import PlaceOrder
from adapters.ibkr.gateway.times import moment
from adapters.ibkr.gateway.wire import BadFrame
from core.events import OrderIntended, OrderType, TimeInForce
from core.money import CONTEXT, money
from core.order_rules import PRICES, order_defect
from core.price_steps import PriceSteps

TYPES: frozenset[str] = frozenset(get_args(OrderType))
TIFS: frozenset[str] = frozenset(get_args(TimeInForce))
OCA_CANCEL, OCA_REDUCE, OCA_REDUCE_FREELY = 1, 2, 3
"""A fill of one order of a group cancels the others, or reduces them; with 3 several may be at exchanges."""
_PER_CENT = Decimal(100)
_CODES: Mapping[str, int] = MappingProxyType({"quantity": 434, "price": 321, "tif": 201})
_INVALID = "Error validating request.-'bX' : cause - "
_REJECTED = "Order rejected - reason:"


class Refusal(Exception):
    """A request that is answered with an error code instead of being done."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Asked(msgspec.Struct, frozen=True):
    """The terms of an order as asked for, without who asked for it."""

    side: str
    quantity: Decimal
    type: OrderType
    limit: Decimal | None
    stop: Decimal | None
    tif: TimeInForce
    trail: Decimal | None
    trail_pct: Decimal | None
    good_till: int | None
    outside_rth: bool

    def intent(self, ts: int, key: str, account: str, owner: str, instrument: str) -> OrderIntended:
        """Return the order as an intent of its client's."""
        return OrderIntended(
            ts,
            key,
            account,
            owner,
            instrument,
            "BUY" if self.side == "BUY" else "SELL",
            self.quantity,
            self.type,
            self.limit,
            self.stop,
            self.tif,
            "",
            self.trail,
            self.trail_pct,
            self.good_till,
            self.outside_rth,
        )


def asked_terms(asked: PlaceOrder, contract: Contract, account: str, ts: int) -> Asked:
    """Return what a client asks for; raises `Refusal` for what is malformed or not simulated."""
    _check_kind(asked)
    if asked.quantity is None or asked.quantity <= 0:
        raise Refusal(434, "The order size cannot be zero")
    if asked.account not in ("", account):
        raise Refusal(321, f"{_INVALID}Invalid account code '{asked.account}'.")
    found = _terms(asked, contract)
    defect = order_defect(found.intent(ts, "order", account, "client", contract.instrument))
    if defect is not None:
        code = _CODES[defect.rule]
        raise Refusal(code, f"{_INVALID if code == 321 else _REJECTED}{defect.message}")
    _check_prices(found, contract.steps)
    return found


def _check_kind(asked: PlaceOrder) -> None:
    if asked.type not in TYPES:
        raise Refusal(387, f"Unsupported order type for this exchange and security type: {asked.type}")
    if asked.unsupported:
        raise Refusal(201, f"{_REJECTED}not simulated: {', '.join(asked.unsupported)}")
    if asked.action not in ("BUY", "SELL"):
        raise Refusal(201, f"{_REJECTED}action {asked.action!r}: expected BUY or SELL")
    if asked.tif and asked.tif not in TIFS:
        raise Refusal(201, f"{_REJECTED}time in force {asked.tif!r} is not simulated")
    if asked.oca_group and asked.oca_type not in range(4):
        raise Refusal(321, f"{_INVALID}ocaType {asked.oca_type}: expected 1, 2 or 3")


def _terms(asked: PlaceOrder, contract: Contract) -> Asked:
    kind, tif = cast("OrderType", asked.type), cast("TimeInForce", asked.tif or "DAY")
    trails, needed = kind == "TRAIL", PRICES[kind]
    share = asked.trail_percent or None  # clients send 0 for none
    assert asked.quantity is not None
    return Asked(
        asked.action,
        money(asked.quantity),
        kind,
        _money(asked.limit) if "limit" in needed else None,
        _money(asked.trail_stop or None) if trails else _money(asked.aux) if "stop" in needed else None,
        tif,
        _money(asked.aux or None) if trails else None,
        _money(CONTEXT.divide(share, _PER_CENT)) if trails and share is not None else None,
        _till(asked.good_till, contract) if tif == "GTD" else None,
        asked.outside_rth,
    )


def _check_prices(found: Asked, steps: PriceSteps) -> None:
    prices = (value for value in (found.limit, found.stop) if value is not None)
    # A distance has no place of its own among the prices: any step of the contract will do.
    fits = all(map(steps.fits, prices)) and not (found.trail is not None and found.trail % steps.smallest)
    if not fits:
        message = "The price does not conform to the minimum price variation for this contract."
        raise Refusal(110, message)


def _till(shown: str, contract: Contract) -> int | None:
    if not shown:
        return None
    try:
        return moment(shown, contract.timezone)
    except BadFrame as error:
        raise Refusal(391, f"The time or time-zone entered is invalid: {error}") from error


def _money(value: Decimal | None) -> Decimal | None:
    return None if value is None else money(value)
