"""Which limits there are. Shares are fractions of equity; what is not set is not checked."""

from typing import Literal

import msgspec

MarginModel = Literal["cash", "reg_t"]


class MarginRules(msgspec.Struct, frozen=True):
    """A model, and the initial margin of a contract by the id or symbol of a future, in its currency."""

    model: MarginModel
    futures: tuple[tuple[str, float], ...] = ()


class OwnLimit(msgspec.Struct, frozen=True):
    """A user's rule by name: where its code is, its limit, and the digest of its source file."""

    name: str
    path: str
    limit: float
    source: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The limits that entries are judged by; docs/risk.md has the rule behind each."""

    max_position_size: float | None = None
    max_portfolio_risk: float | None = None
    max_daily_loss: float | None = None
    max_risk_to_stops: float | None = None
    max_drawdown: float | None = None
    max_leverage: float | None = None
    max_orders_per_minute: int | None = None
    max_open_orders: int | None = None
    price_collar: float | None = None
    duplicate_within_s: float | None = None
    max_data_age_s: float | None = None
    regular_hours_only: bool = False
    refuse_halted: bool = False
    restricted: tuple[str, ...] = ()
    rules: tuple[OwnLimit, ...] = ()
    margin: MarginRules | None = None

    @property
    def profile(self) -> str:
        """The name that verdicts carry."""
        if self.margin is not None and self == Limits(margin=self.margin):
            return f"margin {self.margin.model}"
        return "none" if self == NO_LIMITS else "limits"


NO_LIMITS = Limits()
