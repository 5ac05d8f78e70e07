"""What cannot leave just now is held, and goes out once, expires, or is taken back."""

import pytest
from msgspec.structs import replace

from core.events import (
    BreakFound,
    ConnectionChanged,
    DataStateChanged,
    Entry,
    HaltRequested,
    HoldEnded,
    OrderHeld,
    OrderIntended,
    OrderSendStarted,
    OrderStatusChanged,
    ReconciliationFinished,
    RiskRefused,
    SendFailed,
    SessionStarted,
)
from core.exits.protection import Protection
from core.exits.rules import ExitRules
from core.holds import HoldRule, Holds
from core.loop import Loop
from core.risk import RiskGate
from projections.orders import Orders
from tests.core.bench import ACCOUNT, BEGIN, Bench, S, Script, trade

pytestmark = pytest.mark.risk

MINUTE = HoldRule(within_s=60)


def up(at):
    return ConnectionChanged(BEGIN + at * S, "up")


def down(at):
    return ConnectionChanged(BEGIN + at * S, "down", None, "reset")


def compared(at):
    return ReconciliationFinished(BEGIN + at * S, "start", 0, 0, 0, 0, "")


def live(at, state="live"):
    return DataStateChanged(BEGIN + at * S, "ACME", state)


def tick(at, price=10.0):
    return trade(BEGIN + at * S, price)


def held_at(bench, rule=MINUTE):
    """Put the real gate of a live session into a bench."""
    world, step = bench.world, bench.step
    bench.guard(world.go_live(delayed_data=False))
    step.decisions.holds = Holds(
        rule, world.orders, bench.agenda, step.decisions.gate.passing, step.decisions.gate.waits
    )
    bench.loop = Loop(bench.tape, bench.broker, step, bench.agenda, world.quotes.book, world.folds())
    return bench


def session(plan, *events, rule=MINUTE, bench=None):
    bench = held_at(bench or Bench(Script(plan)), rule)
    bench.run([*events])
    return bench


def silent(plan, **given):
    """A bench whose broker says nothing of what it is sent."""
    bench = Bench(Script(plan), **given)
    bench.broker.accept = lambda _effects, _ts: ()
    return bench


def sent(bench):
    return [(e.order, e.version) for e in bench.recorded(OrderSendStarted)]


def outcomes(bench):
    return [(e.order, e.version, e.outcome) for e in bench.recorded(HoldEnded)]


def buy(s):
    return s.buy("ACME", 10, reason="in")


OPEN = (up(0), compared(0), live(0))


def test_an_order_asked_for_while_away_goes_out_once_afterwards():
    bench = session({1: buy}, *OPEN, down(1), tick(2), up(10), compared(11), tick(12), compared(13))
    assert sent(bench) == [("s-1-1", 1)]
    assert outcomes(bench) == [("s-1-1", 1, "released")]
    assert bench.recorded(RiskRefused) == []
    assert next(iter(bench.step.seats.values())).strategy.news[0] == "s-1-1 Held"


def test_what_is_held_counts_as_working():
    seen = []
    plan = {1: buy, 2: lambda s: seen.extend((o.state, o.exposed) for o in s.working_orders())}
    session(plan, *OPEN, down(1), tick(2), tick(3))
    assert seen == [("Held", 10)]


def test_it_expires_and_the_strategy_is_told():
    bench = session({1: buy}, *OPEN, down(1), tick(2), tick(70), up(80), compared(81), tick(82))
    assert sent(bench) == []
    [over] = bench.recorded(HoldEnded)
    assert (over.outcome, over.ts) == ("expired", BEGIN + 62 * S)
    assert bench.world.orders.get("s-1-1").state == "Expired"
    assert "s-1-1 Expired" in next(iter(bench.step.seats.values())).strategy.news


def test_without_time_to_live_it_is_refused_as_ever():
    bench = session({1: buy}, *OPEN, down(1), tick(2), up(3), compared(4), rule=HoldRule())
    assert [e.rule for e in bench.recorded(RiskRefused)] == ["gate"]
    assert bench.recorded(OrderHeld) == []


def test_a_cancel_ends_it_without_a_word_to_the_broker():
    plan = {1: buy, 2: lambda s: s.cancel("s-1-1", reason="no more")}
    bench = session(plan, *OPEN, down(1), tick(2), tick(3), up(4), compared(5))
    assert outcomes(bench) == [("s-1-1", 1, "cancelled")]
    assert bench.world.orders.get("s-1-1").state == "Cancelled"
    assert [type(e.event).__name__ for e in bench.tape.entries].count("CancelSendStarted") == 0
    assert sent(bench) == []


@pytest.mark.parametrize(
    "closed",
    [
        HaltRequested(BEGIN, "halt", "enough", "test"),
        BreakFound(BEGIN, ACCOUNT, "ACME", "position", "0", "5", "differs"),
        ConnectionChanged(BEGIN, "read_only"),
        SessionStarted(BEGIN, 1, "observe", ACCOUNT, "1", "{}", "", "[]", "", ""),
    ],
)
def test_what_does_not_pass_by_itself_refuses(closed):
    bench = session({1: buy}, *OPEN, closed, tick(2))
    assert bench.recorded(OrderHeld) == []
    assert [e.rule for e in bench.recorded(RiskRefused)] == ["gate"]


def test_a_halt_refuses_what_is_held():
    halt = HaltRequested(BEGIN + 3 * S, "halt", "enough", "test")
    bench = session({1: buy}, *OPEN, down(1), tick(2), halt, up(4), compared(5), tick(6))
    assert outcomes(bench) == [("s-1-1", 1, "released")]
    assert "halted" in bench.recorded(RiskRefused)[0].message
    assert sent(bench) == []


def test_an_entry_waits_for_live_data_and_an_order_that_reduces_does_not():
    stale = live(1, "stale")
    bench = session({1: buy}, *OPEN, down(1), stale, tick(2), up(3), compared(4), tick(5), live(6), tick(7))
    [over] = bench.recorded(HoldEnded)
    assert over.ts == BEGIN + 6 * S
    plan = {1: buy, 3: lambda s: s.sell("ACME", 10, reason="out")}
    bench = session(plan, *OPEN, tick(1), tick(2), down(3), live(3, "stale"), tick(4), up(5), compared(6))
    assert [e.ts for e in bench.recorded(HoldEnded)] == [BEGIN + 6 * S]


def test_a_bracket_is_held_and_released_whole():
    plan = {1: lambda s: s.bracket("ACME", "BUY", 10, take_profit=12, stop_loss=9, reason="in")}
    bench = session(plan, *OPEN, down(1), tick(2), up(3), compared(4), tick(5))
    assert sent(bench) == [("s-1-1", 1), ("s-1-2", 1), ("s-1-3", 1)]
    assert [e.ts for e in bench.recorded(OrderSendStarted)] == [BEGIN + 4 * S] * 3


def test_a_bracket_expires_whole():
    plan = {1: lambda s: s.bracket("ACME", "BUY", 10, take_profit=12, stop_loss=9, reason="in")}
    bench = session(plan, *OPEN, down(1), tick(2), tick(90), up(91), compared(92))
    assert [o for _, _, o in outcomes(bench)] == ["expired"] * 3
    assert sent(bench) == []


def test_only_the_last_change_of_an_order_is_held():
    plan = {
        1: lambda s: s.buy("ACME", 10, limit=5, reason="rest"),
        2: lambda s: s.modify("s-1-1", limit=6, reason="up"),
        3: lambda s: s.modify("s-1-1", limit=7, reason="up"),
    }
    bench = session(plan, *OPEN, tick(1), down(2), tick(3), tick(4), up(5), compared(6), tick(7))
    assert outcomes(bench) == [("s-1-1", 2, "replaced"), ("s-1-1", 3, "released")]
    assert sent(bench) == [("s-1-1", 1), ("s-1-1", 3)]


def test_a_send_without_a_byte_is_held_and_goes_out_again_unless_it_was_cancelled():
    failed = SendFailed(BEGIN + 3 * S, "s-1-1", 1, 0, "not connected")
    rest = {1: lambda s: s.buy("ACME", 10, limit=5, reason="rest")}
    bench = session({}, *OPEN, tick(1), down(2), failed, up(4), compared(5), tick(6), bench=silent(rest))
    assert sent(bench) == [("s-1-1", 1)] * 2
    unwanted = {**rest, 2: lambda s: s.cancel("s-1-1", reason="no")}
    bench = session({}, *OPEN, tick(1), tick(2), down(2), failed, up(4), compared(5), bench=silent(unwanted))
    assert sent(bench) == [("s-1-1", 1)]


RESTS_AND_MOVES = {
    1: lambda s: s.buy("ACME", 10, limit=5, reason="rest"),
    2: lambda s: s.modify("s-1-1", limit=6, reason="up"),
}
WORKS = OrderStatusChanged(BEGIN + S, "s-1-1", 1, ACCOUNT, "s", "ACME", "Submitted")
UNSENT = SendFailed(BEGIN + 4 * S, "s-1-1", 2, 0, "not connected")


def moved(*events, plan=RESTS_AND_MOVES, bench=None):
    """Rest an order and change it; the change finds no connection."""
    events = [*OPEN, tick(1), WORKS, tick(2), down(3), *events]
    return session({}, *events, bench=bench or silent(plan))


def test_a_change_without_a_byte_is_held_and_goes_out_again():
    bench = moved(UNSENT, up(5), compared(6), tick(7))
    assert sent(bench) == [("s-1-1", 1), ("s-1-1", 2), ("s-1-1", 2)]
    assert outcomes(bench) == [("s-1-1", 2, "released")]
    assert bench.world.orders.get("s-1-1").limit == 6


def test_a_change_without_a_byte_expires_and_the_order_is_what_it_was():
    bench = moved(UNSENT, tick(100), up(101), compared(102))
    assert outcomes(bench) == [("s-1-1", 2, "expired")]
    order = bench.world.orders.get("s-1-1")
    assert (order.limit, order.working, len(sent(bench))) == (5, True, 2)


@pytest.mark.parametrize(
    "third",
    [lambda s: s.modify("s-1-1", limit=7, reason="up"), lambda s: s.cancel("s-1-1", reason="no")],
    ids=["changed", "cancelled"],
)
def test_a_change_that_is_not_wanted_any_more_is_not_held(third):
    bench = moved(tick(4), UNSENT, up(5), compared(6), plan={**RESTS_AND_MOVES, 3: third})
    assert ("s-1-1", 2, "released") not in outcomes(bench)
    assert sent(bench).count(("s-1-1", 2)) == 1


def test_a_change_of_which_a_byte_left_is_never_held():
    bench = moved(replace(UNSENT, bytes_written=1), up(5), compared(6))
    assert bench.recorded(OrderHeld) == []


def test_a_step_that_forgets_what_it_was_to_send_is_caught(monkeypatch):
    monkeypatch.setattr(Holds, "leaves", lambda _self, _change: None)
    bench = moved(UNSENT, up(5), compared(6), tick(7))
    assert sent(bench) == [("s-1-1", 1), ("s-1-1", 2)]
    assert bench.world.orders.get("s-1-1").limit == 5


@pytest.mark.parametrize("written", [1, 400])
def test_a_send_of_which_a_byte_left_is_never_held(written):
    failed = SendFailed(BEGIN + 3 * S, "s-1-1", 1, written, "reset")
    rest = {1: lambda s: s.buy("ACME", 10, limit=5, reason="rest")}
    bench = session({}, *OPEN, tick(1), down(2), failed, up(4), compared(5), bench=silent(rest))
    assert bench.recorded(OrderHeld) == []


def test_exits_of_a_holding_are_held_without_an_end():
    bench = Bench(Script({1: lambda s: s.buy("ACME", 10, limit=9.5, outside_rth=True, reason="rest")}))
    world = bench.world
    rules = ExitRules(stop_loss_pct=0.1)
    bench.step.protect(Protection(rules, world.orders, world.positions, world.sessions, ACCOUNT, 1))
    # It fills while the link is away: its exit has to wait, here for longer than other orders do.
    held = held_at(bench)
    held.run([*OPEN, tick(1), down(1), tick(2, 9.4), tick(300), up(301), compared(302), tick(303)])
    assert [e.until for e in held.recorded(OrderHeld)] == [0]
    exits = [e.order for e in held.recorded(OrderIntended) if e.order.startswith("exit-")]
    assert len(exits) == 1
    assert [order for order, _ in sent(held) if order in exits] == exits


def test_the_sessions_end_ends_what_is_held():
    bench = session({1: buy}, *OPEN, down(1), tick(2))
    assert outcomes(bench) == [("s-1-1", 1, "expired")]


WHILE_AWAY = {1: RESTS_AND_MOVES[1], 3: RESTS_AND_MOVES[2]}


def of_a_killed_session():
    """What a session left that was killed while it held a change of an order at work."""
    told = [e.event for e in moved(tick(4), plan=WHILE_AWAY).tape.entries]
    until = next(n for n, event in enumerate(told) if isinstance(event, OrderHeld) and event.version == 2)
    placed = next(n for n, event in enumerate(told) if isinstance(event, OrderSendStarted))
    events = [*told[: placed + 1], WORKS, *told[placed + 1 : until + 1]]
    return [Entry(n, None, n, None, event) for n, event in enumerate(events, 1)]


def test_what_a_killed_session_held_expires_in_the_next_one_changes_too():
    bench = Bench(Script(), past=of_a_killed_session())
    assert bench.world.orders.get("s-1-1").limit == 6
    session({}, *OPEN, tick(5), bench=bench)
    assert outcomes(bench) == [("s-1-1", 2, "expired")]
    assert [e.reason for e in bench.recorded(HoldEnded)] == ["its session ended before it could leave"]
    order = bench.world.orders.get("s-1-1")
    assert (order.state, order.version, order.limit) == ("Submitted", 1, 5)
    assert next(iter(bench.step.seats.values())).strategy.news == ["s-1-1 Submitted"]
    assert [v.number for v in bench.world.orders.versions("s-1-1")] == [1]  # none for the broker to reject
    assert bench.world.orders.held() == []


def test_a_change_after_one_that_expired_has_a_number_of_its_own_and_stands():
    again = {1: lambda s: s.modify("s-1-1", limit=7, reason="again")}
    bench = silent(again, past=of_a_killed_session())
    session({}, *OPEN, tick(5), tick(6), bench=bench)
    assert sent(bench) == [("s-1-1", 3)]
    assert (bench.world.orders.get("s-1-1").version, bench.world.orders.get("s-1-1").limit) == (3, 7)


# Negative controls: what these tests must catch


def test_a_session_that_ends_only_the_orders_that_were_held_is_caught(monkeypatch):
    monkeypatch.setattr(Orders, "held", lambda self: [(o, 1) for o in self.working() if o.state == "Held"])
    bench = session({}, *OPEN, tick(5), bench=Bench(Script(), past=of_a_killed_session()))
    assert outcomes(bench) == []
    assert bench.world.orders.get("s-1-1").limit == 6


def test_a_step_that_forgets_what_it_holds_is_caught(monkeypatch):
    monkeypatch.setattr(Holds, "ready", lambda _self: [])
    bench = session({1: buy}, *OPEN, down(1), tick(2), up(10), compared(11), tick(12))
    assert sent(bench) == []


def test_a_step_that_releases_and_keeps_is_caught(monkeypatch):
    def again(self):
        return [list(held) for held in self._held.values() if not self._waits(held[0].intent)]

    monkeypatch.setattr(Holds, "ready", again)
    bench = session({1: buy}, *OPEN, down(1), tick(2), up(10), compared(11), tick(12), compared(13))
    assert len(sent(bench)) > 1


def test_a_gate_for_which_every_closed_door_will_open_is_caught(monkeypatch):
    monkeypatch.setattr(RiskGate, "passing", lambda self, intent: self._gate.closed(intent.instrument) or "")
    halt = HaltRequested(BEGIN, "halt", "enough", "test")
    assert session({1: buy}, *OPEN, halt, tick(2)).recorded(OrderHeld) != []
