"""Changes of an order's time in force and hours, sent to a gateway and compared with what it shows."""

import pytest

from adapters.ibkr.wire import versions
from app.look.books import open_book
from app.look.snapshots import snapshot
from core.events import OrderAmended, OrderStatusChanged, ReconciliationFinished
from tests.live.sessions import OPEN_S, play, prove_all
from tests.logs import events_of


def retimed(ib_gateway, log, end_s, faults=""):
    """Return our order and the gateway's after some seconds, and whether anything was in doubt."""
    gateway = ib_gateway(speed="step", start="open", faults=faults)
    play(log, gateway.port, strategy="retiming", until_s=OPEN_S + end_s)
    gateway.stop()
    sides = [snapshot(open_book(root, "log")).orders.working()[0] for root in (log, gateway.book)]
    told = [(o.tif, o.good_till is not None, o.outside_rth, o.limit) for o in sides]
    looked = len(events_of(log, ReconciliationFinished)) > 1 + bool(faults)
    return told, looked or bool(events_of(log, OrderAmended))


@pytest.mark.parametrize(
    ("end_s", "times"),
    [(11, ("GTC", False, True)), (60, ("DAY", False, False))],
)
def test_changed_times_are_the_brokers_and_no_doubt(ib_gateway, log, end_s, times):
    (ours, theirs), doubted = retimed(ib_gateway, log, end_s)
    assert ours == theirs
    assert (ours[:3], doubted) == (times, False)
    prove_all(log)


def test_a_lost_connection_finds_the_version_by_its_times(ib_gateway, log):
    (ours, theirs), doubted = retimed(ib_gateway, log, 60, "modify 3: reset")
    assert (ours, doubted) == (theirs, False)
    [versions_told] = {e.version for e in events_of(log, OrderStatusChanged)} - {1, 2, 3, 4}
    assert versions_told == 5


def test_a_client_that_compares_no_times_takes_one_version_for_another(ib_gateway, log, monkeypatch):
    same = versions._SAME
    monkeypatch.setattr(versions, "_fixed", lambda *_: same)
    gateway = ib_gateway(speed="step", start="open", faults="modify 1: reset processed=false")
    play(log, gateway.port, strategy="retiming", until_s=OPEN_S + 11)
    gateway.stop()
    ours, theirs = (snapshot(open_book(root, "log")).orders.working()[0] for root in (log, gateway.book))
    assert (ours.tif, theirs.tif) == ("GTC", "DAY")


def test_a_change_that_was_never_seen_at_the_broker_is_void(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="modify 1: reset processed=false")
    play(log, gateway.port, strategy="retiming", until_s=OPEN_S + 11)
    gateway.stop()
    ours, theirs = (snapshot(open_book(root, "log")).orders.working()[0] for root in (log, gateway.book))
    assert (ours.tif, ours.outside_rth) == (theirs.tif, theirs.outside_rth) == ("DAY", False)
