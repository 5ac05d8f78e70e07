"""Clients that lack a protection, made from the real one: what the fault tests must catch."""

from collections.abc import Callable, Iterable
from typing import Any

from adapters.ibkr.wire.messages import (
    CommissionReport,
    ErrorMessage,
    Execution,
    Message,
    OpenOrder,
    OrderStatus,
)
from app.live.session import LiveSession
from core.events import (
    CommissionReported,
    Event,
    Filled,
    OrderIntended,
    ReconciliationFinished,
    ReconciliationStarted,
)
from core.money import ZERO


def nothing(session: LiveSession) -> None:
    """Lack nothing."""


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


def waits_for_answers(session: LiveSession) -> None:
    """Wait for the answer to an order, however long."""
    session.client._answers_due = list  # type: ignore[method-assign]


def knows_no_rates(session: LiveSession) -> None:
    """Take no rate from the broker's account values."""
    session.client._rates.events = lambda _said, _ts: []  # type: ignore[method-assign]


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


def together(*breaks: Callable[[LiveSession], None]) -> Callable[[LiveSession], None]:
    """Return a client that lacks several protections, where one makes up for another."""

    def lacks(session: LiveSession) -> None:
        for one in breaks:
            one(session)

    return lacks


def _instead(session: LiveSession, **routes: Callable[..., Iterable[Event]]) -> None:
    """Let some messages be taken by another function, which gets the right one as well."""
    channel: Any = session.client._channel
    kinds: dict[str, Any] = {
        "status": OrderStatus,
        "shown": OpenOrder,
        "execution": Execution,
        "commission": CommissionReport,
        "error": ErrorMessage,
    }
    before = dict(channel._routes_in)

    def replaced(name: str, take: Callable[..., Iterable[Event]]) -> Callable[[Any, int], Iterable[Event]]:
        plain = before[kinds[name]]
        return lambda said, ts: take(channel, plain, said, ts)

    channel._routes_in = {**before, **{kinds[name]: replaced(name, take) for name, take in routes.items()}}


def only_the_first_look(session: LiveSession) -> None:
    """Look at the broker's book at the start, and never again."""
    client: Any = session.client
    start = client._start_look
    client._start_look = lambda reason: start(reason) if client._recovery.looks == 0 else []
    client._channel.take_doubt = lambda **_: ""
    client._recovery._begin_recheck = lambda _ts: None
    never_asks_for_commissions(session)
    waits_for_executions(session)


def tells_each_status(session: LiveSession) -> None:
    """Take each telling of a status for news."""

    def status(channel: Any, plain: Any, said: OrderStatus, ts: int) -> Iterable[Event]:
        order = channel._find(said.perm_id, "", said.client_id, said.order_id)
        channel._told.pop(order, None)
        channel._routes._told.pop(order, None)
        return list(plain(said, ts))

    _instead(session, status=status)


def needs_the_order_first(session: LiveSession) -> None:
    """Take no execution of an order before the broker has shown the order itself."""
    shown: set[int] = set()

    def open_order(_channel: Any, plain: Any, said: OpenOrder, ts: int) -> Iterable[Event]:
        shown.add(said.terms.perm_id or 0)
        return list(plain(said, ts))

    def later(_channel: Any, plain: Any, said: Any, ts: int) -> Iterable[Event]:
        return list(plain(said, ts)) if said.perm_id in shown else []

    _instead(session, shown=open_order, execution=later)


def needs_the_execution_first(session: LiveSession) -> None:
    """Drop a commission whose execution is still to come."""

    def commission(channel: Any, plain: Any, said: CommissionReport, ts: int) -> Iterable[Event]:
        events = list(plain(said, ts))
        channel.executions.waiting.clear()
        return events

    _instead(session, commission=commission)


def unknown_is_nothing(session: LiveSession) -> None:
    """Take a commission that has not come for one of 0, and what comes later for a mistake."""

    def execution(_channel: Any, plain: Any, said: Execution, ts: int) -> Iterable[Event]:
        events = list(plain(said, ts))
        fills = [event for event in events if isinstance(event, Filled)]
        who = [(e.exec_id, e.order, e.account, e.strategy, e.instrument) for e in fills]
        return [*events, *(CommissionReported(ts, *each, ZERO, "USD") for each in who)]

    _instead(session, execution=execution, commission=lambda *_: ())


def unset_is_a_defect(session: LiveSession) -> None:
    """Drop a report in which anything is unset."""

    def commission(_channel: Any, plain: Any, said: CommissionReport, ts: int) -> Iterable[Event]:
        return list(plain(said, ts)) if said.realised is not None else []

    _instead(session, commission=commission)


def corrections_are_no_news(session: LiveSession) -> None:
    """Take an execution as it was told first."""

    def execution(_channel: Any, plain: Any, said: Execution, ts: int) -> Iterable[Event]:
        return list(plain(said, ts)) if said.exec_id.endswith(".01") else []

    _instead(session, execution=execution)


def codes_are_ends(session: LiveSession) -> None:
    """Take every code about an order for its end."""

    def error(channel: Any, _plain: Any, said: ErrorMessage, ts: int) -> Iterable[Event]:
        order = channel.speaks_of(said.req_id)
        known = session.world.orders.get(order) if order else None
        if known is None:
            return []
        from adapters.ibkr.trading.orders import _changed  # noqa: PLC0415

        return [_changed(known, "Rejected", f"{said.code}: {said.text}", 1, ts)]

    _instead(session, error=error)


def cancelled_is_final(session: LiveSession) -> None:
    """Take nothing more of an order that was said to be cancelled."""

    def execution(channel: Any, plain: Any, said: Execution, ts: int) -> Iterable[Event]:
        order = channel._find(said.perm_id, said.order_ref, said.client_id, said.order_id)
        known = session.world.orders.get(order) if order else None
        return [] if known is not None and known.state == "Cancelled" else list(plain(said, ts))

    _instead(session, execution=execution)


def one_order_has_one_id(session: LiveSession) -> None:
    """Take a second permanent id of an order for another telling of the first one."""
    channel: Any = session.client._channel
    bind = channel._bind

    def once(order: str, perm_id: int | None, order_id: int | None, ts: int) -> Iterable[Event]:
        known = channel._routes.perm_ids(order) or order in channel._bound.values()
        return () if known else bind(order, perm_id, order_id, ts)

    channel._bind = once
    only_the_first_look(session)


def retries_for_ever(session: LiveSession) -> None:
    """Try an order again however often it was tried."""
    loop_of = session._loop

    def loop(*given: Any) -> Any:
        made: Any = loop_of(*given)
        retries = made._step.decisions.retries
        due = retries.due

        def again(ts: int) -> list[tuple[str, int, str]]:
            retries._tried.clear()
            return list(due(ts))

        retries.due = again
        return made

    session._loop = loop  # type: ignore[method-assign]


def tries_again_under_the_same_name(session: LiveSession) -> None:
    """Give a further attempt the names of the first one."""
    out: Any = session.client._channel.out
    attempts = out.attempts

    def same(effects: Any, ts: int) -> list[Event]:
        import msgspec  # noqa: PLC0415

        named: list[Event] = []
        for event in attempts(effects, ts):
            first = session.world.routes.attempt(event.order)
            old = first if first is not None else event
            named.append(msgspec.structs.replace(event, ref=old.ref, broker_id=old.broker_id))
        return named

    out.attempts = same


def minds_no_exit(session: LiveSession) -> None:
    """Take a refused exit for an order like any other."""
    channel: Any = session.client._channel
    channel._exposed = lambda _child, _why, _ts: ()


def one_cancels_all(session: LiveSession) -> None:
    """Take nothing more of a group of which one order has filled: its broker sees to that."""
    filled: dict[str, str] = {}

    def execution(channel: Any, plain: Any, said: Execution, ts: int) -> Iterable[Event]:
        order = channel._find(said.perm_id, said.order_ref, said.client_id, said.order_id)
        known = session.world.orders.get(order) if order else None
        group = known.oca if known is not None else ""
        if known is None or not group or filled.setdefault(group, known.id) == known.id:
            return list(plain(said, ts))
        return []

    _instead(session, execution=execution)
