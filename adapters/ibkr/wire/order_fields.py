"""Orders between our terms and the broker's: intents out, what the broker shows of orders in.

Pure: `ibapi` objects come as arguments and are filled or read by attribute, so nothing is imported.
It decides nothing: ids, references and whether an order may go are given.
"""

from decimal import Decimal
from typing import Any, get_args

import msgspec

from adapters.ibkr.wire.messages import OpenOrder
from adapters.ibkr.wire.terms import Margin, OrderState, OrderTerms
from adapters.ibkr.wire.values import amount, identity, integer
from core.events import ModifyIntended, OrderIntended, OrderType, Side, TimeInForce
from core.money import ZERO

ORDER_REF_MAX = 36
"""Longer references were never seen to work."""
LIMITED = frozenset({"LMT", "STP LMT", "LOC", "LIT"})
STOPPED = frozenset({"STP", "STP LMT", "MIT", "LIT", "TRAIL"})
_COMPARED = ("side", "quantity", "type", "tif", "account")


def terms_of(intent: OrderIntended, order_ref: str) -> OrderTerms:
    """Return the terms to send for an order, under a reference that no other attempt ever has."""
    assert len(order_ref) <= ORDER_REF_MAX
    assert order_ref.isascii()
    return OrderTerms(
        side=intent.side,
        quantity=intent.quantity,
        type=intent.type,
        limit=intent.limit,
        stop=intent.stop,
        tif=intent.tif,
        account=intent.account,
        order_ref=order_ref,
    )


def modified(terms: OrderTerms, intent: ModifyIntended) -> OrderTerms:
    """Return the terms of an order's new version; it goes out under the same order id."""
    return msgspec.structs.replace(terms, quantity=intent.quantity, limit=intent.limit, stop=intent.stop)


def intended_of(
    said: OpenOrder, *, ts: int, order: str, strategy: str, instrument: str
) -> OrderIntended | None:
    """Return an order of the broker's book in our terms; `None` if we have no such kind of order."""
    terms = said.terms
    if (
        terms.side not in get_args(Side)
        or terms.type not in get_args(OrderType)
        or terms.tif not in get_args(TimeInForce)
        or terms.quantity is None
    ):
        return None
    return OrderIntended(
        ts,
        order=order,
        account=terms.account,
        strategy=strategy,
        instrument=instrument,
        side=terms.side,  # type: ignore[arg-type]
        quantity=terms.quantity,
        type=terms.type,  # type: ignore[arg-type]
        limit=terms.limit if terms.type in LIMITED else None,
        stop=terms.stop if terms.type in STOPPED else None,
        tif=terms.tif,  # type: ignore[arg-type]
        reason="found at the broker",
    )


def differences(sent: OrderTerms, said: OrderTerms) -> tuple[str, ...]:
    """Return the names of the terms in which the broker's book differs from what was sent.

    Prices count only for order types that have them: the broker shows a market order with a limit of 0.
    """
    names = [
        *_COMPARED,
        *(["limit"] if sent.type in LIMITED else []),
        *(["stop"] if sent.type in STOPPED else []),
    ]
    return tuple(name for name in names if getattr(sent, name) != getattr(said, name))


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
