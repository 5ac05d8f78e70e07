"""Risk: the gate that judges intents, its limits and rules."""

from core.risk.gate import GATE, RiskGate, no_cancel, refused
from core.risk.limits import NO_LIMITS, Limits
from core.risk.state import RiskState

__all__ = ["GATE", "NO_LIMITS", "Limits", "RiskGate", "RiskState", "no_cancel", "refused"]
