"""A published result is a test: a rule that is broken changes one. And no strategy is longer than a page."""

from decimal import Decimal

import pytest

import core.matching.bars as bars
from core.sizing.methods import LEAN
from tests.published.conftest import EXAMPLES, cents
from tests.published.lean import PUBLISHED

D = Decimal

pytestmark = pytest.mark.shared_data


def once(rule):
    """Return the rule for an order that meets each bar once, not before and after the strategy."""
    met = {}

    def matched(order, seen):
        if met.get(order.intent.order) == seen:
            return None
        met[order.intent.order] = seen
        return rule(order, seen)

    return matched


@pytest.mark.parametrize(
    ("broken", "algorithm"),
    [
        ("market orders at the trade close", "BasicTemplateAlgorithm"),
        ("no buffer in the sizing", "BasicTemplateAlgorithm"),
        ("stops at their own price", "StopLossOnOrderEvent"),
        ("trailing stops meet each bar once", "UpdateOrder"),
    ],
)
def test_a_rule_that_is_broken_changes_a_published_result(broken, algorithm, lean_log, play, monkeypatch):
    if broken == "market orders at the trade close":
        monkeypatch.setattr("adapters.replay.pit.close_in_bars", lambda order, book, ts: book.mark)
    elif broken == "no buffer in the sizing":
        monkeypatch.setattr(type(LEAN), "_target", lambda self, share, equity: equity / self.leverage)
    elif broken == "trailing stops meet each bar once":
        monkeypatch.setattr(bars, "_trailing", once(bars._trailing))
    else:
        monkeypatch.setattr(bars, "_stop", lambda order, bar: order.stop if bar.high >= order.stop else None)
    strategy, parameters, period, feed, *_, equity, _ = PUBLISHED[algorithm]
    seed = 1 + len(broken)  # a run of its own: the same one must come out the same
    told = play(lean_log, strategy, period, feed, parameters=parameters, seed=seed).summary
    assert cents(told["end_equity"]) != D(equity)


def test_each_published_strategy_is_a_file_of_at_most_forty_lines():
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert {name: count for name, count in lines.items() if count > 40} == {}
    assert len(lines) > len({row[0].partition(":")[0] for row in PUBLISHED.values()})
