"""What stops trading and what lets it go on: the operator's word, and reconciliation with the broker."""

from decimal import Decimal
from typing import Literal

from core.events.base import Event, event

HaltLevel = Literal["halt", "cancel", "cancel_all", "flatten"]
"""The four levels of the kill switch: no new orders; cancel ours; cancel the account's; close positions."""


@event("halt_requested", "operator")
class HaltRequested(Event, frozen=True, gc=False):
    """Trading stops at `level` until `TradingResumed`; `origin` is who asked: a command, the kill file."""

    level: HaltLevel
    reason: str
    origin: str


@event("trading_resumed", "operator")
class TradingResumed(Event, frozen=True, gc=False):
    """The operator lets trading go on after a halt."""

    reason: str


@event("halt_verified", "broker")
class HaltVerified(Event, frozen=True, gc=False):
    """What the broker showed after a halt: `level` is reached when nothing that it forbids is left."""

    level: HaltLevel
    working_orders: int
    open_positions: int
    reached: bool


@event("reconciliation_started", "broker")
class ReconciliationStarted(Event, frozen=True, gc=False):
    """The log is being compared with the broker's book; no entry leaves until it is finished."""

    reason: str


@event("reconciliation_break", "broker")
class BreakFound(Event, frozen=True, gc=False):
    """Log and broker disagree and nothing explains it: the instrument is closed until the operator accepts.

    `kind` is `position`, `missing_fills`, `overfilled`, `duplicate_order`, `unknown_order`, `other_client`,
    `lost_order`; or `unprotected`: an entry or a holding whose stop the broker does not have; or
    `exit_refused`: one whose take-profit it does not have. These two close the instrument for entries only.
    """

    account: str
    instrument: str
    kind: str
    expected: str
    reported: str
    message: str


@event("break_resolved", "broker")
class BreakResolved(Event, frozen=True, gc=False):
    """A later look at the broker's book explained a break about an order; no operator is needed for it."""

    account: str
    instrument: str
    kind: str
    evidence: str


@event("break_accepted", "operator")
class BreakAccepted(Event, frozen=True, gc=False):
    """The operator accepts what the broker reports for an instrument; it may be traded again.

    Orders in it whose fate was unknown count as ended from here on.
    """

    account: str
    instrument: str
    reason: str


@event("reconciliation_finished", "broker")
class ReconciliationFinished(Event, frozen=True, gc=False):
    """The comparison ended. `digest` is over the broker's orders, executions and positions as compared."""

    reason: str
    orders: int
    executions: int
    positions: int
    breaks: int
    digest: str


@event("external_order", "broker")
class ExternalOrderReported(Event, frozen=True, gc=False, omit_defaults=True):
    """An order at the broker that is not ours (by hand, by another client): it counts for risk.

    `status` is the broker's word, or `Gone` once the order is no longer among the open ones. `type` and
    `tif` are the nearest ones of ours. An exit of a bracket names its `parent`, orders of which one cancels
    the others their `oca` group.
    """

    order: str
    account: str
    instrument: str
    side: Literal["BUY", "SELL"]
    quantity: Decimal
    limit: Decimal | None
    stop: Decimal | None
    status: str
    type: str = ""
    tif: str = ""
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    good_till: int | None = None
    outside_rth: bool = False
    parent: str = ""
    oca: str = ""
