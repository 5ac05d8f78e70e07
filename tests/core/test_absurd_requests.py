"""Numbers that are none, in every verb of a strategy: refused on record, and the session goes on."""

from decimal import Decimal

import numpy as np
import pytest

from core import drafting
from core.errors import InvalidEvent, StrategyRaised
from core.events import Filled, OrderIntended, OrderSized, Recorded, RiskRefused, StrategyFailed, TimerFired
from core.money import money
from core.risk import Limits
from core.signals.composite import Reading, SignalRules
from core.sizing.rules import SizingRules
from eventstore.checks import check
from tests.core.bench import OPEN, Bench, S, Script, instrument, session, trade

pytestmark = pytest.mark.risk

D = Decimal
NAN, INF = float("nan"), float("inf")
NUMBERS = {
    "nan": NAN,
    "infinity": INF,
    "minus infinity": -INF,
    "1e30": 1e30,
    "1e300": 1e300,
    "1e400": D("1e400"),
    "1e999999": D("1e999999"),
    "just below 1e30": D("999999999999999999999999999999.99999999"),
    "decimal nan": D("NaN"),
    "signalling nan": D("sNaN"),
    "decimal infinity": D("Infinity"),
    "negative": -5,
    "negative decimal": D("-1e25"),
    "5000 digits": 10**5000,
    "minus 5000 digits": -(10**5000),
    "numpy nan": np.float64("nan"),
    "numpy infinity": np.float32("inf"),
}
TRUTHS = {"true": True, "false": False, "numpy true": np.True_}
VERBS = {
    "buy": lambda s, x: s.buy("ACME", x, reason="r"),
    "sell": lambda s, x: s.sell("ACME", x, reason="r"),
    "limit": lambda s, x: s.buy("ACME", 1, limit=x, reason="r"),
    "stop": lambda s, x: s.sell("ACME", 1, stop=x, reason="r"),
    "touch": lambda s, x: s.buy("ACME", 1, limit=5.0, touch=x, reason="r"),
    "trail": lambda s, x: s.sell("ACME", 1, trail=x, reason="r"),
    "trail_pct": lambda s, x: s.sell("ACME", 1, trail_pct=x, reason="r"),
    "good_till": lambda s, x: s.buy("ACME", 1, limit=5.0, tif="GTD", good_till=x, reason="r"),
    "bracket": lambda s, x: s.bracket("ACME", "BUY", x, take_profit=20, reason="r"),
    "take_profit": lambda s, x: s.bracket("ACME", "BUY", 1, take_profit=x, reason="r"),
    "stop_loss": lambda s, x: s.bracket("ACME", "BUY", 1, stop_loss=x, reason="r"),
    "modify quantity": lambda s, x: s.modify("s-1-1", quantity=x, reason="r"),
    "modify limit": lambda s, x: s.modify("s-1-1", limit=x, reason="r"),
    "modify trail": lambda s, x: s.modify("s-1-1", trail=x, reason="r"),
    "modify good_till": lambda s, x: s.modify("s-1-1", tif="GTD", good_till=x, reason="r"),
    "target_pct": lambda s, x: s.target_pct("ACME", x, reason="r"),
    "target_weights": lambda s, x: s.target_weights({"ACME": x}, reason="r"),
}
LIMITED = Limits(max_position_size=0.9, price_collar=0.9, duplicate_within_s=1.0)


def run(call, limits=Limits()):  # noqa: B008
    """A resting order, the call, then an order that must still fill."""
    plan = {1: lambda s: s.buy("ACME", 1, limit=5.0, reason="rests"), 2: call}
    plan[4] = lambda s: s.buy("ACME", 1, reason="goes on")
    bench = Bench(Script(plan), limits=limits)
    bench.run([trade(OPEN + n * S, 10.0) for n in range(8)])
    return bench


def storable(bench):
    """What a log would not take ends a live session."""
    for entry in bench.tape.entries:
        check(entry.event)


@pytest.mark.parametrize("limits", [Limits(), LIMITED], ids=["no limits", "limits"])
@pytest.mark.parametrize("verb", VERBS)
def test_an_absurd_number_is_refused_on_record_and_the_session_goes_on(verb, limits):
    truths = {} if "good_till" in verb else TRUTHS  # for a time, they are of the wrong type
    for name, number in {**NUMBERS, **truths}.items():
        bench = run(lambda s, x=number: VERBS[verb](s, x), limits)
        storable(bench)
        refused = bench.recorded(RiskRefused)
        assert len(refused) in (1, 2), name  # the exit of a bracket has a refusal of its own
        assert refused[0].message, name
        assert len(refused[0].message) < 400, name
        assert [fill.quantity for fill in bench.recorded(Filled)] == [1], name
        assert bench.world.orders.get("s-1-1").state == "Submitted", name


@pytest.mark.parametrize(
    ("call", "rule", "value", "says"),
    [
        (lambda s: s.buy("ACME", 1e30, reason="r"), "quantity", "1e+30", "expected a number below 1e30"),
        (lambda s: s.buy("ACME", -5, reason="r"), "quantity", "-5", "a quantity of -5 is no order"),
        (lambda s: s.buy("ACME", 10**5000, reason="r"), "quantity", "a number beyond 1e4300", "1e4300"),
        (lambda s: s.buy("ACME", 1, limit=1e13, reason="r"), "price", "10000000000000", "beyond any market"),
        (lambda s: s.sell("ACME", 1, trail=2e12, reason="r"), "price", "2000000000000", "beyond any market"),
        (lambda s: s.target_pct("ACME", NAN, reason="r"), "sizing", "nan", "nan is no share of equity"),
        (lambda s: s.modify("s-1-1", quantity=-3, reason="r"), "quantity", "-3", "-3 is no order"),
        (lambda s: s.buy("ACME", True, reason="r"), "quantity", "True", "quantity True: expected a number"),
        (lambda s: s.buy("ACME", 1, limit=True, reason="r"), "price", "True", "limit True is no price"),
        (lambda s: s.change("ACME", np.True_, reason="r"), "quantity", "True", "quantity np.True_: expected"),
        (lambda s: s.modify("s-1-1", tif="soon", reason="r"), "tif", "soon", "'soon' is no time in force"),
        (lambda s: s.record("edge", NAN), "record", "nan", "series 'edge': nan cannot be recorded"),
        (lambda s: s.record("edge", D("1e400")), "record", "1E+400", "cannot be recorded"),
        (lambda s: s.set_timer("t", after_s=NAN), "time", "nan", "timer 't': after_s nan is no time"),
        (lambda s: s.set_timer("t", after_s=1e300), "time", "1e+300", "up to the year 2262"),
        (lambda s: s.set_timer("t", at=10**30), "time", "1" + "0" * 30, "before the year 2262"),
    ],
)
def test_the_refusal_names_rule_and_number(call, rule, value, says):
    bench = run(call)
    (refused,) = bench.recorded(RiskRefused)
    assert (refused.rule, refused.value) == (rule, value)
    assert says in refused.message
    assert not bench.recorded(TimerFired, Recorded)


def test_without_the_check_a_negative_quantity_reaches_what_no_log_takes(monkeypatch):
    monkeypatch.setattr(drafting, "amount", lambda value: money(D(value)))
    bench = run(lambda s: s.buy("ACME", -5, reason="r"))
    with pytest.raises(InvalidEvent, match="quantity is -5"):
        storable(bench)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.buy(["ACME"], 1, reason="r"), r"instrument=\['ACME'\]: expected text, not list"),
        (lambda s: s.cancel(7, reason="r"), "order=7: expected text, not int"),
        (lambda s: s.modify(None, limit=3, reason="r"), "order=None: expected text, not NoneType"),
        (
            lambda s: s.buy("ACME", 1, outside_rth="no", reason="r"),
            "outside_rth='no': expected True or False",
        ),
        (lambda s: s.buy("ACME", 1, oca=3, reason="r"), "oca=3: expected text"),
        (
            lambda s: s.buy("ACME", 1, limit=1, tif="GTD", good_till="16:00", reason="r"),
            "good_till='16:00': expected a time in ns UTC, not str",
        ),
        (lambda s: s.record("n", "3"), "series 'n': value='3': expected a number, not str"),
        (lambda s: s.record(3, 1.0), "name=3: expected text"),
        (lambda s: s.set_timer("t", at=True), "at=True: expected a time in ns UTC, not bool"),
        (lambda s: s.set_timer("t", after_s=True), "after_s=True: expected seconds, not bool"),
        (lambda s: s.size("ACME", True), "volatility=True: expected a number, not bool"),
        (
            lambda s: s.buy("ACME", 1, limit=1, tif="GTD", good_till=True, reason="r"),
            "good_till=True: expected a time in ns UTC, not bool",
        ),
        (
            lambda s: s.composite("ACME", {"own": Reading(True, 1.0, OPEN)}),
            "own: value=True: expected a number, not bool",
        ),
        (lambda s: s.set_timer("t", at="16:00"), "at='16:00': expected a time in ns UTC"),
        (lambda s: s.set_timer("t", after_s="soon"), "after_s='soon': expected seconds, not str"),
        (lambda s: s.set_clock_timer("t", "ACME", 15), "clock=15: expected text"),
        # Without its limit it would be a market order, and the bracket an entry without a stop.
        (
            lambda s: s.buy("ACME", 1, limt=5.0, reason="r"),
            "limt=: there is no such term; did you mean limit=",
        ),
        (
            lambda s: s.sell("ACME", 1, outside_hours=True, reason="r"),
            "no such term; did you mean outside_rth=",
        ),
        (lambda s: s.change("ACME", -1, price=5.0, reason="r"), "no such term; expected at_close, good_till"),
        (
            lambda s: s.bracket("ACME", "BUY", 1, take_profit=20, stop_los=5, reason="r"),
            "stop_los=: there is no such term; did you mean stop_loss=",
        ),
        (lambda s: s.modify("s-1-1", limits=5.0, reason="r"), "limits=: .* did you mean limit="),
    ],
)
def test_a_wrong_type_fails_the_strategy_at_its_own_line(call, says):
    bench = Bench(Script({1: call}), signals=SignalRules(weights={"own": 1.0}))
    with pytest.raises(StrategyRaised, match=says):
        bench.run([trade(OPEN, 10.0), trade(OPEN + S, 10.0)])
    (failed,) = bench.recorded(StrategyFailed)
    assert (failed.handler, failed.line > 0) == ("on_trade", True)


def test_numpys_numbers_are_numbers():
    calls = [
        lambda s: s.buy("ACME", np.int64(5), reason="r"),
        lambda s: s.change("ACME", np.int32(-3), reason="r"),
        lambda s: s.buy("ACME", np.float32(2), limit=np.float32(12), reason="r"),
        lambda s: s.record("n", np.float32(0.5)),
        lambda s: s.set_timer("t", at=np.int64(OPEN + 5 * S)),
        lambda s: s.buy("ACME", 1, outside_rth=np.True_, reason="r"),
    ]
    bench = Bench(Script(dict(enumerate(calls, 1))))
    bench.run([trade(OPEN + n * S, 10.0) for n in range(9)])
    storable(bench)
    assert [(f.side, f.quantity) for f in bench.recorded(Filled)] == [
        ("BUY", 5),
        ("SELL", 3),
        ("BUY", 2),
        ("BUY", 1),
    ]
    assert [timer.ts for timer in bench.recorded(TimerFired)] == [OPEN + 5 * S]
    assert bench.recorded(OrderIntended)[-1].outside_rth is True


def test_a_truth_is_recorded_as_one_or_nought():
    """A series may be of whether something holds."""
    bench = run(lambda s: [s.record("above", held) for held in (True, np.False_)])
    assert [repr(recorded.value) for recorded in bench.recorded(Recorded)] == ["1.0", "0.0"]


def test_a_reason_of_any_kind_is_kept_as_text_that_can_be_stored():
    for reason, kept in (("\ud800", "?"), (NAN, "nan"), ("x" * 5_000, "x" * 3_999 + "…"), (None, "None")):
        bench = Bench(Script({1: lambda s, r=reason: s.buy("ACME", 1, reason=r)}))
        bench.run([trade(OPEN, 10.0), trade(OPEN + S, 10.0)])
        (intent,) = bench.recorded(OrderIntended)
        check(intent)
        assert intent.reason == kept


def test_an_instrument_of_any_name_is_refused_under_one_that_can_be_stored():
    for name, kept in (("\ud800", "?"), ("x" * 5_000, "x" * 3_999 + "…")):
        bench = Bench(Script({1: lambda s, n=name: s.buy(n, 1, reason="r")}))
        bench.run([trade(OPEN, 10.0), trade(OPEN + S, 10.0)])
        storable(bench)
        (intent,) = bench.recorded(OrderIntended)
        (refused,) = bench.recorded(RiskRefused)
        assert (intent.instrument, refused.rule) == (kept, "instrument")


def test_a_price_with_more_digits_than_money_has_is_rounded_to_eight_places():
    bench = Bench(
        Script({1: lambda s: s.buy("ACME", 1, limit=D("9.123456789012345"), reason="r")}),
        definitions=[instrument(), session()],
    )
    bench.run([trade(OPEN, 10.0), trade(OPEN + S, 10.0)])
    assert [intent.limit for intent in bench.recorded(OrderIntended)] == [D("9.12345679")]


@pytest.mark.parametrize("number", [NAN, INF, D("1e400"), np.float64("nan"), -0.5])
def test_a_volatility_that_is_none_is_unknown_and_sizes_nothing(number):
    sizes = []
    bench = Bench(
        Script({1: lambda s: sizes.append(s.size("ACME", number)), 2: lambda s: s.resize("ACME", number)}),
        sizing=SizingRules(method="volatility_target", resize_band=0.1),
    )
    bench.run([trade(OPEN + n * S, 10.0) for n in range(3)])
    storable(bench)
    assert sizes == [0]
    assert [sized.capped_by for sized in bench.recorded(OrderSized)] == ["volatility is unknown"]


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (Reading(NAN, 1.0, OPEN), "value nan: expected a number from -1 to 1"),
        (Reading(np.float64("nan"), 1.0, OPEN), "value nan: expected a number from -1 to 1"),
        (Reading(D("1e400"), 1.0, OPEN), "value 1E+400: expected a number from -1 to 1"),
        (Reading(1.5, 1.0, OPEN), "value 1.5: expected a number from -1 to 1"),
        (Reading(0.9, NAN, OPEN), "confidence nan: expected a number from 0 to 1"),
        (Reading(0.9, 1.0, NAN), "own: as_of nan is no time: expected ns UTC before the year 2262"),
    ],
)
def test_a_reading_that_is_no_number_is_left_out_of_the_composite_and_told(reading, why):
    found = []
    bench = Bench(
        Script({1: lambda s: found.append(s.composite("ACME", {"own": reading}))}),
        signals=SignalRules(weights={"own": 1.0}),
    )
    bench.run([trade(OPEN, 10.0), trade(OPEN + S, 10.0)])
    storable(bench)
    assert [(one.value, one.stance, one.dropped) for one in found] == [(0, "hold", {"own": why})]


def test_a_reading_in_numpys_numbers_counts():
    found = []
    reading = Reading(np.float32(0.75), np.int64(1), np.int64(OPEN))
    bench = Bench(
        Script({1: lambda s: found.append(s.composite("ACME", {"own": reading}))}),
        signals=SignalRules(weights={"own": 1.0}),
    )
    bench.run([trade(OPEN, 10.0), trade(OPEN + S, 10.0)])
    storable(bench)
    assert [(one.value, one.stance) for one in found] == [(0.75, "buy")]
