"""The two long messages: an open order and a completed one, field by field, gated by server version. Pure.

Most fields are those of order features that the gateway has not; they are sent as IB sends them when unset.
"""

from decimal import Decimal

import msgspec

from adapters.ibkr.gateway.contracts import Contract
from adapters.ibkr.gateway.wire import UNSET_DOUBLE, UNSET_INTEGER, Value

Fields = list[Value]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An order as clients see it."""

    order_id: int
    client_id: int
    perm_id: int
    parent_id: int
    parent_perm_id: int
    account: str
    action: str
    quantity: Decimal
    type: str
    limit: Decimal | None
    aux: Decimal | None
    tif: str
    oca_group: str
    oca_type: int
    order_ref: str
    outside_rth: bool
    status: str
    filled: Decimal
    completed_time: str = ""
    completed_status: str = ""
    warning: str = ""
    good_till: str = ""
    trail_stop: Decimal | None = None
    trail_percent: Decimal | None = None


class Preview(msgspec.Struct, frozen=True):
    """Margins and commission that an order would bring: before, change, after; text as on the wire."""

    margins: tuple[str, ...] = (UNSET_DOUBLE,) * 9
    commission: str = UNSET_DOUBLE
    currency: str = ""
    what_if: bool = False
    warning: str = ""


NO_PREVIEW = Preview()


def open_order(c: Contract, o: Shown, version: int, preview: Preview = NO_PREVIEW) -> Fields:
    """Return message 5."""
    fields: Fields = [5, *([] if version >= 145 else [34]), o.order_id, *c.fields()]
    fields += [o.action, o.quantity, o.type, _price(o.limit), _price(o.aux), o.tif, o.oca_group, o.account]
    fields += ["", 0, o.order_ref, o.client_id, o.perm_id, o.outside_rth, 0, 0, "", ""]
    fields += _advisor(version)
    fields += [o.good_till, "", UNSET_DOUBLE, "", 0, "", -1, 0]  # good till … auction strategy
    fields += [*_box(), 0, 0, 0, UNSET_INTEGER, o.oca_type or 3, 0, 0, UNSET_DOUBLE, o.parent_id, 0]
    fields += [UNSET_DOUBLE, 0, "None", UNSET_DOUBLE, 0, "", "", "", "?", 0, 0, "", 0, 0]  # volatility
    fields += [*_trailing(o), UNSET_DOUBLE, UNSET_INTEGER]  # and basis points
    fields += ["", 0, 0, 0, UNSET_INTEGER, UNSET_INTEGER, UNSET_DOUBLE]  # legs, smart routing, scale
    fields += ["", 0, "", "IB", 0, 0, "", 0]  # hedge … algorithm, solicited
    fields += _preview(o, preview, version)
    fields += [0, 0]  # randomize size and price
    # conditions, and how a stop is to be adjusted: where a trailing one stands comes here once more
    adjusted: Fields = [0, "None", UNSET_DOUBLE, _set(o.trail_stop), *(UNSET_DOUBLE,) * 4, 0]
    fields += adjusted if version >= 102 else []
    fields += ["", "", ""] if version >= 106 else []  # soft dollar tier
    fields += [0] if version >= 111 else []  # cash quantity
    gates = ((141, 0), (145, 0), (148, 0), (151, 0), (158, UNSET_INTEGER), (160, UNSET_INTEGER), (162, 0))
    fields += [value for gate, value in gates if version >= gate]
    fields += _pegs() if version >= 170 else []
    later = ((183, ""), (184, 0), (185, ""), (189, 0), (193, ""), (193, UNSET_INTEGER), (198, ""), (199, 0))
    fields += [value for gate, value in later if version >= gate]
    return fields


def completed_order(c: Contract, o: Shown, version: int) -> Fields:
    """Return message 101: like an open order, but without the ids of client and order."""
    fields: Fields = [101, *c.fields()]
    fields += [o.action, o.quantity, o.type, _price(o.limit), _price(o.aux), o.tif, o.oca_group, o.account]
    fields += ["", 0, o.order_ref, o.perm_id, o.outside_rth, 0, 0, ""]
    fields += _advisor(version)
    fields += [o.good_till, "", UNSET_DOUBLE, "", 0, "", -1]
    fields += [*_box(), 0, 0, UNSET_INTEGER, o.oca_type or 3, 0]
    fields += [UNSET_DOUBLE, 0, "None", UNSET_DOUBLE, 0, 0, 0, "", 0, 0]
    fields += _trailing(o)
    fields += ["", 0, 0, 0, UNSET_INTEGER, UNSET_INTEGER, UNSET_DOUBLE]
    fields += ["", "", "IB", 0, 0, "", 0]
    fields += [o.status, 0, 0]
    fields += [0] if version >= 102 else []  # conditions
    fields += [_set(o.trail_stop), UNSET_DOUBLE]
    fields += [0] if version >= 111 else []
    fields += [value for gate, value in ((141, 0), (145, 0)) if version >= gate]
    fields += ["", o.filled, 0, 0, "", 0, 0, o.parent_perm_id, o.completed_time, o.completed_status]
    fields += _pegs() if version >= 170 else []
    fields += [value for gate, value in ((183, ""), (184, 0), (198, "")) if version >= gate]
    return fields


def _price(value: Decimal | None) -> Value:
    return 0 if value is None else value


def _trailing(o: Shown) -> Fields:
    return [_set(o.trail_stop), _set(o.trail_percent)]


def _set(value: Decimal | None) -> Value:
    return UNSET_DOUBLE if value is None else value


def _advisor(version: int) -> Fields:
    # group, method, percentage, profile; and the model code behind them
    return ["", "", "", *([""] if version < 177 else []), *([""] if version >= 103 else [])]


def _box() -> Fields:
    return [UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_INTEGER]


def _pegs() -> Fields:
    return [UNSET_INTEGER, UNSET_INTEGER, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE]


def _preview(o: Shown, preview: Preview, version: int) -> Fields:
    margins: Fields = list(preview.margins) if version >= 142 else list(preview.margins[-3:])
    fields: Fields = [preview.what_if, o.status, *margins]
    fields += [preview.commission, UNSET_DOUBLE, UNSET_DOUBLE, preview.currency]
    if version >= 195:
        fields += [preview.currency, *(UNSET_DOUBLE,) * 9, "", "", 0]
    return [*fields, preview.warning or o.warning]
