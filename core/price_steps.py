"""Valid prices: the steps that an instrument's prices go in, and rounding to them. Pure.

From each edge on, up to the next one, a price is a multiple of the step that belongs to the edge: options
that go by 0.05 below 3 and by 0.10 from there on have `0:0.05,3:0.1`. An instrument that names no steps has
one everywhere, its tick size; where that is unknown (0), prices have 8 decimals. The first step holds for
negative prices, too. Whoever rounds a price to what a broker takes does it here.
"""

from bisect import bisect_right
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

from core.errors import InvalidEvent, UnknownInstrument, UsageError
from core.events import InstrumentDefined
from core.money import CONTEXT, QUANTUM, ZERO, decimal_of, money, plain
from core.views import InstrumentsView

Pairs = Iterable[tuple[Decimal, Decimal]]
"""Steps: the edge from which on each holds, and the step."""

Rounding = Literal["nearest", "down", "up"]
"""Which valid price stands for one that is none."""

_MAX = Decimal(10**12)


class PriceSteps:
    """The valid prices of an instrument. What it returns equals a valid price; `money` makes it canonical."""

    __slots__ = ("_edges", "_steps")

    def __init__(self, pairs: Pairs) -> None:
        """`pairs` are those of `parse_steps`: edges ascend from 0, steps are above 0."""
        found = list(pairs)
        self._edges = [edge for edge, _ in found]
        self._steps = [step for _, step in found]

    @property
    def pairs(self) -> list[tuple[Decimal, Decimal]]:
        """The edges, ascending from 0, each with its step."""
        return list(zip(self._edges, self._steps, strict=True))

    @property
    def smallest(self) -> Decimal:
        """The smallest of the steps."""
        return min(self._steps)

    @property
    def lowest(self) -> Decimal:
        """The lowest valid price above 0."""
        return self.up(QUANTUM)

    def at(self, price: Decimal) -> Decimal:
        """Return the step that holds at a price; at an edge, the one from there on."""
        return self._steps[self._place(price)]

    def fits(self, price: Decimal) -> bool:
        """Return whether a price is valid."""
        return self.down(price) == price

    def nearest(self, price: Decimal) -> Decimal:
        """Return the nearest valid price; halfway between two, the even multiple of the lower one's step."""
        if len(self._steps) == 1:
            return _multiple(price, self._steps[0], ROUND_HALF_EVEN)
        low, high = self.down(price), self.up(price)
        below, above = CONTEXT.subtract(price, low), CONTEXT.subtract(high, price)
        if below == above and low != high:
            odd = CONTEXT.divide(low, self.at(low)) % 2
            return high if odd else low
        return low if below < above else high

    def rounded(self, price: Decimal, to: Rounding) -> Decimal:
        """Return the valid price in a direction; raises `UsageError` for one that is none."""
        match to:
            case "nearest":
                return self.nearest(price)
            case "down":
                return self.down(price)
            case "up":
                return self.up(price)
        raise UsageError(f"to={to!r}: expected {', '.join(get_args(Rounding))}")

    def down(self, price: Decimal) -> Decimal:
        """Return the highest valid price that is not above `price`."""
        place = self._place(price)
        found = _multiple(price, self._steps[place], ROUND_FLOOR)
        while place and found < self._edges[place]:  # an edge that is no multiple of the step from there on
            edge, place = self._edges[place], place - 1
            step = self._steps[place]
            found = CONTEXT.subtract(_multiple(edge, step, ROUND_CEILING), step)
        return found

    def up(self, price: Decimal) -> Decimal:
        """Return the lowest valid price that is not below `price`."""
        place, last = self._place(price), len(self._steps) - 1
        found = _multiple(price, self._steps[place], ROUND_CEILING)
        while place < last and found >= self._edges[place + 1]:
            place += 1
            found = _multiple(self._edges[place], self._steps[place], ROUND_CEILING)
        return found

    def distance(self, away: Decimal, price: Decimal) -> Decimal:
        """Return a distance from `price` in whole steps of the one that holds there, at least one."""
        step = self.at(price)
        return max(_multiple(away, step, ROUND_HALF_EVEN), step)

    def moved(self, price: float, steps: float, *, up: bool) -> float:
        """Return a market price moved by so many steps, each of those that hold where it is passed."""
        if len(self._steps) == 1:
            away = steps * float(self._steps[0])
            return price + away if up else price - away
        place = self._place(Decimal(repr(price)))
        if up:
            for edge, step in zip(self._edges[place + 1 :], self._steps[place:], strict=False):
                room = (float(edge) - price) / float(step)
                if steps <= room:
                    break
                price, steps, place = float(edge), steps - room, place + 1
            return price + steps * float(self._steps[place])
        while place:
            room = (price - float(self._edges[place])) / float(self._steps[place])
            if steps <= room:
                break
            price, steps, place = float(self._edges[place]), steps - room, place - 1
        return price - steps * float(self._steps[place])

    def _place(self, price: Decimal) -> int:
        return max(bisect_right(self._edges, price) - 1, 0)


def steps_of(instrument: InstrumentDefined) -> PriceSteps:
    """Return the valid prices of an instrument."""
    return _known(instrument.tick_size, instrument.price_steps)


def steps_in(instruments: InstrumentsView, name: str) -> PriceSteps:
    """Return the valid prices of an instrument by name; of one that nobody has defined, all of 8 decimals."""
    try:
        return steps_of(instruments.instrument(name))
    except UnknownInstrument:
        return _known(ZERO, "")


def parse_steps(text: str) -> list[tuple[Decimal, Decimal]]:
    """Return the edges and steps that `0:0.05,3:0.1` names; raises `ValueError`, naming what is wrong."""
    pairs = [_pair(part, text) for part in text.split(",")]
    edges = [edge for edge, _ in pairs]
    if edges[0] != 0:
        raise ValueError(f"{text!r}: expected 0 as the first edge, not {plain(edges[0])}")
    if any(high <= low for low, high in pairwise(edges)):
        raise ValueError(f"{text!r}: expected edges that ascend")
    return pairs


def steps_text(pairs: Pairs) -> str:
    """Return steps as text, such as `0:0.05,3:0.1`; what holds below the first edge is the first step.

    Raises `ValueError` for what `parse_steps` would refuse.
    """
    parts: list[tuple[Decimal, Decimal]] = []
    for edge, step in sorted(pairs):
        if not parts or parts[-1][1] != step:
            parts.append((edge if parts else ZERO, step))
    text = ",".join(f"{plain(money(edge))}:{plain(money(step))}" for edge, step in parts)
    parse_steps(text)
    return text


def _pair(part: str, text: str) -> tuple[Decimal, Decimal]:
    edge, _, step = part.partition(":")
    try:
        found = decimal_of(edge.strip()), decimal_of(step.strip())
        fits = 0 <= found[0] < _MAX and 0 < found[1] < _MAX and all(money(n) == n for n in found)
    except (InvalidEvent, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{text!r}: expected EDGE:STEP,EDGE:STEP such as 0:0.05,3:0.1")
    return found


@lru_cache(maxsize=4096)
def _known(tick_size: Decimal, text: str) -> PriceSteps:
    return PriceSteps(parse_steps(text) if text else [(ZERO, tick_size if tick_size > ZERO else QUANTUM)])


def _multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return CONTEXT.multiply(CONTEXT.divide(value, step).to_integral_value(rounding), step)
