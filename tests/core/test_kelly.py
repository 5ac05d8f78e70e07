"""The Kelly share: formula, what it is estimated from, its cap, and what stands in while trades are few."""

import json
from decimal import Decimal
from itertools import pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import OrderSized
from core.sizing.kelly import Edge, edge_of
from core.sizing.rules import SizingFacts, SizingRules, sized
from core.views import ClosedTrade
from tests.core.bench import OPEN, Bench, S, Script, trade

pytestmark = pytest.mark.risk

D = Decimal
KELLY = SizingRules(method="kelly", kelly_least=4, kelly_cap=0.5, quantity=10)


def closed(*percents):
    """Trades of 1,000 each that came out so, in per cent."""
    return [ClosedTrade("ACME", n, D(str(p)) * 10, D(1000)) for n, p in enumerate(percents)]


def facts(*percents):
    return SizingFacts(D(100_000), D(50), None, lambda last: closed(*percents)[-last:])


def test_even_bets_that_lose_all_give_kellys_own_formula():
    assert Edge(6, 4, D(1), D(1)).kelly == D("0.2")  # 2 p - 1
    assert Edge(1, 1, D(2), D(1)).kelly == D("0.25")  # p - (1 - p) / b
    assert Edge(1, 1, D("0.02"), D("0.01")).kelly == D(25)  # partial losses: far beyond all of equity


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0.05, 2), st.floats(0.05, 1))
def test_no_other_share_grows_faster(wins, losses, win, loss):
    edge = Edge(wins, losses, D(repr(win)), D(repr(loss)))
    best = float(edge.kelly)

    def growth(share):
        p = wins / (wins + losses)
        return p * log(1 + share * win) + (1 - p) * log(1 - share * loss)

    assert -1 / win < best < 1 / loss
    for other in (best - 1e-3, best + 1e-3):
        if -1 / win < other < 1 / loss:
            assert growth(best) >= growth(other)


def test_an_edge_is_of_wins_and_losses_after_commissions():
    edge = edge_of([*closed(4, -1, 0, 2, -3), ClosedTrade("ACME", 9, D(5), D(0))])
    assert (edge.wins, edge.losses) == (2, 2)
    assert (edge.average_win, edge.average_loss, edge.win_rate) == (D("0.03"), D("0.02"), D("0.5"))


def test_a_fraction_of_the_share_is_taken_and_all_inputs_are_told():
    found = sized(KELLY, facts(60, -50, 60, -50))  # 0.5 / 0.5 - 0.5 / 0.6: a sixth
    assert found.wanted == found.quantity == 166  # half of it, of 2,000 units
    assert found.inputs == {
        "average_loss": "0.5",
        "average_win": "0.6",
        "equity": "100000",
        "kelly": "0.16666667",
        "kelly_cap": "0.5",
        "kelly_fraction": "0.5",
        "losses": "2",
        "unit": "50",
        "win_rate": "0.5",
        "wins": "2",
    }
    assert found.reason == ""


def test_a_large_edge_is_capped_and_a_smaller_cap_of_positions_wins():
    found = sized(KELLY, facts(3, -1, 3, -1))
    assert (found.quantity, found.capped_by) == (1000, "kelly_cap")
    assert found.wanted > 1000
    tighter = sized(SizingRules(method="kelly", kelly_least=2, max_share=0.05), facts(3, -1))
    assert (tighter.quantity, tighter.capped_by) == (100, "max_share")


def test_without_an_edge_there_is_no_size_and_the_reason_has_the_share():
    found = sized(KELLY, facts(1, -3, 1, -3))
    assert (found.wanted, found.quantity) == (0, 0)
    assert found.reason == "no edge: the Kelly share of the last 4 trades is -16.6667"


@pytest.mark.parametrize(
    ("percents", "why"),
    [
        ((), "fixed stands in for kelly: 0 of 4 closed trades"),
        ((3, -1, 0, 0), "fixed stands in for kelly: 2 of 4 closed trades"),
        ((3, 1, 2, 2), "fixed stands in for kelly: 4 wins and 0 losses among 4 closed trades"),
    ],
)
def test_while_trades_are_few_another_method_stands_in_and_says_so(percents, why):
    found = sized(KELLY, facts(*percents))
    assert (found.quantity, found.reason) == (10, why)
    assert found.inputs["fixed"] == "10"


def test_what_stands_in_is_capped_too():
    rules = SizingRules(method="kelly", quantity=10_000, kelly_cap=0.1)
    assert (sized(rules, facts()).quantity, sized(rules, facts()).capped_by) == (200, "kelly_cap")


class Trading(Script):
    """Buys by its size and sells again, over and over."""

    def __init__(self, until=99):
        super().__init__()
        self.until = until

    def on_trade(self, trade):
        self.seen += 1
        if self.position("ACME"):
            self.sell("ACME", self.position("ACME"), reason="out")
        elif not self.working_orders() and self.seen < self.until:
            self.buy("ACME", self.size("ACME"), reason="in")


def sizes_of(bench):
    return [
        (one.quantity, json.loads(one.inputs)["wins"], json.loads(one.inputs)["losses"], one.reason[:5])
        for one in bench.recorded(OrderSized)
    ]


PRICES = [100, 100, 103, 100, 99, 100, 103, 100, 99, 100, 103, 100, 99, 100, 103]


def test_a_strategy_is_sized_by_its_own_closed_trades_and_a_restart_knows_them():
    events = [trade(OPEN + n * S, float(price)) for n, price in enumerate(PRICES)]
    whole = Bench(Trading(), sizing=KELLY)
    whole.run(events)
    assert sizes_of(whole)[0] == (10, "0", "0", "fixed")
    assert sizes_of(whole)[-1][3] == ""
    counts = [int(wins) + int(losses) for _, wins, losses, _ in sizes_of(whole)]
    assert all(b - a in (0, 1) for a, b in pairwise(counts))
    assert counts[-1] >= 4
    first = Bench(Trading(until=10), sizing=KELLY)
    first.run(events[:11])
    last = sizes_of(whole)[5][:3]
    again = Bench(Trading(), sizing=KELLY, past=first.tape.entries)
    again.run(events[10:11])
    assert sizes_of(again)[0][:3] == last
    forgetful = Bench(Trading(), sizing=KELLY)
    forgetful.run(events[10:11])
    assert sizes_of(forgetful)[0][:3] != last
