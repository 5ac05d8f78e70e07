"""Intents that cannot leave just now, kept for a while: held, and then released, expired or taken back.

The gate bars an order for the moment while the link is away or the books are not compared. Such an order is
no refusal: it waits here and goes once through a fresh risk check when the gate opens, unless its time is
over before that. An order or a change whose send wrote no byte because the link went away waits here as
well. Halts and
breaks are no moments: they refuse. It is a function of recorded inputs and of the folds, so that a proof
holds and releases the same; it never sends, and keeps nothing for another session.
"""

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from core.agenda import AFTER_SCAN, Agenda
from core.clock import SECOND_NS
from core.events import Event, HoldEnded, HoldOutcome, ModifyIntended, OrderHeld, OrderIntended, SendFailed
from core.order_rules import is_exit
from core.views import Order, OrdersView

HELD_MAX = 1_000
"""More orders are never held; what comes beyond them is refused."""
_UNWANTED_MAX = 1_000

Intent = OrderIntended | ModifyIntended


class HoldRule(msgspec.Struct, frozen=True, kw_only=True):
    """For how long an intent is held, counted from when it was intended; 0 holds nothing."""

    within_s: float = 0.0


class Hold(msgspec.Struct, frozen=True, gc=False):
    """A request to hold an order, or a change of one, whose send wrote nothing."""

    intent: Intent
    why: str


class Release(msgspec.Struct, frozen=True, gc=False):
    """A request to let go what is held and may leave now."""


class Held(msgspec.Struct, frozen=True, gc=False):
    """An intent that is held. `seq` is the entry that says so; `until` (ns) is 0 for what has no end."""

    intent: Intent
    seq: int
    until: int


class Holds:
    """What is held, by order. `passing` says what bars an intent only for the moment, or nothing."""

    def __init__(
        self,
        rule: HoldRule,
        orders: OrdersView,
        agenda: Agenda,
        passing: Callable[[Intent], str],
        waits: Callable[[Intent], bool],
    ) -> None:
        self._within_ns = round(rule.within_s * SECOND_NS)
        self._orders = orders
        self._agenda = agenda
        self._passing = passing
        self._waits = waits
        self._held: dict[str, list[Held]] = {}
        self._unwanted: dict[str, None] = {}
        self._changes: dict[str, ModifyIntended] = {}  # the last change of each order that was to leave

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, order: str) -> bool:
        return order in self._held

    def orders(self) -> list[str]:
        """Return the orders of which something is held, in the order in which they came."""
        return list(self._held)

    def why(self, intent: Intent) -> str:
        """Return why an intent that the gate refused is held instead; empty if it is not."""
        if not self._within_ns or len(self._held) >= HELD_MAX:
            return ""
        return self._passing(intent)

    def unsent(self, news: SendFailed, order: Order) -> Hold | None:
        """Return the request to hold what was not sent, no byte of it, if that is for the moment only."""
        if news.bytes_written:
            return None
        if news.version > 1:
            return self._unsent_change(news, order)
        if news.version != 1 or order.version > 1 or order.filled or order.working:
            return None
        parent = self._orders.get(order.parent) if order.parent else None
        if order.id in self._unwanted or (order.parent and (parent is None or not parent.working)):
            return None  # its strategy cancelled it, or there is no entry any more whose exit it would be
        return self._request(intent_of(order, order.created_ts), news)

    def _unsent_change(self, news: SendFailed, order: Order) -> Hold | None:
        change = self._changes.get(order.id)
        if change is None or change.version != news.version or not order.working:
            return None  # another change stands for it, or there is nothing to change any more
        later = any(version_of(each.intent) > news.version for each in self._held.get(order.id, ()))
        return None if later or order.id in self._unwanted else self._request(change, news)

    def _request(self, intent: Intent, news: SendFailed) -> Hold | None:
        until, why = self._until(intent), self.why(intent)
        return Hold(intent, f"{why}: {news.message}") if why and (not until or until > news.ts) else None

    def leaves(self, change: ModifyIntended) -> None:
        """Take that a change is about to be sent: what becomes of that may be that it did not leave."""
        if not self._within_ns:
            return
        if len(self._changes) >= _UNWANTED_MAX:
            known = {name: self._orders.get(name) for name in self._changes}
            self._changes = {n: c for n, c in self._changes.items() if (o := known[n]) and o.working}
        self._changes[change.order] = change

    def unwanted(self, order: str) -> None:
        """Take that a strategy cancelled an order: it is not held when its send turns out to have failed."""
        if len(self._unwanted) >= _UNWANTED_MAX:
            known = {name: self._orders.get(name) for name in self._unwanted}
            self._unwanted = {name: None for name, found in known.items() if found and found.working}
        self._unwanted[order] = None

    # -- keeping -------------------------------------------------------------------------------

    def event(self, intent: Intent, ts: int, why: str) -> OrderHeld:
        """Return what says that an intent is held."""
        who = (intent.account, intent.strategy, intent.instrument)
        return OrderHeld(ts, intent.order, version_of(intent), *who, self._until(intent), why)

    def keep(self, intent: Intent, seq: int) -> None:
        """Keep an intent that the entry `seq` says is held, until its time is over."""
        until = self._until(intent)
        self._held.setdefault(intent.order, []).append(Held(intent, seq, until))
        if until:
            name = f"hold:{intent.order}:{version_of(intent)}"
            self._agenda.set(name, until, lambda ts: self._expire(intent, seq, ts), AFTER_SCAN)

    def _until(self, intent: Intent) -> int:
        """Return when an intent is not wanted any more; never while something is to be protected by it."""
        if is_exit(intent.order) or (isinstance(intent, OrderIntended) and intent.parent):
            return 0
        until = intent.ts + self._within_ns
        good_till = intent.good_till if isinstance(intent, OrderIntended) else None
        return min(until, good_till) if good_till is not None else until

    def _expire(self, intent: Intent, seq: int, ts: int) -> Iterable[Event]:
        held = self._held.get(intent.order, ())
        if not any(each.seq == seq for each in held):
            return []
        over = self.take(intent.order) if isinstance(intent, OrderIntended) else self.replaced(intent)
        waited_s = (ts - intent.ts) / SECOND_NS
        return [
            ended(each.intent, ts, "expired", f"it could not leave within {waited_s:g} s") for each in over
        ]

    def replaced(self, intent: ModifyIntended) -> list[Held]:
        """Remove and return the changes of an order that are held: a later one stands for them."""
        held = self._held.get(intent.order, [])
        over = [each for each in held if isinstance(each.intent, ModifyIntended)]
        self._keep_only(intent.order, [each for each in held if each not in over])
        return over

    def take(self, order: str) -> list[Held]:
        """Remove and return what is held of an order; with an entry, of its exits too."""
        is_new, held = self._is_new(order), self._held.pop(order, [])
        if is_new:
            for exit_ in [name for name, found in self._held.items() if _parent(found) == order]:
                held = [*held, *self._held.pop(exit_)]
        return held

    def _is_new(self, order: str) -> bool:
        """Whether an order is held itself, and not only a change of it."""
        return any(isinstance(each.intent, OrderIntended) for each in self._held.get(order, ()))

    def _keep_only(self, order: str, held: list[Held]) -> None:
        if held:
            self._held[order] = held
        else:
            self._held.pop(order, None)

    # -- letting go ----------------------------------------------------------------------------

    def ready(self) -> list[list[Held]]:
        """Remove and return what the gate does not bar for the moment any more, entries with their exits."""
        free = [
            order
            for order, held in self._held.items()
            if not self._is_new(_parent(held)) and not self._waits(held[0].intent)
        ]
        return [self.take(order) for order in free]

    def all(self) -> list[Held]:
        """Remove and return all: nothing can be released any more."""
        held = [each for found in self._held.values() for each in found]
        self._held.clear()
        return held


def ended(intent: Intent, ts: int, outcome: HoldOutcome, why: str) -> HoldEnded:
    """Return what says how a hold ended."""
    who = (intent.account, intent.strategy, intent.instrument)
    return HoldEnded(ts, intent.order, version_of(intent), *who, outcome, why)


def lapsed(order: Order, version: int, ts: int, why: str) -> HoldEnded:
    """Return what says that a version which an earlier session held is not wanted any more."""
    return HoldEnded(ts, order.id, version, order.account, order.strategy, order.instrument, "expired", why)


def version_of(intent: Intent) -> int:
    """Return which version of its order an intent is."""
    return intent.version if isinstance(intent, ModifyIntended) else 1


def fresh(intent: Intent, ts: int) -> Intent:
    """Return an intent as of now, for the check and the send that follow its hold."""
    return replace(intent, ts=ts)


def intent_of(order: Order, ts: int) -> OrderIntended:
    """Return the intent that would place an order as it stands."""
    return OrderIntended(
        ts,
        order.id,
        order.account,
        order.strategy,
        order.instrument,
        order.side,
        order.quantity,
        order.type,
        order.limit,
        order.stop,
        order.tif,
        order.reason,
        order.trail,
        order.trail_pct,
        order.good_till,
        order.outside_rth,
        order.parent,
        order.oca,
    )


def _parent(held: list[Held]) -> str:
    first = held[0].intent
    return first.parent if isinstance(first, OrderIntended) else ""
