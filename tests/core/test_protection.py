"""Automatic exits: always as large as what is open, never twice, from the folds alone."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.composition.ranging import ranges_of
from core.day_stop import DayStop
from core.events import CancelIntended, Entry, Filled, ModifyIntended, OrderIntended, RiskRefused
from core.exits import protection
from core.exits.protection import Protection, Sweep
from core.exits.rules import ExitRules
from core.order_rules import STOPS, is_exit
from core.risk import Limits
from tests.conftest import examples
from tests.core.bench import ACCOUNT, MIN, OPEN, Bench, FillModel, S, Script, instrument, quote, trade

pytestmark = pytest.mark.risk

D = Decimal
PAIR = ExitRules(stop_loss_pct=0.05, take_profit_pct=0.1)


def bench_of(plan, rules=PAIR, *, session=1, **options):
    bench = Bench(Script(plan), **options)
    world = bench.world
    views = (world.orders, world.positions, world.sessions)
    ranges = ranges_of(rules)
    bench.step.protect(Protection(rules, *views, ACCOUNT, session, ranges, world.decided))
    if rules.by_range:
        bench.step.watching = {"on_trade": ranges.on_trade, "on_bar": ranges.on_bar}
    return bench


def ticks(*prices, step=S):
    return [trade(OPEN + n * step, price) for n, price in enumerate(prices)]


def exits(bench):
    return [o for o in bench.world.orders.orders() if is_exit(o.id)]


def working(bench):
    found = [o for o in bench.world.orders.working() if is_exit(o.id)]
    return sorted((o.type, o.side, o.quantity - o.filled, o.stop or o.limit) for o in found)


def buy(quantity, **terms):
    return lambda s: s.buy("ACME", quantity, reason="r", **terms)


def sell(quantity, **terms):
    return lambda s: s.sell("ACME", quantity, reason="r", **terms)


def test_a_fill_brings_a_stop_and_a_target_in_one_group():
    bench = bench_of({1: buy(10)})
    bench.run(ticks(100, 100, 100))
    assert working(bench) == [("LMT", "SELL", 10, D(110)), ("STP", "SELL", 10, D(95))]
    stop, target = exits(bench)
    assert stop.oca == target.oca != ""
    assert (stop.tif, stop.strategy, stop.reason) == ("GTC", "s", "stop-loss 5.00% from 100")


def test_short_holdings_are_protected_above():
    bench = bench_of({1: sell(10)})
    bench.run(ticks(100, 100, 100))
    assert working(bench) == [("LMT", "BUY", 10, D(90)), ("STP", "BUY", 10, D(105))]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ExitRules(stop_loss_amount=3.0), [("STP", "SELL", 10, D(97))]),
        (ExitRules(take_profit_pct=0.1), [("LMT", "SELL", 10, D(110))]),
        (ExitRules(stop_loss_pct=0.0333), [("STP", "SELL", 10, D("96.67"))]),
    ],
)
def test_kinds_of_exits_and_prices_on_the_tick(rules, expected):
    bench = bench_of({1: buy(10)}, rules)
    bench.run(ticks(100, 100, 100))
    assert working(bench) == expected
    assert [o.oca for o in exits(bench)] == [""]


def test_a_trailing_stop_follows_the_market():
    bench = bench_of({1: buy(10)}, ExitRules(trailing_stop_pct=0.05))
    bench.run(ticks(100, 100, 100, 120, 115, 113.9, 113))
    assert bench.world.positions.quantity("ACME") == 0
    assert [o.type for o in exits(bench)] == ["TRAIL"]


def test_a_holding_that_grows_moves_its_exits():
    bench = bench_of({1: buy(10), 3: buy(10)})
    bench.run(ticks(100, 100, 104, 104, 104))
    assert working(bench) == [("LMT", "SELL", 20, D("112.2")), ("STP", "SELL", 20, D("96.9"))]
    assert len(exits(bench)) == 2


def test_a_bracket_that_has_not_filled_covers_nothing_that_is_held():
    waiting = lambda s: s.bracket("ACME", "BUY", 10, limit=90, stop_loss=80, tif="GTC", reason="r")  # noqa: E731
    bench = bench_of({1: buy(10), 3: waiting, 4: buy(1)})
    bench.run(ticks(100, 100, 100, 100, 100, 100))
    assert working(bench) == [("LMT", "SELL", 11, D(110)), ("STP", "SELL", 11, D(95))]


def test_a_stop_of_ones_own_covers_what_of_it_is_still_to_fill():
    bench = bench_of({1: buy(20), 3: sell(10, stop=98, tif="GTC")}, model=FillModel(partial_fills=True))
    wide = [quote(OPEN + n * S, 99.99, 100, sizes=(20.0, 20.0)) for n in range(4)]
    thin = [quote(OPEN + 4 * S, 98, 98.01, sizes=(4.0, 4.0)), trade(OPEN + 5 * S, 98)]
    bench.run([*wide, *thin])
    (own,) = [o for o in bench.world.orders.working() if not is_exit(o.id)]
    assert (own.quantity, own.filled) == (10, 4)
    assert [each[:3] for each in working(bench)] == [("LMT", "SELL", 10), ("STP", "SELL", 10)]


def test_a_holding_that_shrinks_keeps_smaller_exits_and_a_flat_one_none():
    bench = bench_of({1: buy(10), 3: sell(4)})
    bench.run(ticks(100, 100, 100, 100, 100))
    assert working(bench) == [("LMT", "SELL", 6, D(110)), ("STP", "SELL", 6, D(95))]
    bench = bench_of({1: buy(10), 3: sell(10)})
    bench.run(ticks(100, 100, 100, 100, 100))
    assert working(bench) == []
    assert bench.world.positions.quantity("ACME") == 0


def test_a_holding_that_turns_around_is_protected_on_the_other_side():
    bench = bench_of({1: buy(10), 3: sell(25)})
    bench.run(ticks(100, 100, 100, 100, 100))
    assert working(bench) == [("LMT", "BUY", 15, D(90)), ("STP", "BUY", 15, D(105))]


def test_an_exit_that_fills_cancels_the_other_and_asks_for_nothing_more():
    bench = bench_of({1: buy(10)})
    bench.run(ticks(100, 100, 100, 94, 94, 94, 120))
    assert bench.world.positions.quantity("ACME") == 0
    assert working(bench) == []
    assert bench.recorded(CancelIntended, ModifyIntended) == []
    assert len(bench.recorded(Filled)) == 2


def test_a_strategys_own_stop_and_bracket_are_not_doubled():
    bracket = bench_of({1: lambda s: s.bracket("ACME", "BUY", 10, stop_loss=90, reason="r")})
    bracket.run(ticks(100, 100, 100, 100))
    assert exits(bracket) == []
    partly = bench_of({1: lambda s: s.bracket("ACME", "BUY", 10, stop_loss=90, reason="r"), 3: buy(5)})
    partly.run(ticks(100, 100, 100, 100, 100))
    assert [q for _, _, q, _ in working(partly)] == [5, 5]


def test_exits_pass_every_limit_and_leave_headroom_alone():
    limits = Limits(max_position_size=0.05, max_open_orders=1, max_orders_per_minute=1)
    bench = bench_of({1: buy(50)}, limits=limits)
    bench.run(ticks(100, 100, 100))
    assert bench.recorded(RiskRefused) == []
    assert len(working(bench)) == 2
    closing = bench_of({1: buy(50), 3: sell(50)}, limits=limits)
    closing.run(ticks(100, 100, 100, 100))
    assert closing.recorded(RiskRefused) == []
    assert closing.world.positions.quantity("ACME") == 0


def test_a_restart_finds_its_exits_in_the_folds():
    bench = bench_of({1: buy(10)})
    bench.run(ticks(100, 100, 100))
    world = bench.world
    again = Protection(PAIR, world.orders, world.positions, world.sessions, ACCOUNT, 2)
    sweep = protection.Sweep(1, "s", "ACME")
    assert again.requests(sweep, OPEN + 10 * S) == []
    forgetful = Protection(PAIR, Nobody(), world.positions, world.sessions, ACCOUNT, 2)
    assert len(forgetful.requests(sweep, OPEN + 10 * S)) == 2


class Nobody:
    """Orders of one who forgot: broken on purpose."""

    def working(self, strategy=None, instrument=None):
        return []

    def get(self, order):
        return None


def test_a_day_beyond_its_limit_is_closed_once():
    limits = Limits(max_daily_loss=0.05)
    script = Script({1: buy(1000), 2: buy(1, limit=1, tif="GTC"), 8: buy(1)})
    bench = Bench(script, limits=limits, sampled=True)
    world = bench.world
    bench.step.stop_days(DayStop(0.05, world.risk, world.orders, world.positions, 1))
    bench.run(ticks(100, 100, 94, 94, 94, 94, 94, 94, 94, step=MIN))
    assert world.positions.quantity("ACME") == 0
    assert world.orders.working() == []
    closing = [i for i in bench.recorded(OrderIntended) if i.order.startswith("daystop-")]
    assert [(i.side, i.quantity) for i in closing] == [("SELL", 1000)]
    assert [r.rule for r in bench.recorded(RiskRefused)] == ["max_daily_loss"]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "none"]),
        st.integers(1, 30),
        st.sampled_from([94.0, 97.0, 100.0, 103.0, 111.0]),
        st.integers(5, 40),
    ),
    min_size=1,
    max_size=14,
)


def uncovered(steps, rules=PAIR):
    """Return the holdings that stops did not cover after an input was processed, by a look between inputs."""
    plan = {
        2 * n - 1: lambda s, kind=kind, q=quantity: getattr(s, kind)("ACME", q, reason="r")
        for n, (kind, quantity, _, _) in enumerate(steps, 1)
        if kind != "none"
    }
    bench = bench_of(plan, rules, model=FillModel(partial_fills=True))
    found = []

    class Watched:
        """Each quote and each trade in a batch of its own, and a look after it."""

        def batches(self):
            for n, (_, _, price, size) in enumerate(steps, 1):
                at = OPEN + n * S
                quoted = quote(at, price - 0.01, price, sizes=(float(size), float(size)))
                for seq, event in ((2 * n - 1, quoted), (2 * n, trade(at, price))):
                    yield [(seq, event)]
                    held = bench.world.positions.quantity("ACME")
                    if held != covered(bench):
                        found.append((seq, held, covered(bench)))

    bench.loop.run(Watched(), 1, OPEN)
    return found


def covered(bench):
    stops = [o for o in bench.world.orders.working() if is_exit(o.id) and o.type in STOPS]
    return sum(((o.quantity - o.filled) * (1 if o.side == "SELL" else -1) for o in stops), D(0))


BRIEF = {"atr_length": 2, "atr_bar": "1s"}
KINDS = [
    PAIR,
    ExitRules(stop_loss_amount=200.0, take_profit_amount=3.0),
    ExitRules(stop_loss_atr=2.0, take_profit_atr=1.5, **BRIEF),
    ExitRules(stop_loss_atr=90.0, atr_length=1, atr_bar="1s"),
    ExitRules(trailing_stop_atr=1.0, take_profit_pct=0.05, **BRIEF),
    ExitRules(trailing_stop_amount=2.5),
]


@settings(deadline=None, max_examples=examples(200))
@given(ACTIONS, st.sampled_from(KINDS))
def test_stops_cover_what_is_open_after_every_input(steps, rules):
    assert uncovered(steps, rules) == []


@pytest.mark.parametrize("rules", KINDS)
def test_a_protection_that_does_not_resize_is_caught(rules):
    steps = [("buy", 10, 100.0, 40), ("none", 1, 100.0, 40), ("buy", 10, 100.0, 40), ("none", 1, 100.0, 40)]
    assert uncovered(steps, rules) == []

    def never_larger(self, there, exit_, quantity, ts):
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Protection, "_fit", never_larger)
        assert uncovered(steps, rules) != []


def refused_changes(bench, times):
    """Return how many changes are asked for in so many sweeps while the exits stay as they were."""
    more = Filled(OPEN + 9 * S, "late", "s-1-9", ACCOUNT, "s", "ACME", "BUY", D(10), D(100))
    bench.world.positions.apply(Entry(10**6, None, 0, None, more))
    sweep = Sweep(10**6, "s", "ACME")
    asked = [r for _ in range(times) for r in bench.step.protection.requests(sweep, OPEN + 10 * S)]
    assert {type(request) for request in asked} == {ModifyIntended}
    return len(asked)


def test_a_change_that_the_broker_keeps_refusing_is_not_asked_for_ever():
    bench = bench_of({1: buy(10)})
    bench.run(ticks(100, 100, 100))
    assert refused_changes(bench, 10) == 2 * protection.CHANGE_TRIES  # of the stop and of the target


def test_exits_that_are_asked_to_change_for_ever_are_caught(monkeypatch):
    monkeypatch.setattr(Protection, "_may_try", lambda *_: True)
    bench = bench_of({1: buy(10)})
    bench.run(ticks(100, 100, 100))
    assert refused_changes(bench, 10) == 20


STEPS = "0:0.05,3:0.1,20:0.5"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ExitRules(stop_loss_pct=0.07), [("STP", D("20"))]),  # 20.2275: to the edge
        (ExitRules(stop_loss_pct=0.2), [("STP", D("17.4"))]),
        (ExitRules(take_profit_pct=0.01), [("LMT", D("22"))]),
        (ExitRules(trailing_stop_amount=1.7), [("TRAIL", D("1.5"))]),
    ],
)
def test_exits_lie_on_the_step_that_holds_where_they_are(rules, expected):
    bench = bench_of({1: buy(10)}, rules)
    bench.world.sessions.apply(Entry(0, None, 0, None, replace(instrument(), price_steps=STEPS)))
    bench.run(ticks(21.75, 21.75, 21.75))
    assert [(o.type, o.stop or o.limit or o.trail) for o in exits(bench)] == expected


def test_exits_are_looked_at_anew_when_prices_turn_out_to_go_in_other_steps():
    bench = bench_of({1: buy(10)}, ExitRules(stop_loss_pct=0.07))
    before = ticks(21.75, 21.75, 21.75)
    after = [trade(OPEN + n * S, 21.75) for n in (4, 5)]
    bench.run([*before, replace(instrument(), ts=OPEN + 3 * S, price_steps=STEPS), *after])
    (stop,) = bench.world.orders.working()
    assert (stop.version, stop.stop) == (2, D("20"))
    first = bench.recorded(OrderIntended)[-1]
    assert (is_exit(first.order), first.stop) == (True, D("20.23"))
