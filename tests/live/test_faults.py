"""What goes wrong in production, one row a fault: afterwards the log says what the gateway's book says.

Gateway and client are the real ones, over loopback. Most rows run in lock step, where the day waits for
the client and nothing depends on the machine's speed; where silence is the fault, the client's clock leaps.
That the comparison can fail is shown at the end, by clients without a protection.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from adapters.ibkr.wire.transport import TimeLimits
from core.events import (
    BreakFound,
    ConnectionChanged,
    DataStateChanged,
    FarmChanged,
    Filled,
    FrameRejected,
    OrderBound,
    OrderSent,
    RiskRefused,
    SendFailed,
)
from tests.conftest import sampled
from tests.live import broken
from tests.live.rig import Books, Rig
from tests.live.silence import ALERT, Silence

Start = Callable[..., tuple[Rig, Any]]
Compare = Callable[[Any], Books]

LOST = ("up", "down", "up")


class Row(msgspec.Struct, frozen=True):
    """A fault, how the session is set up for it, and the states of the link that the log then has."""

    name: str
    faults: str
    states: tuple[str, ...] = ("up",)
    speed: object = "step"
    settings: dict[str, Any] = {}
    gateway: dict[str, Any] = {}
    drill: dict[str, Any] = {}
    first: dict[str, Any] = {}
    """Settings of the first attempt to connect only."""
    doubtful: bool = False
    """One order's fate cannot be known: it is named, its instrument is closed, and nothing is sent again."""


def duplicates(message: str) -> Row:
    return Row(f"{message} four times", f"order 2: repeat message={message} count=6")


def notice(code: int) -> Row:
    return Row(f"{code} about a live order", f"order 2: error code={code}")


def version(number: int) -> Row:
    return Row(f"version {number}", "", gateway={"server_version": number})


ROWS = [
    Row("no fault", ""),
    Row("a burst of exactly 4096 bytes", "ticks 50: burst bytes=4096 quiet=0.2"),
    Row(
        "frames in pieces of five bytes",  # at each byte: tests/ibkr/test_framing.py
        "order 1: split bytes=5",
        settings={"step_deadline_s": 60.0},
        drill={"orders": 3},
    ),
    Row(
        "frames held together",
        "ticks 40: coalesce frames=6",
        speed=600,
        settings={**ALERT, "heartbeat_s": 0.05, "pong_deadline_s": 5.0},
    ),
    Row(
        "mute after TCP",
        "connect 1: mute",
        ("wedged", "up"),
        first={"limits": TimeLimits(handshake_s=0.2)},
    ),
    Row("mute after the greeting", "start 1: mute", ("wedged", "up"), first={"start_deadline_s": 1.0}),
    Row("closed in the handshake", "connect 1: close", ("connecting", "up")),
    Row("client id in use", "start 1: refuse code=326", ("id_in_use", "up")),
    Row("reset before an order was seen", "order 2: reset processed=false", LOST, doubtful=True),
    Row("reset after an order was taken", "order 2: reset", LOST),
    Row("closed after an order was taken", "order 2: close", LOST),
    Row("order ids roll back", "order 2: ids back=5; order 3: reset", LOST),
    Row("fills while we are away", "order 2: reset run=600_S", LOST),
    Row(
        "1100 with fills, then 1102",
        "order 2: outage run=600_S end=1102",
        ("up", "upstream_down", "upstream_up"),
    ),
    Row(
        "1100 with fills that are told, then 1102",
        "order 2: outage run=600_S end=1102 deliver=true",
        ("up", "upstream_down", "upstream_up"),
    ),
    Row(
        "1100 with fills, then 1101",
        "order 2: outage run=60_S end=1101",
        ("up", "upstream_down", "data_lost"),
        speed=600,
    ),
    Row(
        "1100 with fills, then nothing",
        "order 2: outage run=60_S end=0",
        ("up", "upstream_down", "down", "up"),
        speed=600,
        settings={"upstream_patience_s": 0.1},
    ),
    Row("farms flap", "ticks 100: notices codes=2103,2104,2103,2104,2105,2106,2108,2157,2158"),
    Row("execution before its order", "order 2: swap"),
    Row("no status at all", "order 2: drop message=orderStatus count=99"),
    Row("no order messages at all", "order 2: drop message=openOrder count=99"),
    Row("an execution is lost", "order 2: drop message=execDetails"),
    Row("an execution is lost, then a reset", "order 2: drop message=execDetails; ticks 600: reset", LOST),
    *map(duplicates, ("orderStatus", "openOrder", "execDetails", "commissionReport")),
    Row("a correction", "fill 2: correct by=0.02"),
    Row(
        "a correction before its execution", "order 2: swap hold=execDetails until=position; fill 2: correct"
    ),
    Row("a correction while we are away", "order 2: reset run=600_S; fill 2: correct by=0.5", LOST),
    Row("commission of 0, then the right one", "order 2: alter; order 4: reset", LOST),
    Row("commission late", "order 2: late"),
    Row("commission before its execution", "order 2: swap hold=execDetails until=commissionReport"),
    Row("commission lost", "order 2: drop message=commissionReport; order 4: reset", LOST),
    Row("commission lost, and nobody looks", "order 2: drop message=commissionReport", drill={"last": 900}),
    Row(
        "filled after it was cancelled",
        "cancel 1: fill_after_cancel",
        drill={"plan": "cancel", "offset": 0.02, "last": 400},
    ),
    *map(notice, (399, 404, 10349)),
    Row("10147 to a cancel", "cancel 1: refuse code=10147", drill={"plan": "cancel"}),
    Row("10148 to a cancel", "cancel 1: refuse code=10148", drill={"plan": "cancel"}),
    Row("103 to an order", "order 2: refuse code=103"),
    Row("201 to an order", "order 2: refuse code=201"),
    Row("321 to an order", "order 2: refuse code=321 text=no_such_field"),
    Row("a code that nobody knows to an order", "order 2: refuse code=19999", doubtful=True),
    Row(
        "136 to a cancel of an order that nobody showed",
        "order 1: drop message=openOrder; order 1: drop message=orderStatus; cancel 1: refuse code=136",
        drill={"plan": "cancel"},
    ),
    Row("a read-only API", "order 2: refuse code=321", ("up", "read_only")),
    Row("unset values everywhere", "start 1: unset"),
    Row("no bid and no ask", "ticks 100: no_quote"),
    Row("delayed data", "start 1: delayed"),
    Row("a trading halt", "ticks 100: halt; ticks 140: halt on=false"),
    Row("code 100, then the end", "order 2: pace", LOST),
    Row("a daily restart", "order 3: restart seconds=0.2 back=3 run=60_S", ("up", "down", "...", "up")),
    Row("a clock that is off", "start 1: skew seconds=3600"),
    Row("a field that is no number", "order 2: garbage"),
    Row("a message cut short", "order 2: garbage kind=truncated"),
    Row("an impossible length", "order 2: garbage kind=length", LOST),
    Row("the end within a message", "order 2: cut", LOST),
    *map(version, (163, 176, 187, 197)),
]


def played(
    start: Start, row: Row, *, until: Callable[[Rig], bool] | None = None, **more: Any
) -> tuple[Rig, Any]:
    """Run a row's session to its end."""
    rig, gateway = start(
        row.faults,
        speed=row.speed,
        settings=row.settings,
        gateway=row.gateway,
        first=row.first,
        until=until or (in_doubt if row.doubtful else Rig.settled),
        **row.drill,
        **more,
    )
    return rig.run(), gateway


def trades(count: int) -> Callable[[Rig], bool]:
    """End a session after so many trades, whatever became of its orders."""
    return lambda rig: rig.drill._trades >= count  # type: ignore[attr-defined, no-any-return]


def in_doubt(rig: Rig) -> bool:
    gate = rig.session.world.gate
    return gate is not None and bool(gate.breaks)


def alike(told: list[str], expected: tuple[str, ...]) -> bool:
    """Compare states of the link; `...` stands for failed attempts, however many."""
    if "..." not in expected:
        return told == list(expected)
    at = expected.index("...")
    middle = told[at : len(told) - (len(expected) - at - 1)]
    return [s for s in told if s != "connecting"] == [s for s in expected if s != "..."] and all(
        state in ("connecting", "down") for state in middle
    )


@pytest.mark.parametrize("row", sampled(ROWS, 3), ids=lambda row: row.name)
def test_after_a_fault_the_log_is_the_gateways_book(row: Row, start: Start, books: Compare) -> None:
    rig, gateway = played(start, row)
    compared = books(gateway)
    assert not rig.timed_out
    assert len(gateway.fired) == len([part for part in row.faults.split(";") if part])
    assert compared.sent_twice() == []
    assert alike([event.state for event in rig.events(ConnectionChanged)], row.states)
    differences = compared.differences()
    if row.doubtful:
        assert [event.kind for event in rig.events(BreakFound)] == ["unknown_order"]
        assert len(differences) == 1
        assert differences[0].endswith("at the gateway never seen")
    else:
        assert differences == []
        assert rig.events(BreakFound) == []


# What some of the faults must leave in the log beside


def row(name: str) -> Row:
    return next(each for each in ROWS if each.name == name)


def test_a_farm_that_flaps_makes_data_stale_and_live_again(start: Start) -> None:
    rig, _ = played(start, row("farms flap"))
    farms = [(e.kind, e.up) for e in rig.events(FarmChanged)]
    assert farms[3:7] == [("market", False), ("market", True)] * 2
    states = [e.state for e in rig.events(DataStateChanged)]
    assert states[:3] == ["live", "stale", "live"]
    assert states[-1] == "live"


def test_delayed_data_take_no_entries(start: Start) -> None:
    rig, _ = played(start, row("delayed data"))
    assert {e.message for e in rig.events(RiskRefused)} == {"market data of ZVXA are delayed"}
    assert rig.events(OrderSent) == []


def test_a_read_only_api_is_named_with_what_to_do(start: Start) -> None:
    rig, _ = played(start, row("a read-only API"))
    assert 'untick "Read-Only API"' in rig.events(RiskRefused)[0].message


@pytest.mark.parametrize("name", ["a field that is no number", "a message cut short"])
def test_a_frame_that_cannot_be_read_is_kept_and_ends_nothing(name: str, start: Start) -> None:
    rig, _ = played(start, row(name))
    assert len(rig.events(FrameRejected)) == 1
    assert len(rig.events(Filled)) == 6


def test_two_orders_out_of_one_modify_are_both_counted(start: Start, books: Compare) -> None:
    rig, gateway = played(start, Row("fork", "modify 1: fork", drill={"plan": "modify"}))
    compared = books(gateway)
    assert compared.sent_twice() == ["drill-1-1"]  # by the gateway
    assert compared.differences() == []
    assert len([e for e in rig.events(OrderBound) if e.order == "drill-1-1"]) == 2


# An order and a gateway that has fallen silent

SILENT = "start 1: close; ticks 60: freeze seconds=0.4; ticks 600: mute"
"""As on a busy machine, to connect takes a while and the gateway pauses for longer than the drill waits."""


def silent(start: Start, **more: Any) -> tuple[Rig, Any]:
    return fallen_silent(start, SILENT, plan="timer", orders=1, **more)


def fallen_silent(
    start: Start,
    faults: str,
    client: Callable[[Any], None] = broken.nothing,
    *,
    leaves: bool = True,
    **drill: Any,
) -> tuple[Rig, Any]:
    until = Silence(client, leaves=leaves)
    rig, until.gateway = start(faults, speed=600, settings=ALERT, client=until.client, until=until, **drill)
    return rig.run(), until.gateway


def test_no_byte_of_an_order_goes_to_a_gateway_that_does_not_answer(start: Start, books: Compare) -> None:
    rig, gateway = silent(start)
    (failed,) = rig.events(SendFailed)
    assert (failed.bytes_written, failed.message) == (0, "no answer to a heartbeat within 60 s")
    assert rig.events(OrderSent) == []
    assert books(gateway).differences() == []
    states = [event.state for event in rig.events(ConnectionChanged)]
    assert (states[:3], states[-1]) == (["down", "up", "down"], "up")


def test_a_gateway_that_stops_reading_is_left_and_nothing_is_lost(start: Start, books: Compare) -> None:
    rig, gateway = fallen_silent(start, "order 2: deaf seconds=600", orders=2)
    assert not rig.timed_out
    assert [event.state for event in rig.events(ConnectionChanged)] == ["up", "down", "up"]
    compared = books(gateway)
    assert (compared.differences(), compared.sent_twice()) == ([], [])


def test_an_order_that_waits_when_the_session_ends_is_told_not_sent(start: Start, books: Compare) -> None:
    rig, gateway = silent(start, leaves=False)
    assert [(e.bytes_written, e.message) for e in rig.events(SendFailed)] == [(0, "the session ended")]
    assert books(gateway).differences() == []


# The same with clients that lack a protection: each must be caught


def test_a_client_that_orders_without_a_fresh_answer_is_caught(start: Start) -> None:
    rig, _ = silent(start, client=broken.no_fresh_answer)
    assert len(rig.events(OrderSent)) == 1


def test_a_client_that_sends_again_after_a_reset_is_caught(start: Start, books: Compare) -> None:
    _, gateway = played(
        start, row("reset after an order was taken"), client=broken.sends_again, until=trades(60)
    )
    assert books(gateway).sent_twice() == ["drill-1-2"]


@pytest.mark.parametrize("name", ["no status at all", "fills while we are away"])
def test_a_client_that_takes_a_status_for_a_fill_is_caught(name: str, start: Start, books: Compare) -> None:
    found = row(name)
    rig, gateway = start(found.faults, until=trades(90), client=broken.status_is_a_fill, orders=2)
    rig.run()
    assert any("position" in line for line in books(gateway).differences())


def test_that_client_would_pass_without_a_fault(start: Start, books: Compare) -> None:
    rig, gateway = start("", client=broken.status_is_a_fill, orders=1)
    rig.run()
    assert not any("position" in line for line in books(gateway).differences())


def test_a_client_that_adds_a_correction_up_is_caught(start: Start, books: Compare) -> None:
    rig, gateway = start(
        "fill 2: correct by=0.02",
        until=trades(60),
        client=broken.corrections_are_fills,
        orders=2,
    )
    rig.run()
    assert any("position" in line for line in books(gateway).differences())


def test_a_client_that_ignores_what_comes_while_the_gateway_is_cut_off_is_caught(
    start: Start, books: Compare
) -> None:
    _, gateway = played(
        start,
        row("1100 with fills that are told, then 1102"),
        client=broken.deaf_while_cut_off,
        until=trades(90),
    )
    assert books(gateway).differences() != []


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("commission lost, and nobody looks", broken.never_asks_for_commissions),
        ("an execution is lost", broken.waits_for_executions),
        ("fills while we are away", broken.trusts_what_it_knows),
        ("1100 with fills, then 1102", broken.trusts_what_it_knows),
        ("a daily restart", broken.trusts_what_it_knows),
        ("103 to an order", broken.codes_are_no_news),
        ("201 to an order", broken.codes_are_no_news),
        ("a code that nobody knows to an order", broken.waits_for_answers),
        ("execDetails four times", broken.counts_each_telling),
    ],
)
def test_a_client_without_a_protection_is_caught(
    name: str, client: Callable[[Any], None], start: Start, books: Compare
) -> None:
    found = row(name)
    _, gateway = played(start, found, client=client, until=trades(max(150, found.drill.get("last", 0))))
    compared = books(gateway)
    assert compared.differences() + compared.sent_twice()
