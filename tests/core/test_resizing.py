"""Resizing of holdings: outside the band, once a session, within the limits, and known after a restart."""

import json

import pytest
from msgspec.structs import replace

from core.clock import DAY_NS
from core.events import OrderIntended, OrderSized, RiskRefused
from core.risk import Limits
from core.sizing.rules import OwnSizing, SizingRules, Unsized
from projections.decided import Decided
from tests.core.bench import OPEN, Bench, D, S, Script, instrument, session, trade

pytestmark = pytest.mark.risk

RULES = SizingRules(method="fixed_fractional", risk_per_trade=0.01, stop_pct=0.1, resize_band=0.2)
DAYS = (instrument(), session(), session("2025-07-03", DAY_NS))


def enter(strategy):
    strategy.buy("ACME", strategy.size("ACME"), reason="in")


def resize(strategy):
    strategy.resize("ACME")


def bench_of(plan, prices, rules=RULES, day=0, **options):
    bench = Bench(Script(plan), sizing=rules, definitions=DAYS, **options)
    start = OPEN + day * DAY_NS
    bench.run([trade(start + n * S, float(price)) for n, price in enumerate(prices)])
    return bench


def asked(bench):
    return [(i.side, i.quantity) for i in bench.recorded(OrderIntended)]


def held(bench):
    return bench.world.positions.quantity("ACME")


def test_a_holding_outside_the_band_is_brought_to_its_size_and_says_why():
    # 1 % of 100,000 at 10 % of 10 is 1,000 units; at 12.5, and an equity of 102,500, it is 820
    bench = bench_of({1: enter, 3: resize}, [10, 10, 12.5, 12.5])
    assert asked(bench) == [("BUY", 1000), ("SELL", 180)]
    assert held(bench) == 820
    sized = bench.recorded(OrderSized)[1]
    assert (sized.purpose, sized.quantity) == ("resize", 820)
    assert sized.reason == "1000 held, 820 by fixed_fractional: 21.95% off, the band is 20.00%"
    assert json.loads(sized.inputs)["held"] == "1000"
    assert json.loads(sized.inputs)["resize_band"] == "0.2"
    order = bench.recorded(OrderIntended)[1]
    assert order.reason == f"resize: {sized.reason}"
    causes = [entry.cause for entry in bench.tape.entries if entry.event is order]
    assert causes == [entry.seq for entry in bench.tape.entries if entry.event is sized]


def test_a_short_holding_is_resized_by_buying_back():
    bench = bench_of({1: lambda s: s.sell("ACME", 1000, reason="in"), 3: resize}, [10, 10, 12.5, 12.5])
    assert asked(bench) == [("SELL", 1000), ("BUY", 220)]  # the equity is 97,500


@pytest.mark.parametrize(
    ("rules", "prices"),
    [
        (RULES, [10, 10, 11, 11]),
        (replace(RULES, resize_band=None), [10, 10, 20, 20]),
        (replace(RULES, method="kelly", kelly_least=2, kelly_cap=0.0001), [10, 10, 20, 20]),
    ],
)
def test_within_the_band_or_off_or_without_a_size_nothing_is_done(rules, prices):
    bench = bench_of({1: lambda s: s.buy("ACME", 1000, reason="in"), 3: resize}, prices, rules)
    assert asked(bench) == [("BUY", 1000)]
    assert bench.recorded(OrderSized) == []


def test_a_holding_has_one_turn_a_session():
    prices = [10, 10, 12.5, 12.5, 25, 25]
    bench = bench_of({1: enter, 3: lambda s: (resize(s), resize(s)), 5: resize}, prices)
    assert asked(bench) == [("BUY", 1000), ("SELL", 180)]
    events = [trade(OPEN + n * S, float(price)) for n, price in enumerate(prices)]
    events += [trade(OPEN + DAY_NS + n * S, 25.0) for n in range(2)]
    two = Bench(Script({1: enter, 3: resize, 7: resize}), sizing=RULES, definitions=DAYS)
    two.run(events)
    assert [side for side, _ in asked(two)] == ["BUY", "SELL", "SELL"]


def test_orders_on_their_way_come_first():
    plan = {1: enter, 3: lambda s: (s.buy("ACME", 1, limit=1, reason="low"), None)[1], 4: resize}
    bench = bench_of(plan, [10, 10, 12.5, 12.5, 12.5])
    assert asked(bench) == [("BUY", 1000), ("BUY", 1)]


def restarted(past, day=0):
    """Resize in a second session whose world folds what the first one recorded."""
    return bench_of({1: resize}, [25, 25], past=past, day=day)


def test_after_a_restart_the_log_knows_who_had_a_turn():
    first = bench_of({1: enter, 3: resize}, [10, 10, 12.5, 12.5])
    assert asked(restarted(first.tape.entries)) == []
    assert [side for side, _ in asked(restarted(first.tape.entries, day=1))] == ["SELL"]
    none = bench_of({1: enter}, [10, 10, 12.5, 12.5])
    assert [side for side, _ in asked(restarted(none.tape.entries))] == ["SELL"]


def test_a_restart_that_forgets_the_turn_is_caught(monkeypatch):
    first = bench_of({1: enter, 3: resize}, [10, 10, 12.5, 12.5])
    monkeypatch.setattr(Decided, "resized_ts", lambda self, strategy, instrument: None)
    assert asked(restarted(first.tape.entries)) != []


def test_growth_is_judged_by_the_limits_and_a_reduction_always_passes():
    limits = Limits(max_position_size=0.09)
    plan = {1: lambda s: s.buy("ACME", 800, reason="in"), 3: resize}
    grown = bench_of(plan, [10, 10, 8, 8], limits=limits)
    assert asked(grown) == [("BUY", 800), ("BUY", 430)]
    (refusal,) = grown.recorded(RiskRefused)
    assert refusal.rule == "max_position_size"
    assert held(grown) == 800
    shrunk = bench_of(plan, [10, 10, 50, 50], limits=limits)
    assert shrunk.recorded(RiskRefused) == []
    assert held(shrunk) == D(264)


OWN = replace(RULES, method="mine", own=OwnSizing("mine", "mine.py"))


def failing(monkeypatch, *words):
    """Let a sizer of one's own fail in these words, one after the other; `None` is a size of 500."""
    told = iter(words)

    def sizer(case):
        said = next(told)
        if said is None:
            return D(500)
        raise Unsized(said)

    monkeypatch.setattr("app.composition.world.load_sizer", lambda rules: sizer)


def held_1000(*turns):
    return {1: lambda s: s.buy("ACME", 1000, reason="in")} | dict.fromkeys(turns, resize)


def test_a_sizer_that_fails_changes_no_holding_and_is_on_record(monkeypatch):
    failing(monkeypatch, "sizer mine raised")
    bench = bench_of(held_1000(3), [10, 10, 99, 99], OWN)
    assert asked(bench) == [("BUY", 1000)]
    (told,) = bench.recorded(OrderSized)
    assert (told.purpose, told.quantity, told.capped_by) == ("resize", 0, "sizer mine raised")
    assert json.loads(told.inputs)["held"] == "1000"


def test_it_is_on_record_once_a_session_and_again_if_it_fails_in_another_way(monkeypatch):
    words = ["no rows"] * 3 + ["no file"] * 2
    failing(monkeypatch, *words)
    prices = [10, 10, 99, 99, 99, 99, 99]
    bench = bench_of(held_1000(2, 3, 4, 5, 6), prices, OWN)
    assert [told.capped_by for told in bench.recorded(OrderSized)] == ["no rows", "no file"]


def test_it_does_not_use_up_the_turn(monkeypatch):
    failing(monkeypatch, "no rows", None)
    bench = bench_of(held_1000(3, 4), [10, 10, 10, 10], OWN)
    assert [told.quantity for told in bench.recorded(OrderSized)] == [0, 500]
    assert asked(bench) == [("BUY", 1000), ("SELL", 500)]


def test_a_fold_that_takes_a_failure_for_a_turn_is_caught(monkeypatch):
    def _sized(self, event, _seq):
        self._resized[event.strategy, event.instrument] = event.ts

    monkeypatch.setattr(Decided, "_sized", _sized)
    failing(monkeypatch, "no rows", None)
    assert asked(bench_of(held_1000(3, 4), [10, 10, 10, 10], OWN)) == [("BUY", 1000)]


def test_a_sizer_of_ones_own_that_says_0_is_no_failure(monkeypatch):
    monkeypatch.setattr("app.composition.world.load_sizer", lambda rules: lambda case: D(0))
    bench = bench_of(held_1000(3), [10, 10, 99, 99], OWN)
    assert bench.recorded(OrderSized) == []
