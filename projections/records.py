"""The mutable record of one order behind `Orders`: what is known of it.

A record only notes facts; `view()` derives what is shown. Derivations depend on the set of facts, not
on the order in which they came. Records are `msgspec` structs, so a snapshot is their encoding.
"""

from decimal import Decimal

import msgspec

from core.events import (
    CancelIntended,
    CancelSendStarted,
    CancelSent,
    HoldEnded,
    ModifyIntended,
    OrderAmended,
    OrderHeld,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderStatusChanged,
    RiskRefused,
    SendFailed,
    TimeInForce,
)
from core.money import CONTEXT, ZERO
from core.views import HELD, Order

_add = CONTEXT.add
_subtract = CONTEXT.subtract


# How far an order is known to have come; it never goes back. Plain integers: these are compared in the
# fold of every order event, and an IntEnum's member costs three times as much.
INTENDED = 0
APPROVED = 1
SENDING = 2
SUBMITTED = 3

_SHOWN = ("Intended", "Approved", "Sending", "Submitted")
TERMINAL = frozenset(("Cancelled", "Rejected"))
_MAY_FILL = ("Unknown", HELD)
"""What holds an order back without ending it."""
AMENDED = "changed at the broker"
"""The reason of a version that the broker made."""
_FIXED = ("tif", "good_till", "outside_rth", "parent", "oca")
"""Terms that a version names only where they change."""


class Version(msgspec.Struct, frozen=True, gc=False):
    """One modification: the full new values, except that the last five are `None` where nothing changed."""

    number: int
    quantity: Decimal
    limit: Decimal | None
    stop: Decimal | None
    reason: str
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    good_till: int | None = None
    outside_rth: bool | None = None
    parent: str | None = None
    oca: str | None = None
    tif: TimeInForce | None = None


class OrderRecord(msgspec.Struct, gc=False):
    """What is known of one order.

    `filled` sums the executions in their highest revision; `done` sums them as first reported: a
    correction changes what was filled, but does not put an order back to work. `sent_version` is the
    highest version that left, `acknowledged` the highest that the broker confirmed. `ended` is how the
    broker closed the order, `held_back` how it ended on our side (`Refused`, `SendFailed`, `Expired`),
    that it is `Held` there or that its fate is `Unknown`. `fate` is `unknown` or `presumed_lost` while
    reconciliation has not found it at the broker; any sign of it clears that. `waiting` are the versions
    that are held.
    """

    id: str
    intent: OrderIntended | None = None
    created_seq: int = 0
    updated_ts: int = 0
    quantity: Decimal = ZERO
    progress: int = 0
    sent_version: int = 0
    acknowledged: int = 0
    filled: Decimal = ZERO
    done: Decimal = ZERO
    cancelling: bool = False
    ended: str = ""
    held_back: str = ""
    message: str = ""
    fate: str = ""
    versions: tuple[Version, ...] = ()
    dropped: tuple[int, ...] = ()
    executions: tuple[str, ...] = ()
    waiting: tuple[int, ...] = ()

    def copy(self) -> "OrderRecord":
        """Return a copy that shares nothing mutable, with decimals in canonical form."""
        record = msgspec.structs.replace(self, executions=tuple(sorted(self.executions)))
        record.filled = self.filled.normalize(CONTEXT)
        record.done = self.done.normalize(CONTEXT)
        return record

    def touch(self, ts: int) -> None:
        """Note the time of a fact."""
        if ts > self.updated_ts:  # noqa: PLR1730 - hot: max() is a call
            self.updated_ts = ts

    def refused(self, event: RiskRefused) -> None:
        """Note that our own rules let a version not leave."""
        self._drop(event.version, "Refused", event.message)

    def modify(self, event: ModifyIntended) -> None:
        """Note a modification that was asked for."""
        prices = (event.limit, event.stop, event.reason, event.trail, event.trail_pct)
        times = (event.good_till, event.outside_rth)
        self._add(Version(event.version, event.quantity, *prices, *times, tif=event.tif))

    def amended(self, event: OrderAmended) -> None:
        """Note a version of the broker's own: it stands, also where a refused one had its number."""
        number = event.version
        self.versions = tuple(known for known in self.versions if known.number != number)
        self.dropped = tuple(known for known in self.dropped if known != number)
        prices = (event.limit, event.stop, AMENDED, event.trail, event.trail_pct)
        fixed = (event.good_till, event.outside_rth, event.parent, event.oca, event.tif)
        self._add(Version(number, event.quantity, *prices, *fixed))
        self.acknowledged = max(self.acknowledged, number)

    def cancel(self, _event: CancelIntended | CancelSendStarted | CancelSent) -> None:
        """Note that the order is to be withdrawn."""
        self.cancelling = True

    def send_failed(self, event: SendFailed) -> None:
        """Note that a version, or a cancel request, did not leave, or not whole."""
        if event.version <= self.sent_version:
            self.cancelling = False  # that version had left already: what failed is the cancel request
        elif event.bytes_written == 0:
            self._drop(event.version, "SendFailed", event.message)
        else:
            self._doubt(event.version, event.message)

    def _add(self, version: Version) -> None:
        if all(known.number != version.number for known in self.versions):
            self.versions = tuple(sorted((*self.versions, version), key=lambda known: known.number))

    def last_version(self) -> int:
        """Return the highest number that a version ever had, those that never stood included."""
        return max((1, *(known.number for known in self.versions), *self.dropped))

    def _drop(self, version: int, why: str, message: str) -> None:
        """Note that a version did not and will not leave: the first ends the order, a later one is void."""
        self.message = message
        if version == 1:
            self.held_back = why
        elif version not in self.dropped:
            self.dropped = tuple(sorted((*self.dropped, version)))

    def hold(self, event: OrderHeld) -> None:
        """Note that a version waits for the gate to open; what a send without a byte left behind is over."""
        version = event.version
        self.message = event.reason
        self.waiting = (*self.waiting, version)
        if version == 1:
            self.held_back, self.progress, self.sent_version = HELD, INTENDED, 0
        elif version in self.dropped:
            self.dropped = tuple(known for known in self.dropped if known != version)

    def hold_ended(self, event: HoldEnded) -> None:
        """Note how a hold ended."""
        version, outcome, why = event.version, event.outcome, event.reason
        self.waiting = tuple(known for known in self.waiting if known != version)
        if outcome == "released":
            self.held_back = "" if version == 1 else self.held_back
        elif outcome == "cancelled" and version == 1:
            self.ended, self.message = self.ended or "Cancelled", why
        else:
            self._drop(version, "Expired", why)

    def _doubt(self, version: int, message: str) -> None:
        """Note that a version may or may not have left."""
        self.message = message
        if version == 1:
            self.held_back = "Unknown"

    def report(self, event: OrderStatusChanged) -> None:
        """Note what the broker says; a rejected modification leaves the order as it was."""
        status = event.status
        if event.message:
            self.message = event.message
        if status == "Rejected" and event.version > 1:
            if event.version not in self.dropped:
                self.dropped = tuple(sorted((*self.dropped, event.version)))
            return
        self.progress = SUBMITTED
        if self.fate:  # hot: to set a field of a record costs five times as much as to look at it
            self.fate = ""
        if event.version > self.acknowledged:  # noqa: PLR1730 - hot: max() is a call
            self.acknowledged = event.version
        # "Filled" is advisory: executions say what is filled. Where reports contradict each other, a
        # rejection outranks a cancellation, whichever came first.
        if status in TERMINAL and self.ended != "Rejected":
            self.ended = status

    def resolve(self, event: OrderResolved) -> None:
        """Note what a complete look at the broker's book found: it replaces what was believed before."""
        self.message = event.evidence
        self.fate = event.outcome if event.outcome in ("unknown", "presumed_lost") else ""
        if event.outcome == "live":
            self.ended = self.held_back = ""
            self.cancelling, self.progress = False, SUBMITTED
        elif event.outcome == "ended":
            self.ended = self.ended or "Cancelled"
        elif event.outcome == "not_sent":
            self.held_back = "SendFailed"

    def retried(self, _event: OrderRetried) -> None:
        """Note that the order is put up again: what ended it before is over."""
        self.ended = self.held_back = self.fate = ""
        self.progress, self.sent_version = INTENDED, 0

    def executed(
        self, exec_id: str, before: Decimal, now: Decimal, first_before: Decimal, first: Decimal
    ) -> None:
        """Note that an execution of this order now counts `now` instead of `before`."""
        if exec_id in self.executions:
            self.filled = _subtract(self.filled, before)
            self.done = _subtract(self.done, first_before)
        else:
            self.executions = (*self.executions, exec_id)
        self.filled = _add(self.filled, now)
        self.done = _add(self.done, first)
        self.progress = SUBMITTED

    def withdrawn(self, exec_id: str, quantity: Decimal, first: Decimal) -> None:
        """Note that a correction moved an execution to another order."""
        self.executions = tuple(known for known in self.executions if known != exec_id)
        self.filled = _subtract(self.filled, quantity)
        self.done = _subtract(self.done, first)

    def shown(self) -> Version | None:
        """Return the latest modification that stands, or `None` if the order is as first intended."""
        for version in reversed(self.versions):
            if version.number not in self.dropped:
                return version
        return None

    def standing_quantity(self) -> Decimal:
        """Return the largest quantity among the versions that may be the one at the broker."""
        if not self.versions:
            return self.quantity
        standing = self.quantity if self.acknowledged <= 1 else ZERO
        for version in self.versions:
            if version.number >= self.acknowledged and version.number not in self.dropped:
                standing = max(standing, version.quantity)
        if standing > ZERO:
            return standing
        # Reports that contradict each other (acknowledged and refused) leave no version: assume the largest.
        return max(self.quantity, *(version.quantity for version in self.versions))

    def was_filled(self, before: int) -> bool:
        """Return whether the order was filled whole as it stood before version `before` was asked for."""
        earlier = [v.quantity for v in self.versions if v.number < before and v.number not in self.dropped]
        return self.done > ZERO and self.done >= max(earlier, default=self.quantity)

    def working(self) -> bool:
        """Return whether the order may still fill."""
        if self.intent is None or self.ended or self.fate == "presumed_lost":
            return False
        if self.held_back and self.progress < SUBMITTED and self.held_back not in _MAY_FILL:
            return False
        quantity = self.standing_quantity() if self.versions else self.quantity
        return self.done is not quantity and self.done < quantity  # hot: to compare decimals is a call

    def exposed(self) -> Decimal:
        """Return the quantity that may still fill."""
        return _subtract(self.standing_quantity(), self.done) if self.working() else ZERO

    def state(self) -> str:
        """Return the state to show; see `core.views.Order`."""
        if self.done > ZERO and self.done >= self.standing_quantity():
            return "Filled"
        if self.ended:
            return self.ended
        if self.progress < SUBMITTED and self.held_back and self.held_back != "Unknown":
            return self.held_back
        if self.fate:
            return "Unknown" if self.fate == "unknown" else "Lost"
        if self.cancelling:
            return "CancelPending"
        if self.done > ZERO:
            return "PartiallyFilled"
        if self.progress < SUBMITTED and self.held_back:
            return self.held_back
        return "Sent" if self.sent_version and self.progress < SUBMITTED else _SHOWN[self.progress]

    def _as_changed(self, intent: OrderIntended) -> OrderIntended:
        """Return the intent with what versions changed of the terms that most of them do not name."""
        for version in self.versions:
            for name in _FIXED:
                value = getattr(version, name)
                if value is not None and version.number not in self.dropped:
                    intent = msgspec.structs.replace(intent, **{name: value})
        if intent.tif != "GTD" and intent.good_till is not None:
            intent = msgspec.structs.replace(intent, good_till=None)
        return intent

    def view(self) -> Order:
        """Return the order as it stands; needs the intent."""
        intent = self.intent
        assert intent is not None
        version = self.shown() if self.versions else None
        if version is not None:
            intent = self._as_changed(intent)
        # By position, in the order of the fields: this runs at each order update a strategy is told of.
        return Order(
            self.id,
            intent.account,
            intent.strategy,
            intent.instrument,
            intent.side,
            intent.type,
            intent.tif,
            1 if version is None else version.number,
            intent.quantity if version is None else version.quantity,
            intent.limit if version is None else version.limit,
            intent.stop if version is None else version.stop,
            self.state(),
            self.filled,
            self.exposed(),
            intent.reason if version is None else version.reason,
            self.message,
            intent.ts,
            self.updated_ts,
            intent.trail if version is None else version.trail,
            intent.trail_pct if version is None else version.trail_pct,
            intent.good_till,
            intent.outside_rth,
            intent.parent,
            intent.oca,
        )
