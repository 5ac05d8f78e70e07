"""Events and entries in few words, so that a test shows only what it is about."""

from collections.abc import Iterable
from decimal import Decimal

from core.events import (
    CommissionReported,
    Entry,
    Event,
    FillCorrected,
    Filled,
    InstrumentDefined,
    OrderIntended,
    OrderStatusChanged,
)
from projections.base import Projection

D = Decimal

ACCOUNT = "DU1"
STRATEGY = "sma"


def stock(name="ACME", currency="USD"):
    return InstrumentDefined(0, name, name, "STK", "NYSE", currency, D(1), D("0.01"), "America/New_York")


def future(name="IDX-202509", multiplier="50"):
    return InstrumentDefined(
        0, name, "IDX", "FUT", "CME", "USD", D(multiplier), D("0.25"), "America/Chicago", expiry="202509"
    )


def option(name="ACME-20250919-C-250"):
    return InstrumentDefined(
        0, name, "ACME", "OPT", "CBOE", "USD", D(100), D("0.01"), "America/New_York", right="C"
    )


def fill(exec_id, side, quantity, price, *, ts=1, order="o1", strategy=STRATEGY, instrument="ACME"):
    return Filled(
        ts, exec_id, order, ACCOUNT, strategy, instrument, side, D(str(quantity)), D(str(price)), "X"
    )


def corrected(
    exec_id, revision, side, quantity, price, *, ts=1, order="o1", strategy=STRATEGY, instrument="ACME"
):
    return FillCorrected(
        ts,
        exec_id,
        revision,
        order,
        ACCOUNT,
        strategy,
        instrument,
        side,
        D(str(quantity)),
        D(str(price)),
        "X",
    )


def charge(exec_id, amount, *, ts=1, order="o1", currency="USD", instrument="ACME"):
    return CommissionReported(ts, exec_id, order, ACCOUNT, STRATEGY, instrument, D(str(amount)), currency)


def intent(order="o1", quantity=100, side="BUY", *, ts=1, strategy=STRATEGY, instrument="ACME"):
    return OrderIntended(
        ts, order, ACCOUNT, strategy, instrument, side, D(str(quantity)), "LMT", D("10"), None, "DAY", "why"
    )


def status(word, order="o1", version=1, *, ts=1, message=""):
    return OrderStatusChanged(ts, order, version, ACCOUNT, STRATEGY, "ACME", word, message)


def entries(*events: Event, first: int = 1) -> list[Entry]:
    """Number events as inputs from `first` on."""
    return [Entry(seq, None, seq, None, event) for seq, event in enumerate(events, first)]


def feed(projection: Projection, *events: Event) -> None:
    """Fold events on top of what the projection holds."""
    for entry in entries(*events, first=projection.applied_seq + 1):
        projection.apply(entry)


def feed_all(projections: Iterable[Projection], *events: Event) -> None:
    """Fold the same events into several projections."""
    for projection in projections:
        feed(projection, *events)
