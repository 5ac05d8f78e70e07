"""What a running session says of itself: one small struct, for the terminal and for `status`.

Read from the session's parts at the moment of asking; it changes nothing and is cheap enough to be made a few
times a second.
"""

import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psutil

from app.live.session import LiveSession
from app.live.status_file import remove_status, write_status
from app.values import to_json
from core.clock import SECOND_NS
from core.events import DataGapChanged, Event

STATUS_PERIOD_S = 1.0


class PositionTold(msgspec.Struct, frozen=True):
    """A position of the session's account, valued at its mark."""

    instrument: str
    quantity: Decimal
    average_cost: Decimal
    mark: float | None
    unrealised: Decimal | None


class OrderTold(msgspec.Struct, frozen=True):
    """An order that may still fill."""

    order: str
    strategy: str
    instrument: str
    side: str
    quantity: Decimal
    type: str
    limit: Decimal | None
    stop: Decimal | None
    filled: Decimal
    state: str


class DataTold(msgspec.Struct, frozen=True):
    """The market data of an instrument: their state, the last price, and how old it is in session time."""

    instrument: str
    state: str
    last: float | None
    age_s: float | None


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A running session. Amounts are in `currency`, times in ns; `gate` is `open` or why no order leaves.

    `gaps` are the last words about market data that were missed, oldest first.
    """

    pid: int
    session: int
    mode: str
    account: str
    host: str
    port: int
    client_id: int
    strategies: list[str]
    time: int
    started: int
    progress: float | None
    connected: bool
    link: str
    gate: str
    halt: str
    breaks: dict[str, str]
    active_positions: int
    pending_orders: int
    positions: list[PositionTold]
    orders: list[OrderTold]
    currency: str
    cash: Decimal
    equity: Decimal | None
    day_pnl: Decimal | None
    commissions: Decimal
    limits: dict[str, Any]
    data: list[DataTold]
    data_age_s: float | None
    gaps: list[DataGapChanged]
    queue: int
    inputs: int
    events: int
    journal_sync_ms: float
    journal_sync_ms_max: float
    health: dict[str, str]
    troubles: list[str]
    memory_bytes: int
    cpu_pct: float
    updated_ns: int


class Teller:
    """Makes the status of one session, and keeps its file."""

    def __init__(self, session: LiveSession, root: Path) -> None:
        self.session = session
        self._started = session.client.now
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._root = root
        self._written_s = 0.0

    def tell(self) -> LiveStatus:
        """Return the session as it stands."""
        session = self.session
        world, request, gate, client = session.world, session.request, session.gate, session.client
        account, rules, now = request.account, request.rules, session.link.now
        currency, limits = rules.currency, rules.limits
        positions = [self._position(p) for p in world.positions.open_positions() if p.account == account]
        orders = [_order(order) for order in world.orders.working() if order.account == account]
        data = [self._data(item.instrument, now) for item in client.wanted]
        ages = [item.age_s for item in data if item.age_s is not None]
        with self._process.oneshot():
            memory, cpu = self._process.memory_info().rss, self._process.cpu_percent()
        return LiveStatus(
            pid=os.getpid(),
            session=session.session,
            mode=request.mode,
            account=account,
            host=request.link.host,
            port=request.link.port,
            client_id=request.link.client_id,
            strategies=[one.id for one in session.seated],
            time=now,
            started=self._started,
            progress=self._progress(now),
            connected=gate.link == "up",
            link="up" if gate.link == "up" else gate.link_reason,
            gate=gate.closed("") or "open",
            halt=gate.halt,
            breaks=gate.breaks,
            active_positions=len(positions),
            pending_orders=len(orders),
            positions=positions,
            orders=orders,
            currency=currency,
            cash=world.account.cash(account, currency),
            equity=world.account.equity(account, currency),
            day_pnl=world.risk.day_pnl(account, currency),
            commissions=world.account.commissions(account, currency),
            limits={name: getattr(limits, name) for name in limits.__struct_fields__},
            data=data,
            data_age_s=min(ages) if ages else None,
            gaps=client.gaps,
            queue=client.waiting,
            inputs=session.inputs,
            events=session.last_seq,
            journal_sync_ms=round(session.recorder.sync_ms, 3),
            journal_sync_ms_max=round(session.recorder.sync_ms_max, 3),
            health={name: str(state) for name, state in session.health.items()},
            troubles=session.troubles.words(),
            memory_bytes=memory,
            cpu_pct=cpu,
            updated_ns=time.time_ns(),
        )

    def recent(self) -> list[tuple[int, Event]]:
        """Return the last events that are not market data, newest last."""
        return list(self.session.recorder.recent)

    def keep_file(self) -> None:
        """Write the status file, at most once a second."""
        now = time.monotonic()
        if now - self._written_s >= STATUS_PERIOD_S:
            self._written_s = now
            write_status(self._root, to_json(self.tell()))

    def close(self) -> None:
        """Remove the status file."""
        remove_status(self._root)

    def _progress(self, now: int) -> float | None:
        day = self.session.request.day
        if day is None:
            return None
        return min(1.0, max(0.0, (now - day[0]) / (day[1] - day[0])))

    def _position(self, held: Any) -> PositionTold:
        world = self.session.world
        mark = world.quotes.mark(held.instrument)
        unrealised = None
        if mark is not None:
            unrealised = world.positions.unrealised(held.account, held.instrument, mark)
        return PositionTold(held.instrument, held.quantity, held.average_cost, mark, unrealised)

    def _data(self, instrument: str, now: int) -> DataTold:
        last = self.session.world.quotes.book(instrument).last
        age = None if last is None else max(0.0, (now - last.ts) / SECOND_NS)
        state = self.session.gate.data.get(instrument, "none yet" if last is None else "live")
        return DataTold(instrument, state, None if last is None else last.price, age)


def _order(order: Any) -> OrderTold:
    return OrderTold(
        order.id,
        order.strategy,
        order.instrument,
        order.side,
        order.quantity,
        order.type,
        order.limit,
        order.stop,
        order.filled,
        order.state,
    )
