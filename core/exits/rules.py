"""Which automatic exits a holding gets, and how far away: fractions, amounts, or multiples of a range.

Plain data and arithmetic; `core.exits.protection` makes orders of it.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from core.money import CONTEXT, ZERO, money, plain

STOP_KEYS = (
    "stop_loss_pct",
    "stop_loss_amount",
    "stop_loss_atr",
    "trailing_stop_pct",
    "trailing_stop_amount",
    "trailing_stop_atr",
)
TARGET_KEYS = ("take_profit_pct", "take_profit_amount", "take_profit_atr")


class Distance(msgspec.Struct, frozen=True):
    """How far an exit lies from a price: a fraction of it, an amount a unit, or a multiple of the range."""

    kind: Literal["pct", "amount", "atr"]
    value: float

    def of(self, cost: Decimal, atr: Decimal) -> Decimal:
        """Return the distance from `cost` as an amount a unit."""
        exact = Decimal(repr(self.value))
        if self.kind == "amount":
            return exact
        return CONTEXT.multiply(cost if self.kind == "pct" else atr, exact)

    def words(self, cost: Decimal, atr: Decimal) -> str:
        """Return the distance from `cost` in words, for the reason of an order."""
        if self.kind == "atr":
            return f"{self.value:g} ATR of {plain(atr)} from {plain(money(cost))}"
        away = self.of(cost, atr)
        share = f"{away / cost:.2%}" if cost > ZERO else plain(money(away))
        return f"{share} from {plain(money(cost))}"

    def __str__(self) -> str:
        if self.kind == "pct":
            return f"{self.value:.2%}"
        return f"{self.value:g} ATR" if self.kind == "atr" else f"{self.value:g}"


class ExitRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Distances from a holding's average cost: of each of `STOP_KEYS` and `TARGET_KEYS` at most one.

    None at all places no exits. A trailing stop follows the market at its distance. The range is the average
    true range of `atr_length` bars of `atr_bar` each; `atr_unknown_pct` of the cost stands in for it while
    there are too few. `flatten_day_at` is the day's loss (a fraction) from which on all positions are closed.
    """

    stop_loss_pct: float | None = None
    stop_loss_amount: float | None = None
    trailing_stop_pct: float | None = None
    take_profit_pct: float | None = None
    flatten_day_at: float | None = None
    stop_loss_atr: float | None = None
    trailing_stop_amount: float | None = None
    trailing_stop_atr: float | None = None
    take_profit_amount: float | None = None
    take_profit_atr: float | None = None
    atr_length: int = 14
    atr_bar: str = "1m"
    atr_unknown_pct: float = 0.02

    @property
    def stop_loss(self) -> Distance | None:
        """The distance of a fixed stop."""
        return self._distance("stop_loss")

    @property
    def trailing_stop(self) -> Distance | None:
        """The distance of a stop that follows the market."""
        return self._distance("trailing_stop")

    @property
    def take_profit(self) -> Distance | None:
        """The distance of the target."""
        return self._distance("take_profit")

    def _distance(self, name: str) -> Distance | None:
        kinds: tuple[Literal["pct", "amount", "atr"], ...] = ("pct", "amount", "atr")
        for kind in kinds:
            value: float | None = getattr(self, f"{name}_{kind}", None)
            if value is not None:
                return Distance(kind, value)
        return None

    @property
    def active(self) -> bool:
        """Whether exits are asked for."""
        return any(self._told().values())

    @property
    def by_range(self) -> bool:
        """Whether any of them lies at a multiple of the range."""
        return any(distance is not None and distance.kind == "atr" for distance in self._told().values())

    def _told(self) -> dict[str, Distance | None]:
        return {
            "stop-loss": self.stop_loss,
            "trailing stop": self.trailing_stop,
            "take-profit": self.take_profit,
        }

    @property
    def name(self) -> str:
        """The exits in words, for the log and the report."""
        told = [f"{what} {distance}" for what, distance in self._told().items() if distance is not None]
        if self.by_range:
            told.append(f"ATR of {self.atr_length} bars of {self.atr_bar}")
        if self.flatten_day_at is not None:
            told.append(f"flat at a day of -{self.flatten_day_at:.2%}")
        return ", ".join(told) or "none"


NO_EXITS = ExitRules()
