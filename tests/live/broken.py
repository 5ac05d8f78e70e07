"""Clients that lack a protection, made from the real one: what the fault tests must catch."""

from collections.abc import Iterable
from typing import Any

from adapters.ibkr.wire.messages import ErrorMessage, Execution, Message, OrderStatus
from app.live.session import LiveSession
from core.events import (
    Event,
    Filled,
    OrderIntended,
    ReconciliationFinished,
    ReconciliationStarted,
)


def no_fresh_answer(session: LiveSession) -> None:
    """Send orders whenever there is a connection."""
    session.client._connection.heartbeat.fresh = lambda _now: True  # type: ignore[method-assign]


def sends_again(session: LiveSession) -> None:
    """Send every order again that was not confirmed before the connection broke, under a new id."""
    client: Any = session.client
    sent: list[Any] = []
    release, compared = client.release, client._compared

    def remember(effects: Any) -> None:
        sent.extend(e for e in effects if isinstance(e.request, OrderIntended))
        release(effects)

    def again() -> list[Event]:
        looks = client._recovery.looks
        events: list[Event] = compared()
        for effect in sent[-1:] if client._recovery.looks != looks else ():
            request = client._channel.out.request([effect], client._connection.codec.requests)
            route = session.world.routes.attempt(effect.request.order)
            assert route is not None
            old, new = f"\0{route.broker_id}\0", f"\0{client._channel.out.take_id()}\0"
            body = request.data[4:].replace(old.encode(), new.encode(), 1)
            client._connection.send(len(body).to_bytes(4, "big") + body)
            sent.clear()
        return events

    client.release, client._compared = remember, again


def status_is_a_fill(session: LiveSession) -> None:
    """Take filled quantities from statuses, and executions for news of no importance."""
    client: Any = session.client
    channel = client._channel
    filled: dict[str, Any] = {}

    def status(said: OrderStatus, ts: int) -> Iterable[Event]:
        order = channel._find(said.perm_id, "", said.client_id, said.order_id)
        known = session.world.orders.get(order) if order else None
        if known is None or not said.filled or filled.get(order) == said.filled:
            return ()
        more = said.filled - filled.get(order, 0)
        filled[order] = said.filled
        who = (order, known.account, known.strategy, known.instrument, known.side)
        return [Filled(ts, f"{order}/{said.filled}", *who, more, said.average_price or more, "")]  # type: ignore

    channel._routes_in = {**channel._routes_in, OrderStatus: status, Execution: lambda _said, _ts: ()}


def corrections_are_fills(session: LiveSession) -> None:
    """Take each execution id for an execution of its own."""
    channel: Any = session.client._channel
    plain = channel._execution

    def execution(said: Execution, ts: int) -> Iterable[Event]:
        import msgspec  # noqa: PLC0415

        return list(plain(msgspec.structs.replace(said, exec_id=f"{said.exec_id}.01"), ts))

    channel._routes_in = {**channel._routes_in, Execution: execution}


def deaf_while_cut_off(session: LiveSession) -> None:
    """Drop what comes between 1100 and 1102, and go on after it without a look at the books."""
    client: Any = session.client
    events = client._events

    def heard(message: Message) -> list[Event]:
        if client._connection.outage.upstream_lost and not isinstance(message, ErrorMessage):
            return []
        return list(events(message))

    def no_look(_reason: str) -> list[Event]:
        return []

    start = client._start_look
    client._events = heard
    client._start_look = lambda reason: start(reason) if reason == "start" else no_look(reason)


def never_asks_for_commissions(session: LiveSession) -> None:
    """Wait for commissions, however long."""
    session.client._commissions_due = list  # type: ignore[method-assign]


def waits_for_executions(session: LiveSession) -> None:
    """Wait for the execution of what a status told, however long."""
    session.client._fills_due = list  # type: ignore[method-assign]


def trusts_what_it_knows(session: LiveSession) -> None:
    """Compare no book after the first time: a connection that is back is as good as new."""
    client: Any = session.client
    start = client._start_look

    def once(reason: str) -> list[Event]:
        if client._recovery.looks == 0:
            return list(start(reason))
        client.ready = True
        return [
            ReconciliationStarted(client.now, reason),
            ReconciliationFinished(client.now, reason, 0, 0, 0, 0, ""),
        ]

    client._start_look = once


def codes_are_no_news(session: LiveSession) -> None:
    """Take no code for an end, and none for a doubt."""
    client: Any = session.client
    channel, start = client._channel, client._start_look
    channel._routes_in = {**channel._routes_in, ErrorMessage: lambda _said, _ts: ()}
    client._start_look = lambda reason: start(reason) if reason == "start" else []


def counts_each_telling(session: LiveSession) -> None:
    """Take each telling of an execution for an execution."""
    channel: Any = session.client._channel
    plain, count = channel._execution, iter(range(10**6))

    def execution(said: Execution, ts: int) -> Iterable[Event]:
        import msgspec  # noqa: PLC0415

        return list(plain(msgspec.structs.replace(said, exec_id=f"{said.exec_id}.{next(count)}.01"), ts))

    channel._routes_in = {**channel._routes_in, Execution: execution}
