"""Signals as events: what is valid, what holds when, who is told, what a composite makes of them."""

import json
from decimal import Decimal

import msgspec
import pytest

from core.errors import InvalidEvent
from core.events import (
    CompositeSignal,
    Entry,
    ModifyIntended,
    OrderIntended,
    SignalReceived,
    SignalSourcesChanged,
)
from core.signals.composite import Reading, SignalRules, compose, freshness
from core.signals.rules import checked, problem
from core.strategy import Parameters, Strategy, Subscription
from projections.signals import Signals
from tests.core.bench import BEGIN, MIN, OPEN, Bench, S, trade

pytestmark = pytest.mark.signal

DAY = 86_400 * S
GOOD = SignalReceived(OPEN, "bma", "ACME", 0.5, 0.8, OPEN - MIN, 0, OPEN + DAY)


def signal(
    ts=OPEN, source="bma", name="ACME", value=0.5, as_of=None, horizon=0, expires=None, confidence=1.0
):
    as_of = ts if as_of is None else as_of
    return SignalReceived(ts, source, name, value, confidence, as_of, horizon, expires or ts + DAY)


def test_a_signal_within_all_bounds_is_valid():
    assert problem(GOOD) is None
    assert checked(GOOD) is GOOD


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 1.0000001}, "from -1 to 1"),
        ({"value": -2.0}, "from -1 to 1"),
        ({"value": float("nan")}, "from -1 to 1"),
        ({"confidence": 1.5}, "from 0 to 1"),
        ({"confidence": float("inf")}, "from 0 to 1"),
        ({"source": ""}, "source ''"),
        ({"source": "a b"}, "source 'a b'"),
        ({"instrument": " "}, "instrument"),
        ({"as_of": OPEN + 1}, "as_of"),
        ({"as_of": 0}, "as_of"),
        ({"horizon": -1}, "horizon"),
        ({"expires": OPEN}, "expires 2025-"),
    ],
)
def test_what_is_not_valid_is_refused_with_its_reason(change, said):
    bad = msgspec.structs.replace(GOOD, **change)
    with pytest.raises(InvalidEvent, match="signal of"):
        checked(bad)
    assert said in str(problem(bad))


def folded(*events):
    projection = Signals()
    for seq, event in enumerate(events, 1):
        projection.apply(Entry(seq, None, seq, None, event))
    return projection


def test_a_later_as_of_replaces_an_earlier_one_whatever_the_order_of_arrival():
    new, old = signal(OPEN + 2, value=0.9, as_of=OPEN + 2), signal(OPEN + 3, value=0.1, as_of=OPEN + 1)
    for events in ((old, new), (new, old)):
        assert folded(*events).current("bma", "ACME", OPEN + 5) == new


def test_of_one_as_of_what_comes_later_in_the_log_counts():
    first, second = signal(value=0.1), signal(value=0.2)
    assert folded(first, second).current("bma", "ACME", OPEN + 5) == second


def test_a_path_of_days_is_followed_from_close_to_close():
    path = [signal(value=n / 10, horizon=n * DAY, expires=OPEN + n * DAY) for n in (1, 2, 3)]
    held = folded(*path)
    current = [held.current("bma", "ACME", OPEN + n * DAY - 1) for n in (1, 2, 3)]
    assert current == path
    assert held.current("bma", "ACME", OPEN + DAY) == path[1]


def test_a_signal_holds_from_its_time_until_before_it_expires():
    held = folded(signal(OPEN, expires=OPEN + MIN))
    assert held.current("bma", "ACME", OPEN - 1) is None
    assert held.current("bma", "ACME", OPEN) is not None
    assert held.current("bma", "ACME", OPEN + MIN) is None
    assert held.expired("bma", "ACME", OPEN + MIN)
    assert not held.expired("lstm", "ACME", OPEN + MIN)
    assert held.sources("ACME") == ["bma"]


def test_an_invalid_signal_that_a_log_holds_is_ignored_and_counted():
    held = folded(signal(value=0.3), msgspec.structs.replace(GOOD, value=7.0, ts=OPEN + 9))
    assert held.current("bma", "ACME", OPEN + 10).value == 0.3
    assert held.state().ignored == 1


def test_the_state_survives_its_encoding():
    held = folded(
        signal(), signal(source="lstm", horizon=DAY), signal(source="lstm", horizon=2 * DAY, value=-1.0)
    )
    again = Signals()
    again.load(held.encoded())
    assert again.digest() == held.digest()
    assert again.current("lstm", "ACME", OPEN + 1) == held.current("lstm", "ACME", OPEN + 1)


class Follower(Strategy[Parameters]):
    """Notes signals and buys when the composite says so."""

    def __init__(self):
        super().__init__(Parameters())
        self.told, self.seen = [], []

    def subscriptions(self):
        return [Subscription("ACME")]

    def on_signal(self, signal):
        self.told.append((signal.instrument, self.now))

    def on_trade(self, trade):
        found = self.composite("ACME", {"rsi": None})
        self.seen.append(found)
        if found.stance == "buy" and not self.position("ACME") and not self.working_orders():
            self.buy("ACME", 1, reason=f"composite {found.value}")


RULES = SignalRules(weights={"bma": 0.5, "lstm": 0.3, "rsi": 0.2}, threshold=0.6, half_life_s=86_400)


def bench_of(strategy, rules=RULES):
    return Bench(("s", strategy), signals=rules)


def test_a_strategy_is_told_of_signals_for_its_instruments_only():
    strategy = Follower()
    bench_of(strategy).run([signal(OPEN), signal(OPEN + 1, name="OTHER"), trade(OPEN + 2, 10)])
    assert strategy.told == [("ACME", OPEN)]


def test_an_order_names_the_composite_it_follows_from():
    bench = bench_of(Follower())
    bench.run([signal(value=1.0, confidence=0.9), trade(OPEN + 1, 10), trade(OPEN + 2, 10)])
    entries = bench.tape.entries
    (composite,) = [e for e in entries if isinstance(e.event, CompositeSignal)]
    (intent,) = [e for e in entries if isinstance(e.event, OrderIntended)]
    assert intent.cause == composite.seq
    assert composite.at == intent.at == 2
    parts = json.loads(composite.event.contributions)
    assert [(part["source"], part["share"], part["part"]) for part in parts] == [("bma", 1.0, 0.9)]
    (sources,) = bench.recorded(SignalSourcesChanged)
    assert (sources.used, json.loads(sources.dropped)) == ("bma", {"lstm": "missing", "rsi": "not ready"})


def test_a_change_of_an_order_names_the_composite_it_follows_from():
    class Changer(Follower):
        def on_trade(self, trade):
            if self.working_orders():
                self.composite("ACME", {"rsi": None})
                self.modify("s-1-1", quantity=2, reason="signal")
            else:
                self.buy("ACME", 1, limit=5, reason="rests")

    bench = bench_of(Changer())
    bench.run([trade(OPEN, 10), signal(OPEN + 1, value=1.0), trade(OPEN + 2, 10)])
    (composite,) = [e for e in bench.tape.entries if isinstance(e.event, CompositeSignal)]
    (change,) = [e for e in bench.tape.entries if isinstance(e.event, ModifyIntended)]
    assert change.cause == composite.seq


def test_a_changed_set_of_sources_and_a_changed_stance_are_recorded_once_each():
    bench = bench_of(Follower())
    ticks = [trade(OPEN + n * S, 10) for n in range(10)]
    lstm = signal(OPEN + 3 * S, source="lstm", value=-1.0, expires=OPEN + 6 * S)
    bench.run(sorted([signal(value=1.0), lstm, *ticks], key=lambda e: e.ts))
    assert [event.used for event in bench.recorded(SignalSourcesChanged)] == ["bma", "bma,lstm", "bma"]
    assert [event.stance for event in bench.recorded(CompositeSignal)] == ["buy", "hold", "buy"]
    last = bench.recorded(SignalSourcesChanged)[-1]
    assert json.loads(last.dropped)["lstm"] == "expired"


def test_nothing_of_it_is_recorded_during_warm_up():
    bench = bench_of(Follower())
    bench.run([trade(OPEN + S, 10)], warm_up=[signal(BEGIN, value=1.0), trade(BEGIN + 1, 10)])
    assert [event.stance for event in bench.recorded(CompositeSignal)] == ["buy"]
    assert bench.recorded(CompositeSignal)[0].ts == OPEN + S


# -- the composite alone ---------------------------------------------------------------------------


def test_the_parts_sum_to_the_value_and_the_shares_to_one():
    readings = {
        "bma": Reading(0.7, 0.9, OPEN),
        "lstm": Reading(-0.4, 1.0, OPEN - DAY),
        "rsi": Reading(1, 1, OPEN),
    }
    found = compose(RULES, readings, OPEN)
    assert sum(part.share for part in found.contributions) == pytest.approx(1)
    assert sum(part.part for part in found.contributions) == pytest.approx(found.value)
    assert found.value == pytest.approx(0.5 * 0.7 * 0.9 + 0.3 * -0.4 * 0.5 + 0.2)


def test_a_source_that_says_nothing_leaves_its_weight_to_the_others():
    found = compose(RULES, {"bma": Reading(1.0, 1.0, OPEN), "lstm": "expired"}, OPEN)
    assert [(part.source, part.share) for part in found.contributions] == [("bma", 1.0)]
    assert found.dropped == {"lstm": "expired", "rsi": "missing"}


def test_half_a_half_life_later_half_of_the_decay_is_done():
    assert freshness(86_400 * S, 86_400) == 0.5
    assert freshness(0, 86_400) == freshness(-5, 1) == 1.0
    assert freshness(2 * 86_400 * S, 86_400) == 0.25


def test_a_stale_source_is_dropped_and_half_lives_are_by_source():
    rules = SignalRules(weights={"a": 0.5, "b": 0.5}, half_life={"a": 60.0}, half_life_s=86_400)
    found = compose(rules, {"a": Reading(1, 1, OPEN), "b": Reading(-1, 1, OPEN)}, OPEN + 10 * MIN)
    assert found.used == ("b",)
    assert found.dropped == {"a": "stale"}


@pytest.mark.parametrize(
    ("value", "stance"), [(0.6, "buy"), (0.59, "hold"), (-0.6, "sell"), (-0.59, "hold"), (0.0, "hold")]
)
def test_the_threshold_itself_counts(value, stance):
    rules = SignalRules(weights={"a": 1.0}, threshold=0.6)
    assert compose(rules, {"a": Reading(value, 1.0, OPEN)}, OPEN).stance == stance


def test_without_any_source_there_is_no_stance_even_at_a_threshold_of_0():
    found = compose(SignalRules(threshold=0.0), {}, OPEN)
    assert (found.value, found.stance, found.used) == (0, "hold", ())
    assert set(found.dropped.values()) == {"missing"}


def test_quantities_stay_exact_beside_floats():
    bench = bench_of(Follower())
    bench.run([signal(value=1.0), trade(OPEN + 1, 10)])
    assert bench.recorded(OrderIntended)[0].quantity == Decimal(1)
