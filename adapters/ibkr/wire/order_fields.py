"""Orders between our terms and the broker's: intents out, what the broker shows of orders in.

Pure: `ibapi` objects come as arguments and are filled or read by attribute, so nothing is imported.
It decides nothing: ids, references and whether an order may go are given.
"""

from decimal import Decimal
from typing import Any

import msgspec

from adapters.ibkr.wire.terms import Margin, OrderState, OrderTerms
from adapters.ibkr.wire.times import utc_text
from adapters.ibkr.wire.values import amount, identity, integer
from core.events import OrderIntended
from core.money import CONTEXT, ZERO
from core.views import Order

ORDER_REF_MAX = 36
"""Longer references were never seen to work."""
LIMITED = frozenset({"LMT", "STP LMT", "LOC", "LIT"})
STOPPED = frozenset({"STP", "STP LMT", "MIT", "LIT"})
OCA_REDUCE = 2
"""A fill of one order of a group reduces the others in proportion; only one at a time is at an exchange."""
_PER_CENT = Decimal(100)


class Names(msgspec.Struct, frozen=True, gc=False):
    """Under which names an order goes to the broker: its reference, its parent there, its OCA group there."""

    ref: str
    parent_id: int = 0
    group: str = ""


def terms_of(order: OrderIntended | Order, names: Names, *, transmit: bool = True) -> OrderTerms:
    """Return the terms to send for an order, under a reference that no other attempt ever has.

    At the broker the distance of a trailing stop stands where other orders have their stop price, a share is
    in per cent, and an order ends within a whole second: the one begun at `good_till`.
    """
    assert len(names.ref) <= ORDER_REF_MAX
    assert names.ref.isascii()
    trails = order.type == "TRAIL"
    return OrderTerms(
        side=order.side,
        quantity=order.quantity,
        type=order.type,
        limit=order.limit,
        stop=order.trail if trails else order.stop,
        tif=order.tif,
        account=order.account,
        order_ref=names.ref,
        parent_id=names.parent_id or None,
        oca_group=names.group,
        oca_kind=OCA_REDUCE if names.group else 0,
        transmit=transmit,
        outside_hours=order.outside_rth,
        good_till="" if order.good_till is None else utc_text(order.good_till),
        trail_stop=order.stop if trails else None,
        trail_percent=None if order.trail_pct is None else CONTEXT.multiply(order.trail_pct, _PER_CENT),
    )


def read_order(said: Any, *, completed: bool = False) -> OrderTerms:
    """Return what an `ibapi` order says. The quantity filled is read of completed orders only."""
    return OrderTerms(
        side=said.action,
        quantity=amount(said.totalQuantity),
        type=said.orderType,
        limit=amount(said.lmtPrice),
        stop=amount(said.auxPrice),
        tif=said.tif,
        account=said.account,
        order_ref=said.orderRef,
        order_id=identity(said.orderId),
        client_id=None if completed else integer(said.clientId),
        perm_id=identity(said.permId),
        parent_id=identity(said.parentId),
        parent_perm_id=identity(said.parentPermId),
        oca_group=said.ocaGroup,
        oca_kind=said.ocaType,
        outside_hours=said.outsideRth,
        good_after=said.goodAfterTime,
        good_till=said.goodTillDate,
        trail_stop=amount(said.trailStopPrice) or None,
        trail_percent=amount(said.trailingPercent) or None,
        limit_offset=amount(said.lmtPriceOffset) or None,
        trigger_method=said.triggerMethod,
        cash_quantity=amount(said.cashQty) or None,
        algo=said.algoStrategy,
        what_if=said.whatIf,
        filled=amount(said.filledQuantity) if completed else None,
    )


def fill_order(terms: OrderTerms, blank: Any) -> Any:
    """Write our terms into a blank `ibapi` order and return it; what is `None` stays unset."""
    blank.action, blank.orderType, blank.tif = terms.side, terms.type, terms.tif
    blank.totalQuantity = terms.quantity if terms.quantity is not None else ZERO
    blank.account, blank.orderRef = terms.account, terms.order_ref
    blank.transmit, blank.whatIf = terms.transmit, terms.what_if
    blank.parentId = terms.parent_id or 0
    blank.ocaGroup, blank.ocaType = terms.oca_group, terms.oca_kind
    blank.outsideRth = terms.outside_hours
    blank.goodAfterTime, blank.goodTillDate = terms.good_after, terms.good_till
    blank.triggerMethod, blank.algoStrategy = terms.trigger_method, terms.algo
    for name, value in _prices(terms):
        if value is not None:
            setattr(blank, name, float(value))
    # Old releases set both by default, and servers refuse them since.
    for name in ("eTradeOnly", "firmQuoteOnly"):
        if hasattr(blank, name):
            setattr(blank, name, False)
    return blank


def read_state(said: Any) -> OrderState:
    """Return what an `ibapi` order state says, under the old names of commissions or the new ones."""
    kind = "commissionAndFees" if hasattr(said, "commissionAndFees") else "commission"
    capital = kind[0].upper() + kind[1:]
    return OrderState(
        status=said.status,
        before=_margin(said, "Before"),
        change=_margin(said, "Change"),
        after=_margin(said, "After"),
        commission=amount(getattr(said, kind)),
        commission_min=amount(getattr(said, f"min{capital}")),
        commission_max=amount(getattr(said, f"max{capital}")),
        commission_currency=getattr(said, f"{kind}Currency"),
        warning=said.warningText,
        reject_reason=getattr(said, "rejectReason", ""),
        completed_time=said.completedTime,
        completed_status=said.completedStatus,
    )


def _margin(said: Any, when: str) -> Margin:
    return Margin(
        initial=amount(getattr(said, f"initMargin{when}")),
        maintenance=amount(getattr(said, f"maintMargin{when}")),
        equity=amount(getattr(said, f"equityWithLoan{when}")),
    )


def _prices(terms: OrderTerms) -> tuple[tuple[str, Decimal | None], ...]:
    return (
        ("lmtPrice", terms.limit),
        ("auxPrice", terms.stop),
        ("trailStopPrice", terms.trail_stop),
        ("trailingPercent", terms.trail_percent),
        ("lmtPriceOffset", terms.limit_offset),
        ("cashQty", terms.cash_quantity),
    )
