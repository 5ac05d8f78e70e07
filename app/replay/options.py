"""What a replay assumes, as one value: its place in the run's identity, and how a run states it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.composition.trading_rules import TradingRules
from app.plugins.rules import renewed
from app.plugins.sizers import renewed_sizing
from app.replay.carrying import Carried
from app.replay.planning import DataOptions
from core.exits.rules import NO_EXITS, ExitRules
from core.matching import ActionOrders, BarFill, FillModel, Trigger, parse_slippage
from core.money import money, plain
from core.risk import Limits
from core.signals.composite import SignalRules
from core.sizing.rules import SizingRules


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The assumptions of a replay. Everything here is part of the run's identity."""

    cash: Decimal = Decimal(100000)
    currency: str = "USD"
    commission: str = "ibkr_fixed"
    latency_ms: float = 0.0
    partial_fills: bool = False
    slippage: str = ""
    volume_share: float | None = None
    stop_trigger: Trigger = "trades"
    bar_fill: BarFill = "close"
    action_orders: ActionOrders = "cancel"
    limits: Limits = Limits()
    exits: ExitRules = NO_EXITS
    feed: str | None = None
    data: DataOptions = DataOptions()
    carried: Carried | None = None
    seed: int = 0
    signals: SignalRules = SignalRules()
    sizing: SizingRules = SizingRules()

    @property
    def fills(self) -> FillModel:
        """How orders fill; raises `UsageError` for a slippage that is none."""
        return FillModel(
            self.latency_ms,
            self.partial_fills,
            parse_slippage(self.slippage),
            self.volume_share,
            self.stop_trigger,
            self.bar_fill,
            self.action_orders,
        )

    @property
    def rules(self) -> TradingRules:
        """What strategies trade under: nothing is held or tried again where a broker answers at once."""
        return TradingRules(
            currency=self.currency,
            limits=self.limits,
            exits=self.exits,
            signals=self.signals,
            sizing=self.sizing,
        )

    def described(self) -> dict[str, Any]:
        """Return them as a run states them, in plain values; `of` reads that again."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        # One number, one text: a caller's 0 and the 0.0 that a run's document is read as.
        return {**told, "cash": plain(money(self.cash)), "latency_ms": float(self.latency_ms)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "ReplayOptions":
        """Return the options that a run states, also one of before there was a choice."""
        # Everything was read as it was recorded, before hours and prices could be chosen.
        options = {"data": {"extended_hours": True, "prices": "raw", "fill_forward": False}, **told}
        found = msgspec.convert({**options, "cash": Decimal(told["cash"])}, cls)
        return msgspec.structs.replace(
            found, limits=renewed(found.limits), sizing=renewed_sizing(found.sizing)
        )
