"""The SQL views of orders, fills and their chain agree with the folds, whatever came in what order."""

import random
import re
from decimal import Decimal

import pytest

from core.events import (
    BreakAccepted,
    CancelIntended,
    CancelSendStarted,
    CancelSent,
    CommissionReported,
    ExternalOrderReported,
    FillCorrected,
    Filled,
    HoldEnded,
    ModifyIntended,
    OrderAmended,
    OrderHeld,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderSendStarted,
    OrderSent,
    OrderStatusChanged,
    RiskApproved,
    RiskRefused,
    SendFailed,
    TimerFired,
    Trade,
)
from core.ports import RUN_BASE
from eventstore.layout import Layout
from eventstore.sql.connection import connect
from eventstore.sql.orders_view import ORDERS
from eventstore.tables.parquet import file_name
from eventstore.tables.schema import kind_of, to_batch
from projections.orders import Orders
from tests.eventstore.sealed_logs import open_log, read_all, write_typed

D = Decimal
WHO = ("DU1", "s", "IBM")


def _facts(rng, order, ts):
    """What may happen to an order, in a random selection and order."""
    executions = [f"{order}-e{n}" for n in range(3)]
    qty = D(rng.choice(("5", "10", "50")))
    facts = [
        RiskApproved(ts, order, 1, *WHO, "none"),
        RiskRefused(ts, order, rng.choice((1, 2)), *WHO, "rule", "1", "2", "too much"),
        OrderSendStarted(ts, order, 1, *WHO),
        OrderSent(ts, order, 1),
        SendFailed(ts, order, rng.choice((1, 2)), rng.choice((0, 9)), "broken"),
        ModifyIntended(ts, order, 2, *WHO, qty, D("11"), None, "more", tif=(None, "GTC")[ts % 2]),
        CancelIntended(ts, order, *WHO, "enough"),
        CancelSendStarted(ts, order, *WHO),
        OrderStatusChanged(ts, order, 1, *WHO, "Submitted"),
        OrderStatusChanged(ts, order, 1, *WHO, "Cancelled"),
        OrderStatusChanged(ts, order, rng.choice((1, 2)), *WHO, "Rejected", "no"),
        OrderStatusChanged(ts, order, 2, *WHO, "Submitted"),
        *[Filled(ts, e, order, *WHO, "BUY", D("4"), D("10.5")) for e in executions],
        Filled(ts, executions[0], order, *WHO, "BUY", D("4"), D("10.5")),
        FillCorrected(ts, executions[0], 1, order, *WHO, "BUY", D("3"), D("10.4")),
        FillCorrected(ts, executions[0], 2, order, *WHO, "BUY", D("2"), D("10.3")),
        CommissionReported(ts, executions[1], order, *WHO, D("1"), "USD"),
        CommissionReported(ts + 1, executions[1], order, *WHO, D("1.5"), "USD"),
    ]
    chosen = rng.sample(facts, rng.randrange(len(facts)))
    return [OrderIntended(ts, order, *WHO, "BUY", D("10"), "LMT", D("10.5"), None, "DAY", "why"), *chosen]


def _doubts(rng, order, ts):
    """What recovery may say of an order besides: each word replaces what was believed before."""
    outcomes = ("live", "ended", "not_sent", "unknown", "presumed_lost")
    told = [OrderResolved(ts, order, rng.choice(outcomes), f"look {n}") for n in range(4)]
    retries = [OrderRetried(ts, order, n, *WHO, "again") for n in (1, 2)]
    return [
        *told,
        *retries,
        OrderSent(ts, order, 1),
        SendFailed(ts, order, 1, 0, "gone"),
        OrderAmended(ts, order, rng.choice((2, 3)), D("20"), D("12"), None, tif=("DAY", None)[ts % 3 > 0]),
        CancelSent(ts, order, "lost"),
    ]


def _held(rng, order, ts):
    """What may happen to an order that is held; it has not filled before, or it would not be held."""
    first, *facts = [e for e in _facts(rng, order, ts) if type(e) not in (Filled, FillCorrected)]
    outcomes = ("released", "expired", "cancelled", "replaced")
    for version in (1, 1, 2):
        facts.insert(rng.randrange(len(facts) + 1), OrderHeld(ts, order, version, *WHO, 0, "no connection"))
        ending = HoldEnded(ts, order, version, *WHO, rng.choice(outcomes), "why")
        facts.insert(rng.randrange(len(facts) + 1), ending)
    return [first, *facts]


def _resolved(rng, order, ts):
    first, *facts = [*_facts(rng, order, ts), *_doubts(rng, order, ts)]
    rng.shuffle(facts)
    return [first, *facts[: rng.randrange(len(facts))]]


def _told_again(rng, order, ts):
    """An order that filled, was put up again, and of which executions are told once more."""
    fills = [Filled(ts, f"{order}-e{n}", order, *WHO, "BUY", D("4"), D("10.5")) for n in (0, 1)]
    again = [
        *fills,
        FillCorrected(ts + 1, f"{order}-e0", 1, order, *WHO, "BUY", D("3"), D("10.4")),
        SendFailed(ts + 2, order, 1, rng.choice((0, 9)), "gone"),
        OrderResolved(ts + 3, order, rng.choice(("not_sent", "unknown")), "look"),
    ]
    return [
        OrderIntended(ts, order, *WHO, "BUY", D("10"), "LMT", D("10.5"), None, "DAY", "why"),
        *rng.sample(again, rng.randrange(1, len(again))),
        OrderRetried(ts + 4, order, 1, *WHO, "again"),
        *rng.sample(again, rng.randrange(len(again))),
    ]


def _external(rng, order, ts):
    """An order of others: seen now and then, filled, gone, and perhaps seen again."""

    def seen(n):
        limit, stop = rng.choice(((D("9"), None), (None, D("8")), (None, None)))
        status = rng.choice(("Submitted", "PreSubmitted", "Filled", "Gone"))
        return ExternalOrderReported(ts + n, order, "DU1", "IBM", "BUY", D("7"), limit, stop, status)

    fill = Filled(ts + 2, f"{order}-x", order, "DU1", "", "IBM", "BUY", D(rng.choice(("3", "7"))), D("9"))
    return [seen(0), *rng.sample([seen(1), seen(3), fill], rng.randrange(4))]


def _accepted(rng, order, ts):
    """An order that nobody finds, until the operator takes the broker's word; each in a share of its own."""
    who = ("DU1", "s", f"Z{order}")
    word = BreakAccepted(ts + 5, "DU1", who[2], "looked it up")
    outcome = rng.choice(("unknown", "presumed_lost", "live"))
    later = [
        OrderStatusChanged(ts + 6, order, 1, *who, "Submitted"),
        OrderResolved(ts + 7, order, rng.choice(("live", "ended", "unknown")), "seen"),
        BreakAccepted(ts + 8, "DU1", who[2], "again"),
        OrderRetried(ts + 9, order, 1, *who, "again"),
    ]
    return [
        OrderIntended(ts, order, *who, "BUY", D("10"), "LMT", D("10.5"), None, "DAY", "why"),
        OrderSent(ts + 1, order, 1),
        *rng.sample([Filled(ts + 2, f"{order}-a", order, *who, "BUY", D("4"), D("10"))], rng.randrange(2)),
        OrderResolved(ts + 3, order, outcome, "first"),
        word,
        *rng.sample(later, rng.randrange(len(later) + 1)),
    ]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    root = tmp_path_factory.mktemp("orders") / "log"
    journal, rng = open_log(root), random.Random(7)
    for n in range(400):
        happened = [
            *_facts(rng, f"s-1-{n}", 1000 + n),
            *_resolved(rng, f"r-1-{n}", 1000 + n),
            *_external(rng, f"x-{n}", 1000 + n),
            *_accepted(rng, f"a-1-{n}", 1000 + n),
            *_held(random.Random(n), f"h-1-{n}", 1000 + n),
            *_told_again(random.Random(n), f"t-1-{n}", 1000 + n),
        ]
        for event in happened:
            journal.append(event)
        if n % 150 == 149:
            journal.roll()
            journal.commit(sync=True)
    journal.close()
    orders = Orders()
    for entry in read_all(root):
        orders.apply(entry)
    return root, orders


def _shown(root, sql=ORDERS):
    """Return what a query for orders shows, by order."""
    columns = (
        "order_id, seq, account, strategy, instrument, side, type, tif, state, version, quantity, "
        "limit_price, stop_price, filled, created_ts, updated_ts, message, reason"
    )
    with connect(root) as log:
        return {row[0]: row[2:] for row in log.query(f"SELECT {columns} FROM ({sql})").rows}


def _folded(fold):
    return {
        o.id: (
            *(o.account, o.strategy, o.instrument, o.side, o.type, o.tif, o.state, o.version, o.quantity),
            *(o.limit, o.stop, o.filled, o.created_ts, o.updated_ts, o.message, o.reason),
        )
        for o in fold.orders()
    }


def _differing(root, fold, sql=ORDERS):
    expected, shown = _folded(fold), _shown(root, sql)
    found = {k: (expected.get(k), shown.get(k)) for k in expected.keys() | shown.keys()}
    return {k: both for k, both in sorted(found.items()) if both[0] != both[1]}


def test_orders_show_what_the_fold_shows(history):
    root, fold = history
    differing = _differing(root, fold)
    assert not differing, dict(list(differing.items())[:5])
    states = {row[6] for row in _folded(fold).values()}
    assert len(states) >= 12, "the histories are too tame"


@pytest.mark.parametrize(
    "left_out",
    ["order_resolved", "order_retried", "order_amended", "external_order", "break_accepted", "cancel_sent"],
)
def test_a_view_that_leaves_out_one_kind_of_fact_is_found_out(history, left_out):
    root, fold = history
    broken = re.sub(rf"FROM raw\.{left_out}\b( AS b)?", rf"FROM (FROM raw.{left_out} WHERE false)\1", ORDERS)
    assert broken != ORDERS
    assert _differing(root, fold, broken)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WHEN is_news THEN 4", "WHEN true THEN 4"),
        ("AND seq > stands_seq", ""),
        ("tif, -seq", "tif, seq"),
        ("('waits', 'amended')", "('waits')"),
        ("coalesce(s.tif, i.tif)", "i.tif"),
    ],
    ids=[
        "an execution told again",
        "a change that waits again",
        "a change of the broker's own",
        "one under a refused number",
        "a time in force that was changed",
    ],
)
def test_a_view_that_takes_what_is_old_for_news_is_found_out(history, right, wrong):
    root, fold = history
    broken = ORDERS.replace(right, wrong)
    assert broken != ORDERS
    assert _differing(root, fold, broken)


def test_fills_are_the_highest_revision_with_the_latest_commission(history):
    root, fold = history
    with connect(root) as log:
        found = log.query("SELECT exec_id, revision, order_id, quantity, price, commission FROM fills").rows
    expected = {
        (e.exec_id, e.revision, e.order, e.quantity, e.price, e.commission) for e in fold.executions()
    }
    assert set(found) == expected
    assert len(found) == len(expected)


def _write_run(root, run, rows):
    directory = Layout(root).runs / run
    directory.mkdir(parents=True)
    (directory / "run.json").write_text('{"format": 1, "run": "r1", "strategies": [], "end_equity": "99.5"}')
    groups = {}
    for row in rows:
        groups.setdefault(type(row[3]), []).append(row)
    for event_type, group in groups.items():
        seqs, ats, causes, events = zip(*group, strict=True)
        kind = kind_of(event_type)
        write_typed(
            directory / file_name(kind), kind, [to_batch(kind, seqs, None, ats, causes, events)], recv=False
        )


@pytest.fixture
def with_run(tmp_path):
    """A log of three trades and a run: one order from a tick, one from a timer that a later tick fired."""
    root = tmp_path / "log"
    journal = open_log(root)
    for n in range(3):
        journal.append(Trade(10 + n, "f", "IBM", 100.0 + n, 100.0, "P"))
    journal.close()
    base = RUN_BASE

    def intent(order):
        return OrderIntended(10, order, *WHO, "BUY", D("10"), "MKT", None, None, "DAY", "because")

    fill = Filled(11, "F-1", "s-1-1", *WHO, "BUY", D("10"), D("101"))
    _write_run(
        root,
        "r1",
        [
            (base + 1, 1, None, intent("s-1-1")),
            (base + 2, 1, base + 1, RiskApproved(10, "s-1-1", 1, *WHO, "none")),
            (base + 3, 2, base + 1, fill),
            (base + 4, 2, base + 3, CommissionReported(11, "F-1", "s-1-1", *WHO, D("1"), "USD")),
            (base + 5, 3, None, TimerFired(12, "s", "noon")),
            (base + 6, base + 5, None, intent("s-1-2")),
        ],
    )
    return root


def test_a_chain_leads_from_the_tick_to_the_commission(with_run):
    with connect(with_run) as log:
        rows = log.query(
            "SELECT link, kind, seq, summary FROM chain WHERE order_id = 's-1-1' AND run = 'r1' ORDER BY link"
        ).rows
    assert [row[:3] for row in rows] == [
        (1, "tick", 1),
        (2, "intent", RUN_BASE + 1),
        (3, "verdict", RUN_BASE + 2),
        (4, "tick", 2),
        (5, "fill", RUN_BASE + 3),
        (6, "commission", RUN_BASE + 4),
    ]
    assert rows[0][3] == "trade 100.0 at 100.0 on P"
    assert rows[1][3] == "BUY 10 IBM MKT: because"
    assert rows[3][3] == "trade 100.0 at 101.0 on P"


def test_an_order_from_a_timer_leads_back_through_it_to_the_tick(with_run):
    with connect(with_run) as log:
        rows = log.query("SELECT kind, seq FROM chain WHERE order_id = 's-1-2' ORDER BY link").rows
    assert rows == [("tick", 3), ("timer", RUN_BASE + 5), ("intent", RUN_BASE + 6)]


def _one_order(root, intended_at, filled_at, *more):
    intended = OrderIntended(10, "s-1-1", *WHO, "BUY", D("10"), "MKT", None, None, "DAY", "")
    fill = Filled(11, "F-1", "s-1-1", *WHO, "BUY", D("10"), D("101"))
    rows = [(RUN_BASE + 1, intended_at, None, intended), (RUN_BASE + 2, filled_at, None, fill), *more]
    journal = open_log(root)
    journal.append(Trade(10, "f", "IBM", 100.0, 100.0, "P"))
    journal.append(Trade(11, "f", "IBM", 101.0, 100.0, "P"))
    journal.close()
    _write_run(root, "r1", rows)
    with connect(root) as log:
        asked = "SELECT kind, seq FROM chain WHERE order_id = 's-1-1' ORDER BY link"
        return log.query(asked).rows


def test_an_order_that_its_own_tick_fills_has_that_tick_once(tmp_path):
    rows = _one_order(tmp_path / "log", 2, 2)
    assert rows == [("tick", 2), ("intent", RUN_BASE + 1), ("fill", RUN_BASE + 2)]


def test_two_fills_at_one_tick_share_it(tmp_path):
    second = Filled(11, "F-2", "s-1-1", *WHO, "BUY", D("5"), D("101"))
    rows = _one_order(tmp_path / "log", 1, 2, (RUN_BASE + 3, 2, None, second))
    assert [kind for kind, _ in rows] == ["tick", "intent", "tick", "fill", "fill"]


def test_a_fill_that_the_log_received_itself_is_not_a_link_twice(tmp_path):
    journal = open_log(tmp_path / "log")
    journal.append(Trade(10, "f", "IBM", 100.0, 100.0, "P"))
    journal.append(OrderIntended(10, "s-1-1", *WHO, "BUY", D("10"), "MKT", None, None, "DAY", ""), at=1)
    journal.append(Filled(11, "F-1", "s-1-1", *WHO, "BUY", D("10"), D("101")))
    journal.commit(sync=True)
    journal.close()
    with connect(tmp_path / "log") as log:
        rows = log.query("SELECT kind, seq FROM chain ORDER BY link").rows
    assert rows == [("tick", 1), ("intent", 2), ("fill", 3)]


def test_rows_of_a_run_are_marked_and_those_of_the_log_are_not(with_run):
    with connect(with_run) as log:
        assert log.query("SELECT DISTINCT run FROM fills").rows == [("r1",)]
        assert log.query("SELECT DISTINCT run FROM trades").rows == [(None,)]
        assert log.query("SELECT run, end_equity FROM runs").rows == [("r1", D("99.5"))]
    with connect(with_run, runs=False) as log:
        assert log.query("SELECT count(*) FROM fills").rows == [(0,)]
