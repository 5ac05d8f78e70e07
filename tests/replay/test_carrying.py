"""Replays that start with what a run or the log left: positions, cash, equity, splits in between."""

from decimal import Decimal

import pytest

from app.configuration.reading import load
from app.replay.carrying_orders import open_orders
from app.replay.replaying import again
from app.replay.request import ReplayRequest
from app.replay.running import run_replay
from app.report.building import opened
from core.errors import DataMissing, UsageError
from core.events import (
    AccountMarked,
    CashAdjusted,
    CorporateAction,
    Filled,
    OrderIntended,
    OrderStatusChanged,
    PositionAdjusted,
    Recorded,
)
from core.views import Order
from eventstore.reading.reader import LogReader
from tests.core.bench import BEGIN, CLOSE, MIN, OPEN, bar, instrument, session
from tests.eventstore.sealed_logs import open_log
from tests.logs import events_of
from tests.replay.test_planning import DATES, DAY, definitions, imported

D = Decimal
STRATEGY = """
from truetape import Parameters, Strategy, Subscription

class P(Parameters, frozen=True):
    quantity: int = 100
    instrument: str = "ACME"

class Once(Strategy[P]):
    def on_bar(self, bar):
        self.record("held", float(self.position(bar.instrument)))
        if self.params.quantity and not self.position(bar.instrument) and not self.working_orders():
            self.buy(bar.instrument, self.params.quantity, reason="once")
"""


def prices(day, name="ACME", scale=1.0):
    start = OPEN + day * DAY
    return [
        bar(start + n * MIN, *(scale * p for p in (10, 11, 9, 10 + n % 5)), name=name) for n in range(1, 31)
    ]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "once.py").write_text(STRATEGY)
    journal = open_log(tmp_path / "log")
    journal.extend(definitions())
    for day in range(3):
        imported(journal, f"acme-{day}", "t/minute", prices(day))
        imported(journal, f"other-{day}", "t/minute", prices(day, "OTHER"))
    journal.commit(sync=True)
    journal.close()
    return tmp_path / "log"


def append(root, *events):
    journal = open_log(root)
    journal.extend(list(events))
    journal.commit(sync=True)
    journal.close()


def replayed(root, date, *settings, name="Once", **request):
    spec = f"{root.parent / 'once.py'}:{name}"
    request = {"commission": "zero", **request}
    wanted = ReplayRequest(what=date, strategies=(spec,), settings=settings, **request)
    return run_replay(root, load(), wanted).run


def test_two_days_one_by_one_end_as_both_at_once(root):
    both = replayed(root, f"{DATES[0]}..{DATES[1]}")
    first = replayed(root, DATES[0])
    second = replayed(root, DATES[1], carry=first.id)
    assert second.summary["start_equity"] == first.summary["end_equity"]
    assert second.summary["end_equity"] == both.summary["end_equity"]
    assert events_of(second, Filled) == []  # it is held already
    (cash,) = events_of(second, CashAdjusted)
    (held,) = events_of(second, PositionAdjusted)
    assert (held.strategy, held.quantity) == ("Once", 100)
    assert held.price == events_of(first, Filled)[0].price
    assert cash.amount == D(100_000) - 100 * held.price
    assert {cash.reason, held.reason} == {f"carried from run {first.id}"}


def test_what_is_held_has_its_last_value_before_its_first_price(root):
    first = replayed(root, DATES[0])
    second = replayed(root, DATES[1], carry="latest")
    marks = events_of(second, AccountMarked)
    assert str(marks[0].equity) == first.summary["end_equity"]
    assert None not in [mark.equity for mark in marks]


def test_what_is_carried_is_part_of_the_runs_identity_and_of_the_run(root):
    first = replayed(root, DATES[0])
    other = replayed(root, DATES[0], "quantity=50")
    one, two, none = (replayed(root, DATES[1], carry=source) for source in (first.id, other.id, None))
    assert len({one.id, two.id, none.id}) == 3
    for path in (first.path, other.path):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    now = again(root, LogReader(root), one)  # the run it came from is gone
    assert (now.run_id, now.run().summary["run_hash"]) == (one.id, one.summary["run_hash"])


def test_an_instrument_that_no_strategy_asks_for_keeps_its_value(root):
    first = replayed(root, DATES[0], "instrument=OTHER")
    second = replayed(root, DATES[1], "quantity=0", carry=first.id)
    assert [part["instruments"] for part in second.summary["parts"]] == [["ACME", "OTHER"]]
    assert second.summary["end_equity"] is not None


def test_the_logs_own_state_is_taken_as_of_the_beginning(root):
    append(
        root,
        CashAdjusted(OPEN, "DU1", "USD", D(50_000), "deposit"),
        PositionAdjusted(OPEN, "DU1", "Once", "ACME", D(7), D("9.5"), "counted"),
        PositionAdjusted(OPEN + DAY, "DU1", "Once", "ACME", D(99), D("9.5"), "later than the beginning"),
    )
    run = replayed(root, DATES[1], carry="log")
    assert [event.quantity for event in events_of(run, PositionAdjusted)] == [7]
    assert [event.amount for event in events_of(run, CashAdjusted)] == [50_000]
    assert run.summary["start_equity"] == str(50_000 + 7 * 10)
    assert events_of(run, Filled) == []


def split(day, ratio="2", dividend="0"):
    date = f"2025-07-{2 + day:02}"
    return CorporateAction(
        BEGIN - 240 * MIN + day * DAY, "t/actions", "ACME", date, D(ratio), D(dividend), "USD", 10.0
    )


def test_a_split_between_the_end_and_the_beginning_is_applied(root):
    first = replayed(root, DATES[0], prices="raw")
    append(root, split(1, "3", "0.5"))
    run = replayed(root, DATES[2], carry=first.id, prices="raw")
    assert [event.quantity for event in events_of(run, PositionAdjusted)] == [100, 300]
    assert [event.amount for event in events_of(run, CashAdjusted)][1:] == [50]
    # Its value a share is the last price by the ratio, until the first price of the day.
    equity = events_of(run, AccountMarked)[0].equity
    assert equity.quantize(D("0.01")) == D(first.summary["end_equity"]) + 50


def test_positions_at_raw_prices_do_not_go_into_adjusted_ones(root):
    first = replayed(root, DATES[0])
    append(root, split(1))
    with pytest.raises(UsageError, match=r"ACME is held or ordered at raw prices .* next: --prices raw"):
        replayed(root, DATES[2], carry=first.id)
    assert replayed(root, DATES[2], carry=first.id, prices="raw").summary["end_equity"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"carry": "latest", "cash": "5"}, "--carry brings cash along: leave out --cash"),
        ({"carry": "log"}, "holds neither positions nor cash; leave --carry out"),
    ],
)
def test_what_cannot_be_carried_is_said(root, request_, message):
    replayed(root, DATES[0])
    with pytest.raises(UsageError, match=message):
        replayed(root, DATES[1], **request_)


def test_a_run_that_ends_after_the_beginning_is_refused(root):
    late = replayed(root, DATES[1])
    with pytest.raises(UsageError, match=r"ends at 2025-07-03T.* after 2025-07-02 begins"):
        replayed(root, DATES[0], carry=late.id)


def test_an_unknown_run_is_said(root):
    replayed(root, DATES[0])
    with pytest.raises(DataMissing, match="beef"):
        replayed(root, DATES[1], carry="beef")


# -- open orders -------------------------------------------------------------------------------

LATE = """
from truetape import Parameters, Strategy

class P(Parameters, frozen=True):
    ask: str
    at: int
    instrument: str = "ACME"

class Late(Strategy[P]):
    def on_bar(self, bar):
        if bar.ts == self.params.at:
            eval(self.params.ask, {"s": self})
    def on_fill(self, fill):
        self.record(fill.order, float(self.position(fill.instrument)))
"""
LIMIT = 's.buy("ACME", 10, limit=9.5, tif="GTC", reason="rests")'
BRACKET = 's.bracket("ACME", "BUY", 10, take_profit=10.5, stop_loss=9.5, reason="in")'


def late(root, date, ask, **request):
    (root.parent / "once.py").write_text(LATE)
    settings = (f"ask={ask}", f"at={OPEN + 30 * MIN}")
    return replayed(root, date, *settings, name="Late", **request)


@pytest.mark.parametrize(("ask", "orders", "latency"), [(LIMIT, 1, 0), (LIMIT, 1, 5), (BRACKET, 2, 0)])
def test_orders_that_rest_over_night_fill_as_in_one_run(root, ask, orders, latency):
    both = late(root, f"{DATES[0]}..{DATES[1]}", ask, latency_ms=latency)
    first = late(root, DATES[0], ask, latency_ms=latency)
    second = late(root, DATES[1], ask, carry=first.id, latency_ms=latency)
    assert second.summary["end_equity"] == both.summary["end_equity"]
    over_night = [(f.ts, f.side, f.quantity, f.price) for f in events_of(both, Filled)][-1:]
    assert [(f.ts, f.side, f.quantity, f.price) for f in events_of(second, Filled)] == over_night
    assert [r.name for r in events_of(second, Recorded)] == [f"Late-0-{orders}"]  # told of as its own
    taken = events_of(second, OrderIntended)
    assert [intent.order for intent in taken] == [f"Late-0-{n + 1}" for n in range(orders)]
    assert taken[0].reason.startswith(f"Late-1-{2 if orders > 1 else 1} carried from run {first.id}: ")
    assert (second.summary["intents"], second.summary["orders"]) == (0, 0)  # none of its own
    with opened(root, second) as material:
        figures = material.report.figures
        assert (figures["intents"], figures["acknowledged"], figures["filled_orders"]) == (0, 0, 1)
    assert again(root, LogReader(root), second).run_id == second.id


def test_of_a_carried_group_one_cancels_the_other(root):
    first = late(root, DATES[0], BRACKET)
    second = late(root, DATES[1], BRACKET, carry=first.id)
    ended = [(s.order, s.message) for s in events_of(second, OrderStatusChanged) if s.status == "Cancelled"]
    assert ended == [("Late-0-1", "one cancels all: Late-0-2 filled")]


@pytest.mark.parametrize(("rule", "quantity"), [("cancel", 0), ("adjust", 30)])
def test_a_split_meanwhile_is_one_for_carried_orders_too(root, rule, quantity):
    first = late(root, DATES[0], LIMIT, prices="raw")
    append(root, split(1, "3"))
    run = late(root, DATES[2], LIMIT, prices="raw", carry=first.id, action_orders=rule)
    states = [status.status for status in events_of(run, OrderStatusChanged)]
    assert states[:2] == ["Submitted", "Submitted" if quantity else "Cancelled"]
    known = run.summary["options"]["carried"]["orders"]
    assert [order["quantity"] for order in known] == ["10"]


def test_orders_that_the_broker_forgets_are_noticed(root, monkeypatch):
    first = late(root, DATES[0], LIMIT)
    monkeypatch.setattr("adapters.replay.broker.SimulatedBroker.resume", lambda self, orders, ts: None)
    assert events_of(late(root, DATES[1], LIMIT, carry=first.id), Filled) == []


def order(name, **terms):
    known = {
        "account": "A",
        "strategy": "s",
        "instrument": "ACME",
        "side": "BUY",
        "type": "LMT",
        "tif": "GTC",
        "version": 1,
        "quantity": D(100),
        "limit": D(9),
        "stop": None,
        "state": "Submitted",
        "filled": D(0),
        "exposed": D(100),
        "reason": "r",
        "message": "",
        "created_ts": OPEN,
        "updated_ts": OPEN,
    }
    return Order(id=name, **{**known, **terms})


def taken(*orders, simulated=True):
    begin = OPEN + DAY - 60 * MIN
    found, left = open_orders(orders, Held(), begin, "run x", "SIM", simulated=simulated)
    return [(o.order, o.quantity, o.parent, o.oca) for o in found], left


SESSIONS = [session(DATES[n], n * DAY) for n in (0, 1)]


class Held:
    """Two days of sessions."""

    def instrument(self, name):
        return instrument(name)

    def session(self, exchange, ts):
        return next((known for known in SESSIONS if known.begin <= ts < known.end), None)

    def next_session(self, exchange, ts):
        return next((known for known in SESSIONS if known.begin > ts), None)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"tif": "DAY"}, "LMT DAY: its session is over"),
        ({"type": "MOC", "limit": None, "tif": "DAY"}, "MOC DAY: its session is over"),
        ({"tif": "OPG", "created_ts": BEGIN}, "the open it waited for is past"),
        ({"tif": "GTD", "good_till": OPEN + MIN}, "GTD, until 2025-07-02T13:31:00.000Z"),
    ],
)
def test_an_order_whose_time_is_over_is_left_and_named(terms, why):
    assert taken(order("s-1-1", **terms)) == ([], [f"s-1-1 ({why})"])


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"tif": "DAY", "created_ts": CLOSE},  # one of the next session
        {"type": "MKT", "limit": None, "created_ts": CLOSE},
        {"tif": "GTD", "good_till": CLOSE + DAY},
    ],
)
def test_an_order_that_is_still_at_work_is_taken(terms):
    assert taken(order("s-1-7", **terms)) == ([("s-0-1", 100, "", "")], [])


@pytest.mark.parametrize(
    "terms",
    [{"state": "Held"}, {"state": "Unknown"}, {"state": "Filled", "exposed": D(0)}, {"strategy": ""}],
)
def test_what_is_not_certainly_a_strategys_own_at_the_broker_is_not_taken(terms):
    assert taken(order("s-1-1", **terms)) == ([], [])


def test_what_was_on_its_way_arrives_in_a_replay_and_is_in_doubt_in_a_log():
    sent = order("s-1-1", state="Sent")
    assert taken(sent) == ([("s-0-1", 100, "", "")], [])
    assert taken(sent, simulated=False) == ([], [])


def test_an_exit_goes_on_for_what_is_held_and_waits_for_the_rest():
    entry = order("s-1-1", filled=D(30), exposed=D(70), state="PartiallyFilled")
    exits = [
        order("s-1-2", side="SELL", parent="s-1-1", oca="s-1-1", filled=D(10), exposed=D(90)),
        order("s-1-3", side="SELL", parent="s-1-1", oca="s-1-1", exposed=D(90)),
    ]
    found, _ = taken(entry, *exits)
    assert found == [
        ("s-0-1", 70, "", ""),
        ("s-0-2", 20, "", "s-0-s-1-1+"),
        ("s-0-3", 70, "s-0-1", "s-0-s-1-1"),
        ("s-0-4", 20, "", "s-0-s-1-1+"),
        ("s-0-5", 70, "s-0-1", "s-0-s-1-1"),
    ]
