"""Where a replay starts from: the positions and cash of the log at its beginning, or of a run at its end.

What is carried is part of the replay's options, so of its identity: the same replay again needs neither the
log's past nor the run. Open orders come along (`app.replay.carrying_orders`). Reads, and writes nothing.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from app.look.books import Book, open_book
from app.look.moments import Moment
from app.look.snapshots import Snapshot, snapshot
from app.replay.carrying_orders import open_orders
from app.replay.planning import Plan
from core.clock import iso
from core.errors import UsageError
from core.events import (
    Bar,
    CashAdjusted,
    Event,
    OrderIntended,
    OrderStatus,
    OrderStatusChanged,
    PositionAdjusted,
)
from core.money import money


class CarriedPosition(msgspec.Struct, frozen=True):
    """A holding of one strategy (empty: of none); `mark` is its last price, which was at `mark_ts`."""

    strategy: str
    instrument: str
    quantity: Decimal
    average_cost: Decimal
    mark: float | None = None
    mark_ts: int = 0


class Carried(msgspec.Struct, frozen=True):
    """What a replay begins with. `source` says whose it was, `ts` until when; `adjusted` is as of its prices.

    `equity` is in the base currency and `None` if a price or rate was unknown. `orders` are at work when the
    replay begins; of the open ones, `left` says which are not, and why.
    """

    source: str
    ts: int
    positions: tuple[CarriedPosition, ...]
    cash: tuple[tuple[str, Decimal], ...]
    equity: Decimal | None
    adjusted: tuple[str, ...] = ()
    orders: tuple[OrderIntended, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def instruments(self) -> tuple[str, ...]:
        """What is held, or waited for by an order."""
        held = {position.instrument for position in self.positions}
        return tuple(sorted(held | {order.instrument for order in self.orders}))

    def events(self, ts: int, account: str) -> list[Event]:
        """Return what a run records of it at its beginning."""
        reason = f"carried from {self.source}"
        found: list[Event] = [
            CashAdjusted(ts, account, currency, amount, reason) for currency, amount in self.cash
        ]
        for p in self.positions:
            who = (account, p.strategy, p.instrument)
            found.append(PositionAdjusted(ts, *who, p.quantity, p.average_cost, reason))
        for o in self.orders:
            how: OrderStatus = "PreSubmitted" if o.parent else "Submitted"
            found += [
                o,
                OrderStatusChanged(ts, o.order, 1, account, o.strategy, o.instrument, how, reason),
            ]
        return found

    def marks(self) -> list[Bar]:
        """Return the last prices as bars of no length: positions have a value before their next price."""
        known = {p.instrument: p for p in self.positions if p.mark is not None}
        return [
            Bar(p.mark_ts, p.mark_ts, "carried", name, mark, mark, mark, mark, 0.0)
            for name, p in sorted(known.items())
            if (mark := p.mark) is not None
        ]


def carried(root: Path, source: str, plan: Plan, currency: str, account: str) -> Carried:
    """Read what `source` (`log`, `latest` or a run) leaves to a replay of `plan`.

    Raises `UsageError` if it ends after the replay begins, or if not one account holds something;
    `DataMissing` for an unknown run.
    """
    book = open_book(root, source, currency=currency)
    if source == "log":
        state = snapshot(book, Moment(None, plan.begin_ts - 1))
        label, ts = f"the log at {iso(plan.begin_ts)}", plan.begin_ts
    else:
        state = snapshot(book)
        label, ts = book.label, state.ts
        if ts > plan.begin_ts:
            raise UsageError(
                f"--carry {source}: {label} ends at {iso(ts)}, after {plan.period} begins at "
                f"{iso(plan.begin_ts)}; carry a run of days before it, or replay later ones"
            )
    whose = _account(source, state)
    held = _held(state, whose) if whose else ()
    cash = tuple((c, state.account.cash(whose, c)) for c in state.account.currencies(whose))
    if not whose or not (held or any(amount for _, amount in cash)):
        raise UsageError(f"--carry {source}: {label} holds neither positions nor cash; leave --carry out")
    equity = state.account.equity(whose, currency)
    own = [order for order in state.orders.orders() if order.account == whose]
    simulated = book.run is not None and "session" not in book.run.summary
    orders, left = open_orders(own, state.sessions, plan.begin_ts, label, account, simulated=simulated)
    worth = None if equity is None else money(equity)
    return Carried(label, ts, held, cash, worth, _adjusted(book), tuple(orders), tuple(left))


def check_prices(carried: Carried, plan: Plan) -> None:
    """Raise `UsageError` where prices of the replay are adjusted and those of the positions were not."""
    now = {name for part in plan.parts for name in part.adjusted}
    for name in carried.instruments:
        if (name in now) != (name in carried.adjusted):
            was, wanted = ("raw", "adjusted") if name in now else ("adjusted", "raw")
            raise UsageError(
                f"--carry: {name} is held or ordered at {was} prices by {carried.source}, and this "
                f"replay's are {wanted}; next: --prices {was}"
            )


def _account(source: str, state: Snapshot) -> str:
    accounts = [
        account
        for account in state.account.accounts()
        if any(p.account == account for p in state.positions.open_positions())
        or any(state.account.cash(account, c) for c in state.account.currencies(account))
    ]
    if len(accounts) > 1:
        raise UsageError(
            f"--carry {source}: {len(accounts)} accounts hold something ({', '.join(accounts)}), and a "
            f"replay has one"
        )
    return accounts[0] if accounts else ""


def _held(state: Snapshot, account: str) -> tuple[CarriedPosition, ...]:
    found: list[CarriedPosition] = []
    for position in state.positions.open_positions():
        instrument = position.instrument
        mark, ts = state.quotes.mark(instrument), _mark_ts(state, instrument)
        for strategy in state.positions.strategies(account, instrument):
            part = state.positions.position(account, instrument, strategy)
            if part.quantity:
                found.append(
                    CarriedPosition(strategy, instrument, part.quantity, part.average_cost, mark, ts)
                )
    return tuple(found)


def _mark_ts(state: Snapshot, instrument: str) -> int:
    book = state.quotes.book(instrument)
    return max([e.ts for e in (book.last, book.bar) if e is not None], default=0)


def _adjusted(book: Book) -> tuple[str, ...]:
    parts: Sequence[dict[str, list[str]]] = book.run.summary.get("parts", []) if book.run else []
    return tuple(sorted({name for part in parts for name in part.get("adjusted", [])}))
