"""The composite strategy after a restart: its stance is the log's, so what was stopped out stays out."""

import pytest

from core.clock import DAY_NS
from core.events import CompositeSignal, Entry, OrderIntended, SignalReceived
from core.exits.protection import Protection
from core.exits.rules import ExitRules
from core.signals.composite import SignalRules
from core.strategies.composite import CompositeParameters, CompositeTrader
from projections.decided import Decided, DecidedState
from tests.core.bench import ACCOUNT, OPEN, Bench, S, trade

pytestmark = [pytest.mark.signal, pytest.mark.risk]

RECEIVED = SignalRules(weights={"bma": 1.0}, threshold=0.6)
MIXED = SignalRules(weights={"bma": 0.6, "moving_average": 0.4}, threshold=0.6)


def signal(n, value):
    ts = OPEN + n * S
    return SignalReceived(ts, "bma", "ACME", value, 1.0, ts, 0, ts + DAY_NS)


def ticks(first, *prices):
    return [trade(OPEN + (first + n) * S, float(price)) for n, price in enumerate(prices)]


def session(events, past=(), rules=RECEIVED):
    trader = CompositeTrader(CompositeParameters(instruments="ACME", every=1))
    bench = Bench(trader, signals=rules, past=past)
    world = bench.world
    views = (world.orders, world.positions, world.sessions)
    bench.step.protect(Protection(ExitRules(stop_loss_pct=0.05), *views, ACCOUNT, 2 if past else 1))
    bench.run(events)
    return bench


def own(bench):
    orders = [i for i in bench.recorded(OrderIntended) if not i.order.startswith("exit-")]
    return [(i.side, i.quantity) for i in orders]


def stopped_out():
    """A session that bought on a signal and was stopped out of it."""
    bench = session([*ticks(0, 100, 100), signal(2, 1.0), *ticks(3, 100, 100, 90, 90)])
    assert own(bench) == [("BUY", 100)]
    assert bench.world.positions.quantity("ACME") == 0
    return [*bench.tape.entries, Entry(90, None, 90, None, signal(2, 1.0))]


def test_what_was_stopped_out_stays_out_after_a_restart_until_the_stance_has_turned():
    past = stopped_out()
    assert own(session(ticks(10, 90, 90, 90), past)) == []
    turned = [*ticks(10, 90), signal(11, 0.0), *ticks(12, 90), signal(13, 1.0), *ticks(14, 90, 90)]
    assert own(session(turned, past)) == [("BUY", 100)]


def test_a_restart_that_forgets_the_stance_is_caught(monkeypatch):
    past = stopped_out()
    monkeypatch.setattr(Decided, "stance", lambda self, strategy, instrument: "hold")
    assert own(session(ticks(10, 90, 90, 90), past)) != []


def test_a_holding_is_sold_when_the_stance_turns_in_a_later_session():
    first = session([*ticks(0, 100, 100), signal(2, 1.0), *ticks(3, 100, 100)])
    past = [*first.tape.entries, Entry(90, None, 90, None, signal(2, 1.0))]
    second = session([*ticks(10, 100), signal(11, -1.0), *ticks(12, 100)], past)
    assert own(second) == [("SELL", 100)]
    assert [c.stance for c in second.recorded(CompositeSignal)] == ["sell"]


def test_a_restarted_session_says_only_what_has_changed():
    past = stopped_out()
    assert session(ticks(10, 90, 90), past).recorded(CompositeSignal) == []


def test_indicators_that_begin_anew_do_not_undo_a_stance():
    # The averages need 50 prices: until then the signal's word alone would make another composite.
    prices = [100 + n * 0.1 for n in range(55)]
    first = session([*ticks(0, *prices), signal(60, 1.0), *ticks(61, 105, 105)], rules=MIXED)
    assert [c.stance for c in first.recorded(CompositeSignal)] == ["buy"]
    past = [*first.tape.entries, Entry(90, None, 90, None, signal(60, 0.4))]
    waiting = session(ticks(100, *prices[:49]), past, MIXED)
    assert waiting.recorded(CompositeSignal, OrderIntended)[:1] == []
    ready = session(ticks(100, *prices[::-1]), past, MIXED)
    assert [c.stance for c in ready.recorded(CompositeSignal)] == ["hold"]


def test_a_turn_while_an_order_is_on_its_way_is_looked_at_after_it():
    bench = session([*ticks(0, 100, 100), signal(2, 1.0), signal(2, -1.0), *ticks(3, 100, 100, 100)])
    assert own(bench) == [("BUY", 100), ("SELL", 100)]
    assert [c.stance for c in bench.recorded(CompositeSignal)] == ["buy", "sell"]


def test_the_fold_is_kept_and_restored():
    decided = Decided()
    for seq, entry in enumerate(stopped_out()):
        decided.apply(Entry(seq, None, seq, None, entry.event))
    assert decided.describe().startswith("decided: 1 stances")
    again = Decided()
    again.load(decided.encoded())
    assert again.stance("s", "ACME") == decided.stance("s", "ACME") == "buy"
    assert again.digest() == decided.digest()
    assert isinstance(decided.state(), DecidedState)
