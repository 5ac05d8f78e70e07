"""What an order would do to margins and what it would cost, asked of the broker; nothing is ordered."""

from decimal import Decimal
from pathlib import Path

import msgspec

from adapters.ibkr.data.inquiry import Place, inquire
from adapters.ibkr.data.resolving import Unresolved
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.terms import Margin, OrderState, OrderTerms
from app.composition.definitions import definitions_of
from app.data.definitions import resolve
from app.look.books import open_log
from core.errors import TapeError, UsageError
from core.money import money, plain
from core.order_rules import order_type
from projections.sessions import Sessions


class PreviewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is only to be computed. `account` empty takes the login's only one."""

    symbol: str
    side: str
    quantity: Decimal
    limit: Decimal | None = None
    stop: Decimal | None = None
    account: str = ""


def run_preview(root: Path, place: Place, request: PreviewRequest) -> dict[str, object]:
    """Ask the broker, and return its figures as text; raises `RequestRefused` for what it would refuse."""
    if request.limit is not None and request.stop is not None:
        raise UsageError("an order has a limit or a stop price, not both")
    if not request.quantity > 0:
        raise UsageError(f"quantity {request.quantity}: expected a number above 0")
    with inquire(place) as inquiry:
        instrument = resolve(inquiry, _definitions(root), request.symbol, inquiry.now())
        if isinstance(instrument, Unresolved):
            raise UsageError(instrument.text)
        account = request.account or (inquiry.accounts[0] if len(inquiry.accounts) == 1 else "")
        if account not in inquiry.accounts:
            raise UsageError(
                f"account {request.account or '(none given)'}: this login has {', '.join(inquiry.accounts)}; "
                "give one of them with --account"
            )
        state = inquiry.preview(contract_of(instrument), _terms(request, account))
    return {"instrument": instrument.instrument, "account": account, **_figures(state)}


def _definitions(root: Path) -> Sessions:
    try:
        return definitions_of(open_log(root))
    except TapeError:
        return Sessions()  # without a log the broker is asked for the contract


def _terms(request: PreviewRequest, account: str) -> OrderTerms:
    limit = None if request.limit is None else money(request.limit)
    stop = None if request.stop is None else money(request.stop)
    return OrderTerms(
        side=request.side,
        quantity=money(request.quantity),
        type=order_type(limit, stop),
        limit=limit,
        stop=stop,
        account=account,
    )


def _figures(state: OrderState) -> dict[str, object]:
    margins = {"before": state.before, "change": state.change, "after": state.after}
    return {
        **{f"{name}_{when}": _text(m, name) for when, m in margins.items() for name in _MARGINS},
        "commission": None if state.commission is None else plain(state.commission),
        "commission_currency": state.commission_currency,
        "warning": state.warning,
    }


_MARGINS = ("initial", "maintenance", "equity")


def _text(margin: Margin, name: str) -> str | None:
    value: Decimal | None = getattr(margin, name)
    return None if value is None else plain(value)
