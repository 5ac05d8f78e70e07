"""The fault tests of the connection with clients that lack a protection: each must be caught.

The row is the same as in `test_faults.py`; what is looked at is what is looked at there. A client that hangs
is left when nothing has happened for a while.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from core.errors import TapeError
from core.events import (
    BrokerSessionOpened,
    ConnectionChanged,
    DataStateChanged,
    OrderAttempted,
    OrderSent,
)
from tests.conftest import sampled
from tests.live import broken, broken_links
from tests.live.rig import Books, Rig
from tests.live.silence import ALERT
from tests.live.test_faults import Row, alike, played, row

Start = Callable[..., tuple[Rig, Any]]
Compare = Callable[[Any], Books]
IDLE_S = 2.5
"""Nothing has happened for so long since the fault was played: it hangs. The real client needs a second."""


class Patience:
    """Ends a session that is settled, or in which nothing happens any more."""

    def __init__(self, idle_s: float) -> None:
        self.gateway: Any = None
        self.stuck = False
        self._idle_s = idle_s
        self._stand: object = None
        self._since = time.monotonic()

    def __call__(self, rig: Rig) -> bool:
        if rig.settled():
            return True
        client, drill = rig.session.client, rig.drill
        stand = (drill._trades, drill.wanted, client._connection.attempt, client._recovery.looks)  # type: ignore
        if stand != self._stand or not self.gateway.fired:
            self._stand, self._since = stand, time.monotonic()
        self.stuck = time.monotonic() - self._since > self._idle_s
        return self.stuck


def problems(
    start: Start, books: Compare, found: Row, client: Callable[[Any], None], idle_s: float = IDLE_S
) -> list[str]:
    """Play a row with a client, and return what the row's test would complain of."""
    patience = Patience(idle_s)
    rig, patience.gateway = start(
        found.faults,
        speed=found.speed,
        settings=found.settings,
        gateway=found.gateway,
        first=found.first,
        until=patience,
        client=client,
        **found.drill,
    )
    with suppress(TapeError):
        rig.run()
    compared = books(patience.gateway)
    states = [event.state for event in rig.events(ConnectionChanged)]
    return [
        *(["it hangs"] if patience.stuck or rig.timed_out else []),
        *([] if alike(states, found.states) else [f"states {states}"]),
        *([f"sent twice: {compared.sent_twice()}"] if compared.sent_twice() else []),
        *compared.differences(),
        *(f"as client {e.client_id}" for e in rig.events(BrokerSessionOpened) if e.client_id != 1),
    ]


CONTROLS = [
    ("mute after TCP", broken_links.waits_for_a_greeting),
    ("mute after the greeting", broken_links.waits_for_accounts),
    ("closed in the handshake", broken_links.gives_up_at_once),
    ("client id in use", broken_links.takes_another_id),
    ("1100 with fills, then 1101", broken_links.keeps_its_lines),
    ("1100 with fills, then nothing", broken_links.waits_for_the_upstream),
    ("farms flap", broken_links.a_farm_is_the_connection),
    ("a read-only API", broken_links.orders_at_a_read_only_api),
    ("a field that is no number", broken_links.dies_of_a_bad_frame),
    ("an impossible length", broken_links.reads_on),
    ("the end within a message", broken_links.reads_on),
    ("code 100, then the end", broken_links.reads_on),
    ("frames in pieces of five bytes", broken_links.forgets_what_is_not_whole),
    ("frames held together", broken_links.takes_a_read_for_its_first_message),
    ("closed after an order was taken", broken.sends_again),
]
_HANG = {
    "1100 with fills, then 1101",
    "1100 with fills, then nothing",
    "an impossible length",
    "the end within a message",
    "code 100, then the end",
    "frames held together",
    "mute after the greeting",
}
"""Clients that hang take seconds: one of each kind stays in the ordinary run."""


def controls() -> list[Any]:
    return [
        pytest.param(
            name,
            client,
            id=f"{name}: {client.__name__}",
            marks=[pytest.mark.extended] if name in _HANG else [],
        )
        for name, client in CONTROLS
    ]


@pytest.mark.parametrize(("name", "client"), controls())
def test_a_client_without_a_protection_of_its_link_is_caught(
    name: str, client: Callable[[Any], None], start: Start, books: Compare
) -> None:
    assert problems(start, books, row(name), client) != []


@pytest.mark.parametrize("name", sampled(["mute after TCP", "1100 with fills, then 1101"], 2))
def test_the_real_client_gives_no_cause_for_complaint(name: str, start: Start, books: Compare) -> None:
    assert problems(start, books, row(name), lambda _: None, idle_s=30.0) == []


ROLLED_BACK = Row("ids", "order 2: ids back=99; order 3: reset")


def ids_given(rig: Rig) -> list[int]:
    return [event.broker_id for event in rig.events(OrderAttempted)]


def test_ids_go_on_behind_the_highest_that_was_used(start: Start) -> None:
    rig, _ = played(start, ROLLED_BACK)
    assert ids_given(rig) == sorted(set(ids_given(rig)))


def test_a_client_that_believes_an_id_that_went_back_is_caught(start: Start) -> None:
    rig, _ = played(
        start,
        ROLLED_BACK,
        client=broken_links.believes_the_next_id,
        until=lambda rig: rig.drill.wanted > 3,  # type: ignore
    )
    assert ids_given(rig) != sorted(set(ids_given(rig)))


def test_a_client_to_which_a_lost_farm_is_no_news_is_caught(start: Start) -> None:
    rig, _ = played(start, row("farms flap"), client=broken_links.farms_are_no_news)
    assert [event.state for event in rig.events(DataStateChanged)] == ["live"]


def test_a_client_that_orders_in_the_restart_window_is_caught(start: Start) -> None:
    settings = {"restart_window": "13:31-13:32 UTC"}
    rig, _ = start(settings=settings, orders=16, client=broken_links.knows_no_restart_window)
    rig.run()
    over = 1_751_463_180_000_000_000  # a minute after its end
    assert min(event.ts for event in rig.events(OrderSent)) < over


def test_a_client_that_takes_silence_for_peace_is_caught(start: Start) -> None:
    rig, _ = start(
        "ticks 120: freeze seconds=1.5",
        speed=600,
        settings=ALERT,
        plan="timer",
        orders=1,
        client=broken_links.never_asks_whether_it_lives,
    )
    rig.run()
    assert [event.state for event in rig.events(ConnectionChanged)] == ["up"]


def test_a_client_that_counts_no_attempt_is_caught(start: Start) -> None:
    def many(rig: Rig) -> bool:
        return len(rig.session.recorder.recent) > 12

    faults = "; ".join(f"start {n}: close" for n in range(1, 20))
    settings = {"max_reconnect_attempts": 3}
    rig, _ = start(faults, settings=settings, client=broken_links.never_gives_up, until=many)
    rig.run()
    assert "given_up" not in [event.state for event in rig.events(ConnectionChanged)]


def test_a_client_that_takes_any_account_is_caught(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(_settings: Any, managed: Any) -> str:
        return str(managed[0])

    monkeypatch.setattr("adapters.ibkr.lifecycle.account_of", first)
    rig, _ = start(settings={"account": "DU7"}, until=lambda rig: rig.session.client.ready)
    rig.run()
    assert [event.state for event in rig.events(ConnectionChanged)] == ["up"]
