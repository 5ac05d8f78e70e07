"""What a session trades under: recorded with its start, read there by its proof and by those who look."""

import msgspec

from app.composition.trading_rules import TradingRules, limits_of, rules_of
from app.configuration.reading import Config, canonical
from app.configuration.settings import Settings
from core.events import SessionStarted
from core.exits.rules import ExitRules
from core.holds import HoldRule
from core.retry import RetryRule
from core.risk import Limits
from core.signals.composite import SignalRules
from core.sizing.rules import SizingRules

RULES = TradingRules(
    currency="EUR",
    limits=Limits(max_position_size=0.05, restricted=("GME",)),
    exits=ExitRules(stop_loss_pct=0.02, take_profit_atr=3.0),
    retry=RetryRule(attempts=2),
    hold=HoldRule(within_s=30.0),
    signals=SignalRules(weights={"bma": 1.0}, half_life={"bma": 60.0}),
    sizing=SizingRules(method="volatility_target", max_share=0.1),
)


def started(config):
    return SessionStarted(1, 1, "live", "DU1", "0", msgspec.json.encode(config).decode(), "", "[]", "", "")


def test_each_rule_is_read_as_it_was_recorded():
    assert rules_of(started({**RULES.told(), "settings": {"signals": []}, "warm_up": []})) == RULES


def test_each_rule_has_a_value_of_its_own_in_this_test():
    default = TradingRules()
    assert [f for f in RULES.__struct_fields__ if getattr(RULES, f) == getattr(default, f)] == []


def test_what_an_older_session_did_not_record_has_its_default():
    assert rules_of(started({"limits": RULES.told()["limits"]})) == TradingRules(limits=RULES.limits)


def test_a_session_that_only_records_has_no_limits_whatever_its_configuration_calls_signals():
    text, _ = canonical(Config(Settings(), {}))
    configured = started({**msgspec.json.decode(text), "signals": ["not ours"], "sizing": 1})
    assert limits_of(configured) == Limits()
