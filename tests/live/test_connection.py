"""The life of a connection over real sockets: attempts and their limit, refusals, alarms, restarts."""

import socket
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ibkr.wire.transport import TimeLimits
from core.clock import SECOND_NS
from core.effects import Effect
from core.errors import AccountRefused, BrokerUnreachable, ExitCode, TapeError
from core.events import (
    BrokerMessage,
    BrokerSessionOpened,
    CancelIntended,
    ClockSkewMeasured,
    ConnectionChanged,
    DataStateChanged,
    Event,
    OrderAttempted,
    OrderSent,
    ReconciliationFinished,
    RiskRefused,
    SendFailed,
    SessionEnded,
    Trade,
)
from tests.gateway.raw import OPENED, Raw
from tests.live.rig import Rig

Start = Callable[..., tuple[Rig, Any]]
SHORT = TimeLimits(connect_s=0.5, handshake_s=0.1, send_s=0.5)


@pytest.fixture
def nobody() -> Iterator[Any]:
    """A port of loopback where nothing listens, and nobody else can."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield SimpleNamespace(host="127.0.0.1", port=sock.getsockname()[1])


@pytest.fixture
def wedged() -> Iterator[Any]:
    """A port that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield SimpleNamespace(host="127.0.0.1", port=sock.getsockname()[1])


@pytest.fixture
def raw() -> Iterator[Callable[[int], Raw]]:
    yield Raw
    while OPENED:
        OPENED.pop().close()


def states(rig: Rig) -> list[str]:
    return [event.state for event in rig.events(ConnectionChanged)]


def seen(rig: Rig, kind: type[Event], count: int = 1) -> bool:
    """Whether the session has taken so many events of a type; reads the log as another process would."""
    rig._journal.commit(sync=False)
    return len(rig.events(kind)) >= count


def failure(rig: Rig) -> TapeError:
    with pytest.raises(TapeError) as caught:
        rig.run()
    return caught.value


# Attempts


def test_the_attempts_end_with_exit_code_3_and_each_is_in_the_log(start: Start, nobody: Any) -> None:
    rig, _ = start(served=nobody, settings={"max_reconnect_attempts": 3})
    error = failure(rig)
    assert isinstance(error, BrokerUnreachable)
    assert error.exit_code is ExitCode.BROKER_UNREACHABLE
    assert "start TWS or IB Gateway" in str(error)
    assert "given up after 3 attempts: [ibkr] max_reconnect_attempts" in str(error)
    told = [(event.state, event.attempt) for event in rig.events(ConnectionChanged)]
    assert told == [("connecting", 1), ("connecting", 2), ("given_up", 3)]
    assert len(rig.events(SessionEnded)) == 1


def test_a_connection_that_works_sets_the_count_back(start: Start) -> None:
    faults = "; ".join(f"order {n}: reset" for n in range(1, 6))
    rig, _ = start(faults, settings={"max_reconnect_attempts": 2})
    rig.run()
    assert states(rig) == ["up", *["down", "up"] * 5]


def test_connections_that_come_to_nothing_are_counted(start: Start) -> None:
    faults = "; ".join(f"start {n}: close" for n in range(1, 6))
    rig, _ = start(faults, settings={"max_reconnect_attempts": 3})
    assert isinstance(failure(rig), BrokerUnreachable)
    assert states(rig) == ["down", "down", "given_up"]


def test_attempts_in_the_restart_window_do_not_count(start: Start, nobody: Any) -> None:
    # In lock step the clock is the gateway's, which stands at 08:00 UTC before it was heard.
    settings = {"max_reconnect_attempts": 2, "restart_window": "07:30-08:30 UTC", "alarm_after_s": 0.01}
    rig, _ = start(served=nobody, settings=settings, until=lambda rig: seen(rig, ConnectionChanged, 5))
    rig.run()
    assert {(e.state, e.attempt) for e in rig.events(ConnectionChanged)} == {("connecting", 0)}


def test_a_gateway_that_answers_nothing_is_called_wedged(start: Start, wedged: Any) -> None:
    rig, _ = start(
        served=wedged,
        settings={"max_reconnect_attempts": 2, "limits": SHORT, "reconnect_cap_s": 0.05},
    )
    error = failure(rig)
    assert error.exit_code is ExitCode.BROKER_UNREACHABLE
    assert "no version reply within 0.1 s; restart TWS or IB Gateway" in str(error)
    assert states(rig) == ["wedged", "given_up"]


def test_an_attempt_that_hangs_does_not_hold_up_the_loop(start: Start, wedged: Any) -> None:
    rounds = 0

    def ten_rounds(rig: Rig) -> bool:
        nonlocal rounds
        rounds += 1
        return rounds == 3

    rig, _ = start(served=wedged, settings={"limits": TimeLimits(30, 30, 30)}, until=ten_rounds)
    rig.run()
    assert rounds == 3
    assert not rig.timed_out


def test_an_outage_that_lasts_raises_one_alarm(start: Start, nobody: Any) -> None:
    def long_ago(rig: Rig) -> bool:
        connection = rig.session.client._connection
        if connection.attempt == 3 and not began:
            began.append(connection.outage._unusable_ns)
            connection.outage._unusable_ns = began[0] - 3600 * SECOND_NS
        return False

    began: list[int] = []
    rig, _ = start(
        served=nobody, settings={"alarm_after_s": 3600, "max_reconnect_attempts": 9}, until=long_ago
    )
    failure(rig)
    alarms = [event for event in rig.events(ConnectionChanged) if event.state == "overdue"]
    assert len(alarms) == 1
    assert "no order could leave for" in alarms[0].reason
    assert "cannot connect" in alarms[0].reason


# What is refused


@pytest.mark.parametrize(
    ("gateway", "settings", "said"),
    [
        ({}, {"account": "DU7"}, "account DU7: this login has DU1000001"),
        ({}, {"expects": "real"}, "DU1000001 is a paper account"),
        ({"account": "U1000001"}, {"account": "U1000001"}, "U1000001 is an account with real money"),
    ],
)
def test_another_account_ends_the_session_at_once(
    start: Start, gateway: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    rig, _ = start(gateway=gateway, settings=settings)
    error = failure(rig)
    assert isinstance(error, AccountRefused)
    assert error.exit_code is ExitCode.USAGE
    assert said in str(error)
    (event,) = rig.events(ConnectionChanged)
    assert (event.state, event.reason) == ("refused", str(error))


@pytest.mark.parametrize(("number", "said"), [(157, "protocol version 157, expected 163 to 200; update TWS")])
def test_a_version_that_is_not_spoken_is_named_with_what_to_do(start: Start, number: int, said: str) -> None:
    rig, _ = start(gateway={"server_version": number}, settings={"max_reconnect_attempts": 1})
    assert said in str(failure(rig))


def test_a_version_above_ours_is_refused_and_the_next_attempt_may_do(start: Start) -> None:
    rig, _ = start("connect 1: version to=226")
    rig.run()
    assert states(rig) == ["connecting", "up"]
    assert "version 226, expected 163 to 200" in rig.events(ConnectionChanged)[0].reason


def test_a_client_id_in_use_is_tried_again_with_the_same_id(
    start: Start, raw: Callable[[int], Raw], ib_gateway: Any
) -> None:
    gateway = ib_gateway(speed="step", start="open")
    other = raw(gateway.port).greet().start(1)
    other.seek(9)

    def let_go(rig: Rig) -> bool:
        if rig.session.client._connection.attempt == 2:
            other.close()
        return rig.settled()

    rig, _ = start(served=gateway, until=let_go)
    rig.run()
    told = rig.events(ConnectionChanged)
    assert [event.state for event in told][:2] == ["id_in_use", "id_in_use"]
    assert told[-1].state == "up"
    assert told[0].code == 326
    assert "end the other program with this id" in told[0].reason
    assert {event.client_id for event in rig.events(BrokerSessionOpened)} == {1}


def looking_on(start: Start, raw: Callable[[int], Raw], ib_gateway: Any, **options: Any) -> tuple[Rig, Any]:
    """Lose the connection with an order at work, find our id taken, look on, try to cancel, come back."""
    gateway = ib_gateway(speed="step", start="open", faults="order 1: reset run=5_S")
    others: list[Raw] = []

    def go_on(rig: Rig) -> bool:
        client: Any = rig.session.client
        told = states(rig) if seen(rig, ConnectionChanged) else []
        if "down" in told and not others:  # between two looks of the loop: our next attempt comes after it
            others.append(raw(gateway.port).greet().start(1))
            others[0].seek(9)
        if client._connection.client_id == 99 and client.ready and len(others) == 1:
            (order,) = rig.session.world.orders.working()
            who = (order.account, order.strategy, order.instrument)
            client.release([Effect(0, CancelIntended(client.now, order.id, *who, "test"))])
            others.append(others[0])
            others[0].close()
            client._connection._opened_ns -= 3600 * SECOND_NS  # now, not when a slow machine is in the middle
        return rig.settled()

    settings = {"takeover_client_id": 99, "takeover_after": 2, "takeover_retry_s": 3600.0}
    rig, _ = start(served=gateway, settings=settings, until=go_on, plan="cancel", orders=2, **options)
    return rig.run(), gateway


def test_while_our_client_id_is_in_use_the_session_looks_on(
    start: Start, raw: Callable[[int], Raw], ib_gateway: Any, books: Any
) -> None:
    rig, gateway = looking_on(start, raw, ib_gateway)
    told = rig.events(ConnectionChanged)
    assert [event.state for event in told if event.state != "id_in_use"] == [
        "up",
        "down",
        "read_only",
        "down",
        "up",
    ]
    (read_only,) = [event for event in told if event.state == "read_only"]
    assert read_only.code == 326
    assert "client id 1 is in use by another program: looking on as client 99" in read_only.reason
    assert [event.client_id for event in rig.events(BrokerSessionOpened)] == [1, 99, 1]
    assert len(rig.events(ReconciliationFinished)) >= 3  # the books were compared as client 99, too
    refused = [event for event in rig.events(SendFailed) if event.message.startswith("read-only")]
    assert {event.order for event in refused} == {"drill-1-1"}  # by us, and by the strategy if its turn came
    assert books(gateway).differences() == []


@pytest.mark.extended
def test_a_client_that_cancels_under_another_id_is_caught(
    start: Start, raw: Callable[[int], Raw], ib_gateway: Any
) -> None:
    def bold(session: Any) -> None:
        connection = session.client._connection
        session.client._connection = Bold(connection)

    rig, _ = looking_on(start, raw, ib_gateway, client=bold)
    assert not any(event.message.startswith("read-only") for event in rig.events(SendFailed))
    assert [event.code for event in rig.events(BrokerMessage) if event.code in (10147, 10148)] != []


class Bold:
    """A connection that does not say that it only looks on."""

    looks_on = False

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_read_only_api_lets_data_in_and_no_order_out(start: Start) -> None:
    rig, _ = start("start 1: error code=321 about=-1")
    rig.run()
    assert states(rig) == ["up", "read_only"]
    assert rig.session.client._connection.outage.alarm(1 << 62) is None  # it was told already
    assert len(rig.events(Trade)) > 50
    assert rig.events(OrderAttempted) == []
    assert all("read-only" in event.message for event in rig.events(RiskRefused))


# While it is up


def test_no_order_leaves_in_the_restart_window_though_the_gateway_is_there(start: Start) -> None:
    # The day opens at 13:30 UTC; with a minute's margin orders wait until 13:33.
    rig, _ = start(settings={"restart_window": "13:31-13:32 UTC"}, orders=16)
    rig.run()
    assert states(rig) == ["up", "restart_window", "up"]
    assert {event.message.partition(":")[0] for event in rig.events(RiskRefused)} == {"no usable connection"}
    over = 1_751_463_180_000_000_000
    sent = [event.ts for event in rig.events(OrderSent)]
    assert sent
    assert min(sent) >= over
    assert max(event.ts for event in rig.events(RiskRefused)) < over


def test_a_competing_session_is_told_once_whatever_comes(start: Start) -> None:
    faults = "; ".join(f"ticks {n}: error code=10197 about=1" for n in range(50, 62))
    rig, _ = start(faults)
    rig.run()
    told = [event for event in rig.events(BrokerMessage) if event.code == 10197]
    assert len(told) == 1
    assert "another session of this login has the market data" in told[0].text


COMPETING = "ticks 50: error code=10197 about=4; ticks 50: error code=10197 about=5"


def lines_after_competing(start: Start, seconds: float) -> set[int]:
    """Return the ids of the data requests, so long after 10197 came to those with the ids 4 and 5."""
    heard: list[float] = []

    def over(rig: Rig) -> bool:
        if not heard and seen(rig, BrokerMessage):
            heard.append(time.monotonic())
        asked = rig.session.client._data._by_id
        return bool(heard) and (min(asked, default=0) > 5 or time.monotonic() - heard[0] > seconds)

    def silenced(session: Any) -> None:
        meaning = session.client._notices.meaning

        def heard_of(said: Any, *more: Any) -> Any:
            if said.code == 10197:
                session.client._data.ticks.clear()  # the other session has them: nothing comes here
            return meaning(said, *more)

        session.client._notices.meaning = heard_of

    rig, _ = start(COMPETING, speed=60, until=over, client=silenced)
    rig.run()
    assert not rig.timed_out
    return set(rig.session.client._data._by_id)


def test_data_that_another_session_had_are_asked_for_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.dialogue.COMPETING_RETRY_NS", 300_000_000)
    assert min(lines_after_competing(start, 20)) > 5


def test_they_are_not_asked_for_before_a_minute_is_over(start: Start) -> None:
    assert {4, 5} <= lines_after_competing(start, 1)


def test_a_complaint_about_the_pace_is_counted_and_told(start: Start) -> None:
    rig, _ = start("order 2: pace")
    rig.run()
    assert rig.session.client._notices.pacing_violations == 1
    assert [event.code for event in rig.events(BrokerMessage) if event.severity == "error"] == [100]


@pytest.mark.parametrize(("fault", "expected_s"), [("", 0), ("start 1: skew seconds=3600", 3600)])
def test_the_difference_of_the_clocks_is_measured(start: Start, fault: str, expected_s: int) -> None:
    market: list[Any] = []

    def same_clock(session: Any) -> None:
        session.client._clock = lambda: market[0].now if market else 1

    rig, gateway = start(fault, speed=1, client=same_clock, until=lambda rig: rig.session.client.ready)
    market.append(gateway._server.session.market)
    rig.run()
    (opened,), (skew,) = rig.events(BrokerSessionOpened), rig.events(ClockSkewMeasured)
    assert opened.skew_ms == skew.skew_ms
    assert skew.skew_ms / 1000 == pytest.approx(expected_s, abs=0.5)
    assert skew.excessive is (expected_s > 0)


def test_data_are_asked_for_again_after_a_lost_farm_came_back(start: Start) -> None:
    rig, _ = start("ticks 100: notices codes=2103,2104")
    rig.run()
    told = [event.state for event in rig.events(DataStateChanged) if event.instrument == "ZVXA"]
    assert told == ["live", "stale", "live"]
