"""Splits and dividends by instrument, as the log holds them, and the factors that follow. Pure.

The source that spoke last of an instrument counts alone, and of a date what it said last.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from core.errors import UsageError
from core.events import CorporateAction

_ONE = (1.0, 1.0)


class Factors(msgspec.Struct, frozen=True):
    """What prices before each of the times `until` (ns UTC, rising) are multiplied by; later ones by 1.

    `price[i]` is the whole factor, of dividends and splits; `split[i]` that of splits, which divides volumes.
    """

    until: tuple[int, ...]
    price: tuple[float, ...]
    split: tuple[float, ...]

    def __bool__(self) -> bool:
        return bool(self.until)

    def at(self, ts: int) -> tuple[float, float]:
        """Return the factor of a price at `ts`, and that of splits alone."""
        place = bisect_right(self.until, ts)
        return (self.price[place], self.split[place]) if place < len(self.until) else _ONE

    def span(self, ts: int) -> tuple[int, int]:
        """Return between which times (the second exclusive) the factors are those of `ts`."""
        place = bisect_right(self.until, ts)
        begin = self.until[place - 1] if place else 0
        return begin, self.until[place] if place < len(self.until) else 1 << 62


class Actions:
    """The corporate actions of a log; `take` them in the order of the log."""

    def __init__(self, actions: Iterable[CorporateAction] = ()) -> None:
        self._seqs: dict[CorporateAction, int] = {}
        self._by_feed: dict[str, dict[str, dict[str, CorporateAction]]] = {}
        for action in actions:
            self.take(action)

    def take(self, action: CorporateAction, seq: int = 0) -> None:
        """Take a row of a source, and its place in the log; its feed becomes the one that counts."""
        self._seqs[action] = seq
        feeds = self._by_feed.setdefault(action.instrument, {})
        mine = feeds.pop(action.feed, {})
        mine[action.date] = action
        feeds[action.feed] = mine  # the last one is the one that spoke last

    def seq(self, action: CorporateAction) -> int:
        """Return an action's place in the log."""
        return self._seqs[action]

    def of(self, instrument: str) -> list[CorporateAction]:
        """Return the actions of an instrument by date."""
        feeds = self._by_feed.get(instrument)
        if not feeds:
            return []
        return sorted(list(feeds.values())[-1].values(), key=lambda action: action.date)

    def between(self, instrument: str, begin: int, end: int) -> list[CorporateAction]:
        """Return what takes effect in `begin`..`end` (ns UTC, end exclusive) and changes something."""
        return [a for a in self.of(instrument) if begin <= a.ts < end and (a.ratio != 1 or a.dividend)]

    def factors(self, instrument: str) -> Factors | None:
        """Return the factors of an instrument, or `None` where nothing changed its prices.

        As the source gives them; otherwise 1 ÷ ratio for a split, and (price before − dividend) ÷ price
        before for a dividend. Raises `UsageError` for a dividend of which neither is known.
        """
        actions = self.of(instrument)
        if not actions:
            return None
        price, split = 1.0, 1.0
        found: list[tuple[int, float, float]] = []
        for action in reversed(actions):
            if action.price_factor is not None and action.split_factor is not None:
                price, split = action.price_factor, action.split_factor
            else:
                price *= _dividend_factor(action)
                split /= float(action.ratio)
            found.append((action.ts, price * split, split))
        return _joined(found[::-1]) or None


def _dividend_factor(action: CorporateAction) -> float:
    if not action.dividend:
        return 1.0
    before = action.reference_price
    if before is None or before <= float(action.dividend):
        raise UsageError(
            f"{action.instrument}: the dividend of {action.dividend} on {action.date} has no reference price "
            f"above it (the close before), so prices cannot be adjusted for it; import it with one, or "
            f"replay with --prices raw"
        )
    return 1.0 - float(action.dividend) / before


def _joined(rows: Sequence[tuple[int, float, float]]) -> Factors:
    """Leave out rows that the next one repeats, and the last ones that change nothing."""
    kept: list[tuple[int, float, float]] = []
    for place, row in enumerate(rows):
        after = rows[place + 1][1:] if place + 1 < len(rows) else _ONE
        if row[1:] != after:
            kept.append(row)
    return Factors(*(tuple(column) for column in zip(*kept, strict=True))) if kept else Factors((), (), ())
