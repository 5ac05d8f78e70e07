"""Splits and dividends where prices are raw: at the ex-date, what is held and owed changes by events.

What becomes of resting orders is the broker's business (`core.matching.restating` has the two practices). The
price to compare with changes in the quotes projection. Owns no state: positions are read when the date has
come.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Protocol

from core.agenda import AFTER_SCAN, Agenda
from core.events import CashAdjusted, CorporateAction, Event, PositionAdjusted
from core.money import CONTEXT, divide, money, plain, price
from core.views import Position

_ONE = Decimal(1)


class Holdings(Protocol):
    """What is held, by account and strategy."""

    def strategies(self, account: str, instrument: str) -> list[str]:
        """Return the strategies that ever moved a position."""

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Position:
        """Return the position of one strategy."""


class Marks(Protocol):
    """Last prices."""

    def mark(self, instrument: str) -> float | None:
        """Return the last price."""


class Orders(Protocol):
    """Where orders rest."""

    def split(self, instrument: str, ratio: Decimal, reason: str, ts: int) -> list[Event]:
        """Cancel or restate the orders that rest in an instrument; return the facts."""

    def pay_dividend(self, instrument: str, dividend: Decimal, reason: str, ts: int) -> list[Event]:
        """Restate the orders that a dividend concerns, or leave them; return the facts."""


class CorporateActions:
    """Puts the actions of a replay on its agenda, and carries them out for one account."""

    def __init__(self, holdings: Holdings, marks: Marks, orders: Orders, account: str) -> None:
        self._holdings = holdings
        self._marks = marks
        self._orders = orders
        self._account = account

    def schedule(self, agenda: Agenda, actions: Iterable[CorporateAction]) -> None:
        """Set each action to its time, after it was folded as an input, before any price of its day."""
        for action in actions:
            key = f"action:{action.instrument}:{action.date}"
            agenda.set(key, action.ts, partial(self.carry_out, action), AFTER_SCAN)

    def carry_out(self, action: CorporateAction, ts: int) -> list[Event]:
        """Return what an action does now: to orders, cash and positions."""
        strategies = self._holdings.strategies(self._account, action.instrument)
        held = [(s, self._holdings.position(self._account, action.instrument, s)) for s in strategies]
        facts: list[Event] = []
        if action.dividend:
            why = f"dividend of {plain(action.dividend)}, ex {action.date}"
            facts += self._orders.pay_dividend(action.instrument, action.dividend, why, ts)
        if action.ratio != 1:
            facts += self._orders.split(action.instrument, action.ratio, split_reason(action), ts)
        mark = self._marks.mark(action.instrument)
        return facts + changes(action, self._account, held, mark, ts)


def changes(
    action: CorporateAction,
    account: str,
    held: Sequence[tuple[str, Position]],
    mark: float | None,
    ts: int,
) -> list[Event]:
    """Return what an action does to positions: the dividend in cash, then the split.

    A short position pays the dividend. A split multiplies the quantity of each strategy and divides its
    average cost. A fraction that it makes of whole shares is paid in cash at `mark`, the last price divided
    by the ratio; without one, at the average cost.
    """
    facts: list[Event] = []
    for strategy, position in held:
        quantity = position.quantity
        if not quantity:
            continue
        whose = f"{plain(quantity)} {action.instrument}" + (f" of {strategy}" if strategy else "")
        if action.dividend:
            amount = money(CONTEXT.multiply(quantity, action.dividend))
            reason = f"dividend of {plain(action.dividend)} on {whose}, ex {action.date}"
            facts.append(CashAdjusted(ts, account, action.currency, amount, reason))
        if action.ratio != 1:
            facts += _split(action, account, strategy, position, mark, ts, whose)
    return facts


def _split(
    action: CorporateAction,
    account: str,
    strategy: str,
    position: Position,
    mark: float | None,
    ts: int,
    whose: str,
) -> list[Event]:
    quantity = money(CONTEXT.multiply(position.quantity, action.ratio))
    cost = divide(position.average_cost, action.ratio)
    fraction = Decimal(0)
    if position.quantity == position.quantity.to_integral_value():
        whole = CONTEXT.multiply(quantity // _ONE, _ONE)  # towards zero, for both sides
        fraction, quantity = CONTEXT.subtract(quantity, whole), money(whole)
    reason = split_reason(action)
    facts: list[Event] = [PositionAdjusted(ts, account, strategy, action.instrument, quantity, cost, reason)]
    if fraction:
        value = price(mark) if mark is not None else cost
        amount = money(CONTEXT.multiply(fraction, value))
        about = f"cash for the fraction of {plain(fraction)} shares left by a {reason} of {whose}"
        facts.append(CashAdjusted(ts, account, action.currency, amount, about))
    return facts


def split_reason(action: CorporateAction) -> str:
    """Return for example `split, 7 for 1, on 2014-06-09`."""
    return f"split, {plain(action.ratio)} for 1, on {action.date}"
