"""Risk verdicts: what is refused, with which numbers, and that no sequence of orders gets past a limit."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import (
    AccountMarked,
    Entry,
    ExternalOrderReported,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSendStarted,
    RiskApproved,
    RiskRefused,
)
from core.risk import Limits, RiskGate, exposure
from core.risk.rules import active
from core.sizing.rules import METHODS, SizingRules
from tests.conftest import examples
from tests.core.bench import ACCOUNT, MIN, OPEN, Bench, FillModel, S, Script, quote, trade

pytestmark = pytest.mark.risk

D = Decimal
FIVE_TWENTY = Limits(max_position_size=0.05, max_portfolio_risk=0.20, max_daily_loss=0.05)


def ticks(*prices, step=S, name="ACME"):
    return [trade(OPEN + n * step, price, name=name) for n, price in enumerate(prices)]


def verdicts(bench):
    return [
        "ok" if isinstance(event, RiskApproved) else event.rule
        for event in bench.recorded(RiskApproved, RiskRefused)
    ]


def buys(*quantities, **order):
    return lambda s: [s.buy("ACME", q, reason="r", **order) for q in quantities]


def sells(*quantities, **order):
    return lambda s: [s.sell("ACME", q, reason="r", **order) for q in quantities]


def run(plan, events, limits=FIVE_TWENTY, **options):
    bench = Bench(Script(plan), limits=limits, **options)
    bench.run(events)
    return bench


def test_profile_none_lets_any_order_pass_that_is_one():
    bench = run({1: buys(10**9)}, ticks(10, 10), Limits())
    assert verdicts(bench) == ["ok"]
    assert bench.recorded(RiskApproved)[0].profile == "none"


@pytest.mark.parametrize("limits", [Limits(), FIVE_TWENTY])
@pytest.mark.parametrize(
    ("ask", "rule", "says"),
    [
        (lambda s: s.buy("ACMEE", 1, reason="r"), "instrument", "did you mean ACME?"),
        (lambda s: s.buy("ACME", 0, reason="r"), "quantity", "a quantity of 0 is no order"),
        (lambda s: s.sell("ACME", -5, reason="r"), "quantity", "a quantity of -5 is no order"),
        (lambda s: s.buy("ACME", 1, limit=0.0, reason="r"), "price", "a limit price of 0 is no price"),
        (lambda s: s.buy("ACME", 1, stop=D("-1.5"), reason="r"), "price", "a stop price of -1.5 is no price"),
        (lambda s: s.modify("s-1-9", quantity=1, reason="r"), "order", "s-1-9 is unknown: nothing to modify"),
    ],
)
def test_what_is_no_order_is_refused_in_words_under_every_profile(limits, ask, rule, says):
    bench = run({1: ask}, ticks(10, 10), limits)
    found = bench.recorded(RiskRefused)
    if rule == "order":
        found = [f for f in found if f.rule in {"order", "instrument"}]
    assert len(found) == 1
    assert found[0].rule == rule
    assert says in found[0].message
    assert bench.recorded(OrderSendStarted, Filled) == []


@pytest.mark.parametrize(
    ("quantity", "verdict"),
    [(500, "ok"), (501, "max_position_size")],  # 5 % of 100,000 at 10 are 500
)
def test_a_position_may_reach_its_limit_and_not_exceed_it(quantity, verdict):
    assert verdicts(run({1: buys(quantity)}, ticks(10, 10))) == [verdict]
    assert verdicts(run({1: sells(quantity)}, ticks(10, 10))) == [verdict]


def test_a_refusal_carries_the_numbers_it_speaks_of():
    bench = run({1: buys(501)}, ticks(10, 10))
    (refusal,) = bench.recorded(RiskRefused)
    assert (refusal.rule, refusal.limit, refusal.value) == ("max_position_size", "5000", "5010")
    assert "5010" in refusal.message
    assert "5.00% of equity (5000)" in refusal.message
    order = bench.world.orders.get("s-1-1")
    assert (order.state, order.message) == ("Refused", refusal.message)


def test_two_requests_in_one_handler_cannot_share_headroom():
    assert verdicts(run({1: buys(300, 300)}, ticks(10, 10))) == ["ok", "max_position_size"]
    assert verdicts(run({1: buys(250, 250, 1)}, ticks(10, 10))) == ["ok", "ok", "max_position_size"]


class Forgetful(RiskGate):
    """Broken on purpose: judges every request of a handler by the state before the first one."""

    def judge(self, intent):
        who = (intent.account, intent.strategy, intent.instrument)
        return RiskApproved(intent.ts, intent.order, 1, *who, "limits")


def test_a_gate_that_lets_them_share_is_caught():
    bench = Bench(Script({1: buys(300, 300)}), limits=FIVE_TWENTY)
    bench.step.decisions.gate = Forgetful(FIVE_TWENTY, bench.step.decisions.gate._state)
    bench.run(ticks(10, 10))
    assert verdicts(bench) != ["ok", "max_position_size"]


def test_resting_orders_count_until_they_are_gone():
    plan = {
        1: buys(400, limit=9, tif="GTC"),
        2: buys(200, limit=9),
        3: lambda s: s.cancel("s-1-1", reason="r"),
        4: buys(200),
    }
    assert verdicts(run(plan, ticks(10, 10, 10, 10, 10))) == ["ok", "max_position_size", "ok"]


def test_an_order_in_flight_to_the_broker_counts():
    plan = {1: buys(400), 2: buys(200)}
    bench = run(plan, ticks(10, 10, 10), model=FillModel(latency_ms=60_000))
    assert verdicts(bench) == ["ok", "max_position_size"]


@pytest.mark.parametrize(("oca", "told"), [("pair", ["ok"] * 3), ("", ["ok", "max_position_size", "ok"])])
def test_of_orders_that_cancel_each_other_the_largest_counts(oca, told):
    def ask(s):
        for quantity in (250, 450):
            s.buy("OTHER", quantity, limit=10, reason="r", oca=oca)
        s.buy("ACME", 450, reason="r")

    bench = run({1: ask}, [trade(OPEN, 10, name="OTHER"), *ticks(10, 10)])
    assert verdicts(bench) == told


def test_exits_of_a_bracket_of_others_do_not_count():
    by_hand = ExternalOrderReported(
        OPEN, "external-7", ACCOUNT, "ACME", "SELL", D(500), D(12), None, "Submitted", parent="external-6"
    )
    for parent, told in (("external-6", ["ok"]), ("", ["max_position_size"])):
        bench = Bench(Script({1: sells(100)}), limits=FIVE_TWENTY)
        told_of = msgspec.structs.replace(by_hand, parent=parent)
        bench.world.orders.apply(Entry(1, None, 1, None, told_of))
        bench.run(ticks(10, 10))
        assert verdicts(bench) == told


def test_the_portfolio_counts_positions_and_pending_orders_of_other_instruments():
    def spread(s):
        s.buy("OTHER", 450, limit=10, tif="GTC", reason="pending")
        s.sell("ACME", 450, reason="a")

    limits = Limits(max_position_size=0.05, max_portfolio_risk=0.08)
    events = [trade(OPEN, 10.5, name="OTHER"), *ticks(10, 10, 10)]
    bench = Bench(Script({1: spread}), limits=limits)
    bench.run(events)
    (refusal,) = bench.recorded(RiskRefused)
    # 450 × 10.5 of OTHER, at its mark, and 450 × 10 of ACME
    assert (refusal.rule, refusal.limit, refusal.value) == ("max_portfolio_risk", "8000", "9225")


def test_a_sell_limit_below_the_market_is_valued_at_the_market():
    assert verdicts(run({1: sells(501, limit=1)}, ticks(10, 10))) == ["max_position_size"]


def test_a_buy_stop_is_valued_at_its_price():
    assert verdicts(run({1: buys(300, stop=20)}, ticks(10, 10))) == ["max_position_size"]
    assert verdicts(run({1: buys(250, stop=20)}, ticks(10, 10))) == ["ok"]


def test_a_buy_limit_is_valued_at_the_most_it_may_cost():
    assert verdicts(run({1: buys(1000, limit=5)}, ticks(10, 10))) == ["ok"]
    assert verdicts(run({1: buys(499, limit=11)}, ticks(10, 10))) == ["max_position_size"]


def test_orders_that_reduce_always_pass():
    # 500 held from 10; at 40 they are worth 20,000 of a limit of 5,000, and still may be sold.
    bench = run({1: buys(500), 3: sells(100, 400), 5: buys(1)}, ticks(10, 10, 40, 40, 40, 40))
    assert verdicts(bench) == ["ok", "ok", "ok", "ok"]
    assert bench.world.positions.quantity("ACME") == 1


def test_selling_more_than_is_held_is_an_entry():
    bench = run({1: buys(500), 3: sells(500, 700)}, ticks(10, 10, 10, 10))
    assert verdicts(bench) == ["ok", "ok", "max_position_size"]


def test_a_modify_is_judged_by_what_is_left_of_the_order():
    events = [quote(OPEN + n * S, 9.9, 10, sizes=(60.0, 60.0)) for n in range(3)]
    plan = {1: buys(490, limit=10), 2: lambda s: s.modify("s-1-1", limit=10.2, reason="r")}
    bench = run(plan, events, model=FillModel(partial_fills=True))
    # 60 filled, 430 to go: 490 × 10.2 = 4,998; counting the filled ones twice would refuse it
    assert verdicts(bench) == ["ok", "ok"]
    assert bench.world.orders.get("s-1-1").filled == 120


def test_a_modify_that_would_exceed_the_limit_is_refused_and_the_order_stays_as_it_was():
    plan = {1: buys(400, limit=9, tif="GTC"), 2: lambda s: s.modify("s-1-1", quantity=600, reason="more")}
    bench = run(plan, ticks(10, 10, 10))
    assert verdicts(bench) == ["ok", "max_position_size"]
    order = bench.world.orders.get("s-1-1")
    assert (order.quantity, order.version, order.exposed) == (400, 1, 400)


def test_modifying_an_exit_that_is_partly_filled_passes_as_a_reduction():
    def tighten_and_modify(s):
        bench.step.decisions.gate._rules = active(
            Limits(max_position_size=0.00001)
        )  # nothing may be held any more
        s.modify("s-1-2", limit=9.5, reason="r")
        s.buy("ACME", 1, reason="an entry")

    events = [quote(OPEN + n * S, 10, 10, sizes=(60.0, 600.0)) for n in range(5)]
    plan = {1: buys(500), 3: sells(500, limit=10), 5: tighten_and_modify}
    bench = Bench(Script(plan), limits=FIVE_TWENTY, model=FillModel(partial_fills=True))
    bench.run(events)
    assert bench.world.positions.quantity("ACME") == 500 - 2 * 60
    assert verdicts(bench) == ["ok", "ok", "ok", "max_position_size"]


def test_entries_are_refused_while_equity_or_price_is_unknown():
    bench = run({1: lambda s: s.buy("OTHER", 1, reason="r")}, ticks(10, 10))
    (refusal,) = bench.recorded(RiskRefused)
    assert refusal.rule == "equity"
    assert "unknown: entries are refused" in refusal.message


def test_the_daily_loss_stops_entries_and_lets_exits_pass():
    limits = Limits(max_daily_loss=0.05)
    plan = {1: buys(1000), 4: buys(1), 5: sells(400), 6: buys(1)}
    bench = run(plan, ticks(10, 10, 4.9, 4.9, 4.9, 4.9, step=MIN), limits, sampled=True)
    assert verdicts(bench) == ["ok", "max_daily_loss", "ok", "max_daily_loss"]
    refusal = bench.recorded(RiskRefused)[0]
    assert (refusal.limit, refusal.value) == ("0.05", "0.051")
    assert refusal.message == "the day stands at -5.10%: entries are refused from -5.00% on"


def test_a_loss_below_the_limit_stops_nothing():
    bench = run(
        {1: buys(1000), 4: buys(1)},
        ticks(10, 10, 5.1, 5.1, 5.1, step=MIN),
        Limits(max_daily_loss=0.05),
        sampled=True,
    )
    assert bench.recorded(AccountMarked)[-1].equity == 95_099 + 1
    assert verdicts(bench) == ["ok", "ok"]


def test_limits_hold_over_all_strategies_of_the_account():
    a, b = Script({1: buys(300)}), Script({1: buys(300)})
    bench = Bench(("a", a), ("b", b), limits=FIVE_TWENTY)
    bench.run(ticks(10, 10))
    assert verdicts(bench) == ["ok", "max_position_size"]


ASKS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "modify", "cancel"]),
        st.sampled_from(["ACME", "OTHER"]),
        st.integers(1, 700),
        st.sampled_from([None, None, 8.0, 10.0, 12.0]),
        st.sampled_from(["MKT", "LMT", "STP"]),
    ),
    min_size=1,
    max_size=12,
)
STEPS = st.lists(st.tuples(ASKS, st.sampled_from([9.0, 10.0, 11.0])), min_size=1, max_size=6)
LIMITS = Limits(max_position_size=0.05, max_portfolio_risk=0.07)


class Asking(Script):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_trade(self, trade):
        if self.seen < len(self.steps):
            for kind, name, quantity, at, order_type in self.steps[self.seen][0]:
                self.ask(kind, name, quantity, at, order_type)
        self.seen += 1

    def ask(self, kind, name, quantity, at, order_type):
        working = self.working_orders(name)
        if kind == "size":
            self.buy(name, self.size(name), reason="r")
        elif kind == "resize":
            self.resize(name)
        elif kind in {"buy", "sell"}:
            prices = {"limit": at} if order_type == "LMT" else {"stop": at} if order_type == "STP" else {}
            getattr(self, kind)(name, quantity, reason="r", tif="GTC", **prices)
        elif working and kind == "modify":
            self.modify(working[0].id, quantity=quantity, reason="r")
        elif working:
            self.cancel(working[-1].id, reason="r")


def breaches(steps, latency_ms, sizing=SizingRules()):  # noqa: B008
    """Return approvals after which position or portfolio could exceed the limit; a second opinion."""
    bench = Bench(Asking(steps), limits=LIMITS, model=FillModel(latency_ms=latency_ms), sizing=sizing)
    found, world = [], bench.world
    fold, reduced = bench.loop._acting.record, {}

    def watch(event, at, cause):
        if isinstance(event, OrderIntended | ModifyIntended):
            reduced[event.order] = reduces(world, event)
        seq = fold(event, at, cause)
        if isinstance(event, RiskApproved) and not reduced[event.order]:
            order = world.orders.get(event.order)
            equity = world.account.equity(ACCOUNT, "USD")
            values = {name: worst(world, name, order) for name in ("ACME", "OTHER")}
            if values[order.instrument] > equity * D("0.05") or sum(values.values()) > equity * D("0.07"):
                found.append((event, values, equity))
        return seq

    bench.loop._acting.record = watch
    events = []
    for n, (_, price) in enumerate(steps):
        events += [trade(OPEN + n * S, price, name="OTHER"), trade(OPEN + n * S, price)]
    bench.run([*events, trade(OPEN + 100 * S, 10.0, name="OTHER"), trade(OPEN + 100 * S, 10.0)])
    return found


def reduces(world, intent):
    known = world.orders.get(intent.order)
    side = intent.side if isinstance(intent, OrderIntended) else known.side
    left = intent.quantity - (known.filled if known else 0)
    held = world.positions.quantity(intent.instrument)
    pending = sum(
        o.exposed
        for o in world.orders.working(None, intent.instrument)
        if o.side == side and o.id != intent.order
    )
    return left <= 0 or ((held > 0) != (side == "BUY") and left + pending <= abs(held))


def worst(world, name, order):
    """The least that any reading of the limits must count: what is on the way on the order's side."""
    held = world.positions.quantity(name)
    mark = D(repr(world.quotes.mark(name)))
    if name != order.instrument:
        return abs(held) * mark
    others = [o for o in world.orders.working(None, name) if o.id != order.id]
    left = order.quantity - order.filled  # of the version that was judged
    pending = left + sum(o.exposed for o in others if o.side == order.side)
    sign = 1 if order.side == "BUY" else -1
    price = order.limit if order.limit is not None and order.side == "BUY" else mark
    return abs(held + sign * pending) * price


@settings(max_examples=examples(50), deadline=None)
@given(STEPS, st.sampled_from([0, 1500]))
def test_no_sequence_of_requests_lets_an_approval_exceed_a_limit(steps, latency_ms):
    assert breaches(steps, latency_ms) == []


SIZED = st.lists(
    st.tuples(
        st.lists(
            st.tuples(
                st.sampled_from(["size", "resize", "sell"]),
                st.sampled_from(["ACME", "OTHER"]),
                st.integers(1, 700),
                st.none(),
                st.just("MKT"),
            ),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from([6.0, 9.0, 10.0, 15.0]),
    ),
    min_size=1,
    max_size=8,
)


def sizes(method, share):
    """Rules that size beyond the limits, so that the gate has something to refuse."""
    return SizingRules(
        method=method,
        quantity=600,
        stop_pct=0.1,
        volatility=0.3,
        max_share=share,
        kelly_least=2,
        resize_band=0.1,
    )


@settings(max_examples=examples(60), deadline=None)
@given(SIZED, st.sampled_from([0, 1500]), st.sampled_from(METHODS), st.sampled_from([None, 0.04, 0.09]))
def test_what_is_sized_and_resized_never_exceeds_a_limit(steps, latency_ms, method, share):
    assert breaches(steps, latency_ms, sizes(method, share)) == []


def test_a_gate_that_lets_sized_orders_by_is_caught(monkeypatch):
    monkeypatch.setattr(RiskGate, "_check_limits", lambda self, intent, stop: None)
    steps = [([("size", "ACME", 1, None, "MKT")], 10.0)]
    assert breaches(steps, 0, sizes("fixed", None))
    drifted = [*steps[:1], ([("resize", "ACME", 1, None, "MKT")], 6.0)]
    assert len(breaches(drifted, 0, sizes("fixed_fractional", 0.09))) == 2


def test_a_gate_that_forgets_pending_orders_is_caught(monkeypatch):
    monkeypatch.setattr(exposure, "_signed", lambda orders: D(0))
    many = [("buy", "ACME", 300, 8.0, "LMT")] * 4
    assert breaches([(many, 10.0)], 0)


def test_a_gate_that_values_sell_limits_at_their_price_is_caught(monkeypatch):
    monkeypatch.setattr(exposure, "worst_price", lambda p, mark: float(p.limit) if p.limit else mark)
    assert breaches([([("sell", "ACME", 510, 8.0, "LMT")], 10.0)], 0)


class Doors:
    """A gate with two doors, each open or closed for a reason."""

    def __init__(self, everything=None, entries=None):
        self.everything, self.entries = everything, entries

    def closed(self, instrument):
        return self.everything

    def passing(self, instrument):
        return None

    def entries_closed(self, instrument):
        return self.entries


def judged_at(doors, plan):
    bench = Bench(Script(plan))
    bench.guard(doors)
    bench.run(ticks(10, 10, 10, 10))
    return verdicts(bench)


def test_nothing_leaves_through_a_closed_gate():
    assert judged_at(Doors("no connection"), {1: buys(1), 2: sells(1)}) == ["gate", "gate"]


def test_a_gate_closed_to_entries_lets_a_position_be_reduced_but_not_turned():
    doors = Doors()

    def close_entries(strategy):
        doors.entries = "data are stale"
        strategy.sell("ACME", 4, reason="r")
        strategy.sell("ACME", 11, reason="r")
        strategy.buy("ACME", 1, reason="r")

    assert judged_at(doors, {1: buys(10), 3: close_entries}) == ["ok", "ok", "gate", "gate"]
