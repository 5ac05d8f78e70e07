"""Brackets and one-cancels-all groups: who waits for whom, and what a fill means for the others.

A child waits for its parent's fills and never fills more than the parent has; what the others of its
group filled counts too. When the parent ends, its children are reduced to what it filled, or cancelled
if that is nothing. Of a group, a fill of a share of what one member still had to fill takes the same
share of the others; a complete fill cancels them. Shares of whole units are rounded against the order,
so that a group never fills more than one of its members would have.

Decides only: the broker carries the changes out. Orders are remembered while a relative is at work.
"""

from collections.abc import Callable, Iterable
from decimal import ROUND_FLOOR, Decimal

import msgspec

from core.matching.order import Resting
from core.money import CONTEXT, QUANTUM, ZERO, money, plain


class Change(msgspec.Struct, frozen=True):
    """What happens to a relative: a new `quantity` in all (0 with nothing filled cancels it), and why.

    With `quantity=None` the order goes to work, for as much as its `allowed` says.
    """

    order: Resting
    quantity: Decimal | None
    why: str


class _Family(msgspec.Struct):
    """A parent's children, what the parent filled so far, and what each group of exits did."""

    parent: str
    filled: Decimal
    over: bool
    children: list[Resting]
    exits: dict[str, Decimal]


class Families:
    """The relations between the orders at the broker."""

    def __init__(self) -> None:
        self.parents: dict[str, _Family] = {}  # orders that others wait for
        self._groups: dict[str, list[Resting]] = {}

    def join(self, order: Resting, parent_filled: Decimal, *, parent_over: bool) -> None:
        """Take in an order with a parent or a group; afterwards its `allowed` is right."""
        intent = order.intent
        if intent.parent:
            family = self.parents.get(intent.parent)
            if family is None:
                family = _Family(intent.parent, parent_filled, parent_over, [], {})
                self.parents[intent.parent] = family
            family.children.append(order)
            self._count(order, order.filled, family)
            order.allowed = self._allowed(order, family)
        if intent.oca:
            self._groups.setdefault(intent.oca, []).append(order)

    def waits(self, order: Resting) -> bool:
        """Return whether an order has nothing to fill yet because its parent has not."""
        return bool(order.intent.parent) and order.allowed <= order.filled

    def amended(self, order: Resting) -> Change | None:
        """Hold a new version to what the parent allows; return its reduction, if there is one."""
        family = self.parents.get(order.intent.parent)
        if family is None:
            return None
        order.allowed = self._allowed(order, family)
        if family.over and order.allowed < order.quantity:
            return Change(order, order.allowed, f"no more than {family.parent} filled")
        return None

    def filled(self, order: Resting, quantity: Decimal) -> list[Change]:
        """Return what a fill of `quantity`, already counted in `order`, means for its relatives."""
        changes: list[Change] = []
        intent = order.intent
        own = self.parents.get(intent.parent) if intent.parent else None
        if own is not None:
            self._count(order, quantity, own)
        if intent.oca:
            changes += self._reduced(order, quantity)
        if own is not None:
            for child in own.children:
                child.allowed = self._allowed(child, own)
        family = self.parents.get(intent.order)
        if family is not None:
            family.filled = CONTEXT.add(family.filled, quantity)
            changes += self._released(family)
        return changes

    def filled_before(self, order: Resting) -> None:
        """Count what an order filled that is over, for its siblings that are taken back."""
        family = self.parents.get(order.intent.parent)
        if family is not None:
            self._count(order, order.filled, family)
            for child in family.children:
                child.allowed = self._allowed(child, family)

    def split(self, orders: Iterable[Resting], restated: Callable[[Decimal], Decimal]) -> None:
        """Restate what parents and exits filled in units after a split; `orders` were restated before."""
        split = list(orders)
        for parent in dict.fromkeys(order.intent.parent for order in split if order.intent.parent):
            family = self.parents[parent]
            family.filled = restated(family.filled)
            family.exits = {group: restated(filled) for group, filled in family.exits.items()}
        for order in split:
            if order.intent.parent:
                order.allowed = self._allowed(order, self.parents[order.intent.parent])

    def _count(self, order: Resting, quantity: Decimal, family: _Family) -> None:
        group = order.intent.oca or order.intent.order
        family.exits[group] = CONTEXT.add(family.exits.get(group, ZERO), quantity)

    def ended(self, order: Resting) -> list[Change]:
        """Forget an order that is over; return what that means for its children."""
        intent = order.intent
        if intent.oca:
            self._leave(intent.oca, order)
        if intent.parent:
            self._leave_family(order)
        family = self.parents.get(intent.order)
        if family is None:
            return []
        family.over = True
        if not family.children:
            del self.parents[family.parent]
        return [change for child in family.children if (change := self._settled(child, family)) is not None]

    def _settled(self, child: Resting, family: _Family) -> Change | None:
        child.allowed = self._allowed(child, family)
        if child.allowed >= child.quantity:
            return None
        why = f"no more than {family.parent} filled" if family.filled else f"{family.parent} ended unfilled"
        return Change(child, child.allowed, why)

    def _allowed(self, child: Resting, family: _Family) -> Decimal:
        others = family.exits.get(child.intent.oca or child.intent.order, ZERO) - child.filled
        return max(min(child.quantity, family.filled - others), child.filled)

    def _released(self, family: _Family) -> Iterable[Change]:
        for child in family.children:
            waited = child.allowed <= child.filled
            child.allowed = self._allowed(child, family)
            if waited and child.allowed > child.filled:
                yield Change(child, None, f"{family.parent} filled")

    def _reduced(self, order: Resting, quantity: Decimal) -> list[Change]:
        """Return the smaller quantities of the rest of a group, or their cancellation."""
        others = [o for o in self._groups.get(order.intent.oca, ()) if o is not order and not o.ended]
        name = order.intent.order
        if order.complete:
            return [Change(other, other.filled, f"one cancels all: {name} filled") for other in others]
        left = order.quantity - order.filled
        changes = []
        for other in others:
            rest = _share(other.quantity - other.filled, left, left + quantity)
            total = other.filled + rest
            if total < other.quantity:
                changes.append(Change(other, total, f"one cancels all: {name} filled {plain(quantity)}"))
        return changes

    def _leave(self, group: str, order: Resting) -> None:
        members = self._groups.get(group, [])
        if order in members:
            members.remove(order)
        if not members:
            self._groups.pop(group, None)

    def _leave_family(self, order: Resting) -> None:
        family = self.parents.get(order.intent.parent)
        if family is not None:
            if order in family.children:
                family.children.remove(order)
            if not family.children and family.over:
                del self.parents[family.parent]


def _share(rest: Decimal, left: Decimal, whole: Decimal) -> Decimal:
    """Return `rest` times `left` / `whole`: in whole units, rounded down, if `rest` is in whole units."""
    share = CONTEXT.divide(CONTEXT.multiply(rest, left), whole)
    if rest == rest.to_integral_value():
        return share.to_integral_value(ROUND_FLOOR)
    return money(share.quantize(QUANTUM, ROUND_FLOOR, CONTEXT))
