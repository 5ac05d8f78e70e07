"""Initial margin by a named model: what it comes to, what it refuses, and in which words."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

import core.risk.margin as margin
from core.events import Filled, RiskApproved, RiskRefused
from core.risk.limits import Limits, MarginRules
from tests.core.bench import OPEN, Bench, S, Script, instrument, session, trade

pytestmark = pytest.mark.risk

D = Decimal
REG_T, CASH = MarginRules("reg_t"), MarginRules("cash")
KINDS = {"ACME": ("STK", 1), "OTHER": ("STK", 1), "FUT-1": ("FUT", 50), "OPT-1": ("OPT", 100)}
DEFINED = [
    *(replace(instrument(n), kind=kind, multiplier=D(size)) for n, (kind, size) in KINDS.items()),
    session(),
]


def run(plan, rules):
    """Everything is at 10; the plan goes by trades, the first of which is of OTHER."""
    bench = Bench(Script(plan), definitions=DEFINED, cash="1000", limits=Limits(margin=rules))
    first = [trade(OPEN, 10.0, name=name) for name in ("FUT-1", "OPT-1", "OTHER")]
    bench.run([*first, *(trade(OPEN + n * S, 10.0) for n in range(5))])
    return bench


def asks(quantity, name="ACME"):
    return lambda s: s.change(name, quantity, reason="r")


def refusals(bench):
    return [(r.rule, r.message) for r in bench.recorded(RiskRefused)]


@pytest.mark.parametrize(
    ("rules", "name", "most"),
    [
        (REG_T, "ACME", 200),  # half of 10 each
        (CASH, "ACME", 100),
        (REG_T, "OPT-1", 1),  # its premium in full
        (MarginRules("reg_t", (("FUT-1", 400.0),)), "FUT-1", 2),  # 400 a contract, worth 500
    ],
)
def test_what_equity_carries_passes_and_one_more_does_not(rules, name, most):
    assert refusals(run({2: asks(most, name)}, rules)) == []
    ((rule, message),) = refusals(run({2: asks(most + 1, name)}, rules))
    assert rule == "margin"
    assert message.startswith(f"{name} would bring the initial margin of all positions to ")
    assert message.endswith("; equity is 1000")


def test_a_short_position_needs_as_much_and_a_turn_counts_what_it_leads_to():
    assert refusals(run({2: asks(-200)}, REG_T)) == []
    assert [rule for rule, _ in refusals(run({2: asks(-201)}, REG_T))] == ["margin"]
    turned = run({2: asks(100), 4: asks(-300)}, REG_T)
    assert refusals(turned) == []
    assert turned.world.positions.quantity("ACME") == -200


def test_positions_and_pending_orders_share_the_margin():
    plan = {2: lambda s: s.buy("OTHER", 150, limit=10, reason="rests"), 3: asks(51)}
    ((rule, message),) = refusals(run(plan, REG_T))
    assert (rule, message.split(" to ")[1]) == ("margin", "1005; equity is 1000")
    assert refusals(run({**plan, 3: asks(50)}, REG_T)) == []


def test_what_reduces_always_passes():
    bench = run({2: asks(200), 3: asks(-200)}, REG_T)
    assert [fill.quantity for fill in bench.recorded(Filled)] == [200, 200]


@pytest.mark.parametrize(
    ("rules", "name", "says"),
    [
        (CASH, "ACME", "ACME: a cash account sells nothing short"),
        (REG_T, "OPT-1", "OPT-1: there is no margin for options sold short (reg_t)"),
        (
            REG_T,
            "FUT-1",
            "FUT-1: its margin a contract is not known; next: set it in [replay.futures_margin]",
        ),
    ],
)
def test_what_the_model_has_no_margin_for_is_refused_in_words(rules, name, says):
    assert refusals(run({2: asks(-1, name)}, rules)) == [("margin", says)]


def test_the_profile_names_the_model_and_an_approval_its_numbers():
    bench = run({2: asks(150)}, REG_T)
    (approved,) = bench.recorded(RiskApproved)
    assert approved.profile == "margin reg_t"
    told = (approved.rule, approved.limit, approved.value, approved.headroom)
    assert told == ("margin", "1000", "750", "250")
    assert Limits(margin=REG_T, max_open_orders=3).profile == "limits"


def test_a_model_that_forgets_other_positions_is_noticed(monkeypatch):
    monkeypatch.setattr(margin.Case, "others", lambda self: ())
    plan = {2: lambda s: s.buy("OTHER", 150, limit=10, reason="rests"), 3: asks(51)}
    assert refusals(run(plan, REG_T)) == []
