"""The life of an order: what we decide, what we send, what the broker answers.

`order` is our deterministic id (strategy–session–n). `version` counts modifications from 1. Amounts
are `Decimal`, quantised by `core.money`. `strategy` is the instance id; empty means external.
"""

from decimal import Decimal
from typing import Literal

from core.events.base import Event, event

Side = Literal["BUY", "SELL"]
OrderType = Literal["MKT", "LMT", "STP", "STP LMT", "TRAIL", "LIT", "MOC"]
TimeInForce = Literal["DAY", "GTC", "GTD", "IOC", "FOK", "OPG"]
OrderStatus = Literal[
    "Submitted",
    "PartiallyFilled",
    "Filled",
    "Cancelled",
    "Rejected",
    "PreSubmitted",
    "PendingCancel",
    "Inactive",
]

HoldOutcome = Literal["released", "expired", "cancelled", "replaced"]


@event("order_intended", "decision")
class OrderIntended(Event, frozen=True, gc=False, omit_defaults=True):
    """A strategy wants to trade; nothing has been checked or sent.

    `stop` is the trigger of `STP`, `STP LMT` and `LIT`, and where a `TRAIL` starts (`None`: at its distance
    from the market). A `TRAIL` follows the market at the distance `trail` (an amount) or `trail_pct` (a
    fraction of the price). Market-on-open is `MKT` with `OPG`. `GTD` ends at `good_till` (ns UTC).
    `outside_rth` lets an order fill outside regular hours. With a `parent` the order waits for that
    order's fills and never exceeds them. Of an `oca` group (one cancels all) a fill of one reduces the
    others in proportion, a complete one cancels them.
    """

    order: str
    account: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    type: OrderType
    limit: Decimal | None
    stop: Decimal | None
    tif: TimeInForce
    reason: str
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    good_till: int | None = None
    outside_rth: bool = False
    parent: str = ""
    oca: str = ""


@event("order_retried", "decision")
class OrderRetried(Event, frozen=True, gc=False):
    """An order that certainly was not at the broker is put up again; a fresh risk check follows.

    `retry` counts from 1. The order keeps its id; it goes out under a new reference and a new order id.
    """

    order: str
    retry: int
    account: str
    strategy: str
    instrument: str
    reason: str


@event("order_held", "decision")
class OrderHeld(Event, frozen=True, gc=False):
    """An intent that could not leave just now: no connection, or the books not compared yet. It waits.

    It waits up to `until` (ns UTC; 0: for as long as the session), then it expires. `reason` says what bars
    it.
    """

    order: str
    version: int
    account: str
    strategy: str
    instrument: str
    until: int
    reason: str


@event("hold_ended", "decision")
class HoldEnded(Event, frozen=True, gc=False):
    """An intent is not held any more. If it was `released`, a fresh risk check follows; else it never left.

    `expired`: its time was over, or its session. `cancelled`: its strategy, or a halt, took it back.
    `replaced`: a later change stands for it.
    """

    order: str
    version: int
    account: str
    strategy: str
    instrument: str
    outcome: HoldOutcome
    reason: str


@event("modify_intended", "decision")
class ModifyIntended(Event, frozen=True, gc=False, omit_defaults=True):
    """A strategy wants a working order changed; the fields are the full new version.

    Of `tif`, `good_till` and `outside_rth` an empty one says that it is as before; `good_till` ends with
    another `tif` than `GTD`.
    """

    order: str
    version: int
    account: str
    strategy: str
    instrument: str
    quantity: Decimal
    limit: Decimal | None
    stop: Decimal | None
    reason: str
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    tif: TimeInForce | None = None
    good_till: int | None = None
    outside_rth: bool | None = None


@event("cancel_intended", "decision")
class CancelIntended(Event, frozen=True, gc=False):
    """A strategy wants an order withdrawn."""

    order: str
    account: str
    strategy: str
    instrument: str
    reason: str


@event("risk_approved", "decision")
class RiskApproved(Event, frozen=True, gc=False, omit_defaults=True):
    """The intent may go out. `profile` names the rule set that let it pass.

    `rule` is the one that has least left of its `limit`, with its present `value` and the `headroom`; empty
    where no limit was asked, as for an order that only reduces.
    """

    order: str
    version: int
    account: str
    strategy: str
    instrument: str
    profile: str
    rule: str = ""
    limit: str = ""
    value: str = ""
    headroom: str = ""


@event("risk_refused", "decision")
class RiskRefused(Event, frozen=True, gc=False, omit_defaults=True):
    """The intent may not go out: `value` would exceed `limit` of `rule`; `message` says so in words.

    `headroom` is what is left of the limit: negative by as much as is too much. `version` 0 is a cancel of
    what is no order of its strategy's, or, without an order, a value or time that no event can hold: nothing
    has changed.
    """

    order: str
    version: int
    account: str
    strategy: str
    instrument: str
    rule: str
    limit: str
    value: str
    message: str
    headroom: str = ""


@event("order_send_started", "decision")
class OrderSendStarted(Event, frozen=True, gc=False):
    """Version `version` of the order is about to leave; durable before its first byte does."""

    order: str
    version: int
    account: str
    strategy: str
    instrument: str


@event("cancel_send_started", "decision")
class CancelSendStarted(Event, frozen=True, gc=False):
    """A cancel request is about to leave."""

    order: str
    account: str
    strategy: str
    instrument: str


@event("order_attempted", "effect")
class OrderAttempted(Event, frozen=True, gc=False, omit_defaults=True):
    """Under which names a version goes to the broker; durable before its first byte leaves.

    `ref` is unique to the attempt and is never used again. `broker_id` is the order id on the wire, which
    means something only together with `client_id` and may be issued again by the broker. `parent_id` is that
    of the parent it names there (0: none), `group` the OCA group under the name that it has at the broker.
    """

    order: str
    version: int
    attempt: int
    ref: str
    broker_id: int
    client_id: int
    parent_id: int = 0
    group: str = ""


@event("order_bound", "broker")
class OrderBound(Event, frozen=True, gc=False):
    """The broker's permanent id of an order, seen for the first time: its identity from now on."""

    order: str
    perm_id: int
    broker_id: int
    client_id: int


@event("order_resolved", "broker")
class OrderResolved(Event, frozen=True, gc=False):
    """What reconciliation found of an order whose fate was open; `evidence` says what it rests on.

    `outcome` is `live`, `ended`, `not_sent`, `unknown` or `presumed_lost`. It replaces what was believed
    before: an order taken for refused that is found at the broker is `live` again.
    """

    order: str
    outcome: Literal["live", "ended", "not_sent", "unknown", "presumed_lost"]
    evidence: str


@event("order_sent", "effect")
class OrderSent(Event, frozen=True, gc=False):
    """All bytes of version `version` were handed to the connection."""

    order: str
    version: int


@event("send_failed", "effect")
class SendFailed(Event, frozen=True, gc=False):
    """The send did not complete. Only with `bytes_written` = 0 is the order certainly not out.

    `version` 0 is the request to cancel: the order itself stands as it did.
    """

    order: str
    version: int
    bytes_written: int
    message: str


@event("cancel_sent", "effect")
class CancelSent(Event, frozen=True, gc=False):
    """All bytes of a cancel request were handed to the connection; `reason` is set if no strategy asked."""

    order: str
    reason: str = ""


@event("order_amended", "broker")
class OrderAmended(Event, frozen=True, gc=False, omit_defaults=True):
    """The broker shows other terms than any that we sent: they are the order's version from now on.

    Of `good_till`, `outside_rth`, `parent`, `oca` and `tif` an empty one says that it is as before.
    """

    order: str
    version: int
    quantity: Decimal
    limit: Decimal | None
    stop: Decimal | None
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    good_till: int | None = None
    outside_rth: bool | None = None
    parent: str | None = None
    oca: str | None = None
    tif: TimeInForce | None = None


@event("order_status", "broker")
class OrderStatusChanged(Event, frozen=True, gc=False):
    """What the broker says of an order. Advisory: filled quantities come from `Filled` alone."""

    order: str
    version: int
    account: str
    strategy: str
    instrument: str
    status: OrderStatus
    message: str = ""


@event("filled", "broker")
class Filled(Event, frozen=True, gc=False):
    """An execution. `exec_id` is its identity: the same id again changes nothing."""

    exec_id: str
    order: str
    account: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    venue: str = ""


@event("fill_corrected", "broker")
class FillCorrected(Event, frozen=True, gc=False):
    """Replaces the execution `exec_id` with full new values; the highest `revision` wins."""

    exec_id: str
    revision: int
    order: str
    account: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    venue: str = ""


@event("commission", "broker")
class CommissionReported(Event, frozen=True, gc=False):
    """What the execution `exec_id` cost (positive), in `currency`; may come late or be corrected."""

    exec_id: str
    order: str
    account: str
    strategy: str
    instrument: str
    amount: Decimal
    currency: str
