"""A change of an order at work whose connection is gone before its first byte: held, and out once."""

import select
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.events import Event, HoldEnded, ModifyIntended, OrderHeld, OrderIntended, OrderSent, SendFailed
from core.holds import HoldRule, Holds
from tests.live.cable import Cable
from tests.live.rig import Books, Rig
from tests.live.test_holding import proved

Start = Callable[..., tuple[Rig, Any]]
Compare = Callable[[Any], Books]
HOUR = HoldRule(within_s=3600)
Cut = Callable[..., tuple[Rig, Any]]
PATIENCE_MS = 60_000


@pytest.fixture
def cut(start: Start, ib_gateway: Any) -> Iterator[Cut]:
    """Return a session whose first request of a kind finds its connection reset by the other side."""
    gateway = ib_gateway(speed="step", start="open")
    with Cable(gateway.port) as cable:

        def cuts(session: Any, kind: type[Event], early: bool) -> None:
            client = session.client
            release, inputs, left = client.release, client.inputs, [1]

            def released(effects: Any) -> None:
                if left and any(isinstance(each.request, kind) for each in effects):
                    left.clear()
                    line = client._connection._transport._socket
                    gone = select.poll()
                    gone.register(line, 0)  # what is asked for by itself: hung up, or an error
                    cable.cut()
                    assert gone.poll(PATIENCE_MS), "the reset did not arrive"
                release(effects)

            client.release = released
            if early:
                client.inputs = lambda wait: [*client._sending.outcomes(), *inputs(wait)]

        def make(kind: type[Event] = ModifyIntended, *, early: bool = False) -> tuple[Rig, Any]:
            plan = {"plan": "modify", "orders": 1, "hold": HOUR}
            rig, _ = start(served=cable, client=lambda session: cuts(session, kind, early), **plan)
            return rig, gateway

        yield make


def test_a_change_that_wrote_no_byte_is_held_and_goes_out_once(cut: Cut, books: Compare) -> None:
    rig, gateway = cut()
    rig.run()
    [failed] = rig.events(SendFailed)
    assert (failed.version, failed.bytes_written) == (2, 0)
    assert [(e.order, e.version) for e in rig.events(OrderHeld)] == [(failed.order, 2)]
    assert [(e.order, e.version, e.outcome) for e in rig.events(HoldEnded)] == [(failed.order, 2, "released")]
    assert [(e.order, e.version) for e in rig.events(OrderSent)] == [(failed.order, 1), (failed.order, 2)]
    compared = books(gateway)
    assert (compared.differences(), compared.sent_twice()) == ([], [])
    [change] = rig.events(ModifyIntended)
    assert compared.theirs.orders.orders()[0].limit == change.limit
    proved(rig.root)


@pytest.mark.extended
def test_an_order_that_wrote_no_byte_is_held_and_goes_out_once(cut: Cut, books: Compare) -> None:
    rig, gateway = cut(OrderIntended)
    rig.run()
    [failed] = rig.events(SendFailed)
    assert (failed.version, failed.bytes_written) == (1, 0)
    assert [(e.order, e.outcome) for e in rig.events(HoldEnded)] == [(failed.order, "released")]
    compared = books(gateway)
    assert (compared.differences(), compared.sent_twice()) == ([], [])
    assert len(compared.theirs.orders.orders()) == 1
    proved(rig.root)


BROKEN = [
    "tells what failed before the connection's end",
    pytest.param("forgets", marks=pytest.mark.extended),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_session_that_does_not_hold_the_change_is_caught(
    broken: str, cut: Cut, books: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == "forgets":
        monkeypatch.setattr(Holds, "leaves", lambda _self, _change: None)
    rig, gateway = cut(early=broken != "forgets")
    rig._until = lambda rig: rig.drill._trades > 40
    rig.run()
    assert rig.events(HoldEnded) == []
    compared = books(gateway)
    first, *_ = rig.events(ModifyIntended)
    assert compared.theirs.orders.orders()[0].limit != first.limit
