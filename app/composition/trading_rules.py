"""What a session trades under, as one value: limits, exits, retries, holds, signals, sizes, and the currency.

The same for a replay, a live session and the proof of one. The start of a live session records it, and the
proof reads it there.
"""

from typing import Any

import msgspec

from app.plugins.rules import renewed
from app.plugins.sizers import renewed_sizing
from core.events import SessionStarted
from core.exits.rules import NO_EXITS, ExitRules
from core.holds import HoldRule
from core.retry import RetryRule
from core.risk import Limits
from core.signals.composite import SignalRules
from core.sizing.rules import SizingRules


class TradingRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one session; amounts are in `currency`, the account's own."""

    currency: str = "USD"
    limits: Limits = Limits()
    exits: ExitRules = NO_EXITS
    retry: RetryRule = RetryRule()
    hold: HoldRule = HoldRule()
    signals: SignalRules = SignalRules()
    sizing: SizingRules = SizingRules()

    def told(self) -> dict[str, Any]:
        """Return them as the configuration of a session's start holds them, in plain values."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told

    def renewed(self) -> "TradingRules":
        """Return rules that name the code that is there now; raises `UsageError` if it does not load."""
        return msgspec.structs.replace(self, limits=renewed(self.limits), sizing=renewed_sizing(self.sizing))


def rules_of(started: SessionStarted) -> TradingRules:
    """Return the rules of a session that traded; what it did not record has its default."""
    return msgspec.json.decode(started.config, type=TradingRules)


def limits_of(started: SessionStarted) -> Limits:
    """Return the limits of any session; one that did not trade has none, and other things under our names."""
    return msgspec.json.decode(started.config, type=_Limited).limits


class _Limited(msgspec.Struct):
    limits: Limits = Limits()
