"""What is asked quickly of a limit agrees with the exact rule, and never hides a breach."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.risk import Limits, RiskGate
from core.risk.near import NEARLY
from core.risk.rules import RULES
from tests.conftest import examples
from tests.core.bench import MIN, OPEN, Bench, FillModel, trade
from tests.core.test_risk import STEPS, Asking

pytestmark = pytest.mark.risk

LIMITS = Limits(
    max_position_size=0.05,
    max_portfolio_risk=0.07,
    max_risk_to_stops=0.06,
    max_leverage=0.08,
    max_daily_loss=0.0005,
    max_drawdown=0.0007,
    max_orders_per_minute=9,
    max_open_orders=4,
    price_collar=0.1,
    duplicate_within_s=30.0,
)


def disagreements(steps, latency_ms):
    """Return where a quick answer is not what the exact rule says, over all cases of a session."""
    found = []
    judged = RiskGate._check_limits

    def check(self, intent, entry_stop):
        case = self._case(intent, entry_stop)
        if case is not None and case.equity and case.price is not None:
            found.extend(_differing(self, case))
        return judged(self, intent, entry_stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RiskGate, "_check_limits", check)
        bench = Bench(Asking(steps), limits=LIMITS, model=FillModel(latency_ms=latency_ms), sampled=True)
        events = []
        for n, (_, price) in enumerate(steps):
            at = OPEN + n * MIN // 2
            events += [trade(at, price, name="OTHER"), trade(at, price)]
        bench.run(events)
    return found


def _differing(gate, case):
    exact = [(rule.read(case, cap), rule, cap) for rule, cap in gate._rules]
    for reading, rule, cap in exact:
        near = rule.near(case, cap)
        if reading is None:
            wrong = 0 <= near < NEARLY
        elif reading.broken:
            wrong = near < NEARLY
        else:
            # An exact value is rounded to 1e-8, which is 1e-5 of the smallest cap here.
            wrong = near < NEARLY and near != pytest.approx(reading.used, rel=1e-4, abs=1e-5)
        if wrong:
            yield rule.name, near, reading


def test_every_rule_with_a_number_has_a_quick_answer():
    flags = {"margin", "restricted", "halted", "regular_hours_only", "max_data_age_s"}
    assert {rule.name for rule in RULES.values() if rule.near is None} == flags


@settings(max_examples=examples(60), deadline=None)
@given(STEPS, st.sampled_from([0, 1500]))
def test_a_quick_answer_never_hides_a_breach_and_is_near_the_exact_one(steps, latency_ms):
    assert disagreements(steps, latency_ms) == []


def test_a_quick_answer_that_forgets_what_is_pending_is_caught(monkeypatch):
    limit = [("buy", "OTHER", 400, 8.0, "LMT"), ("buy", "ACME", 400, None, "MKT")]
    steps = [(limit, 10.0), (limit[1:], 10.0)]
    assert disagreements(steps, 0) == []
    monkeypatch.setattr("core.risk.exposure.Case.near_portfolio", lambda case: case.near_position())
    assert disagreements(steps, 0) != []
