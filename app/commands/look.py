"""`positions`, `orders`, `fills`, `state`: how it stands, and how it stood at any moment."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import click

from app.commands.base import Call, verb
from app.values import when
from core.errors import UsageError

RUN_HELP = "Look at this run (id, its beginning, or `latest`) or at the `log` itself."
_OF_ADOPT = {"strategy": "strategy", "from": "source", "reason": "reason"}
_ANSWER_S = 20.0


def run_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--run`."""
    return click.option("--run", metavar="RUN|latest|log", help=RUN_HELP)(function)


def narrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--instrument` and `--strategy`."""
    function = click.option("--strategy", metavar="ID", help="Only this strategy instance.")(function)
    return click.option("--instrument", metavar="ID", help="Only this instrument.")(function)


def book_of(call: Call, run: str | None) -> Any:
    """Return the book that `--run` names, else the latest one."""
    from app.look.books import open_book  # noqa: PLC0415  # reading a log imports pyarrow: not for --help

    return open_book(call.root, run, currency=call.config.settings.replay.currency)


def same_run(run: str | None) -> str:
    """Return the option that makes the next command look at the same run."""
    return f" --run {shlex.quote(run)}" if run else ""


@verb(
    "positions",
    examples=("tape positions --all", "tape positions adopt AAPL --strategy mine --reason 'bought by hand'"),
)
@click.argument("action", metavar="[adopt]", required=False, type=click.Choice(["adopt"]))
@click.argument("instrument", metavar="[SYMBOL]", required=False)
@click.option("--all", "flat", is_flag=True, help="Also positions that were closed.")
@click.option("--strategy", metavar="ID", help="With adopt: the strategy that takes the position over.")
@click.option("--from", "source", metavar="ID", default="", help="With adopt: who has it (default: nobody).")
@click.option("--reason", metavar="TEXT", help="With adopt: goes into the log.")
@run_option
def positions(call: Call, action: str | None, instrument: str | None, **given: Any) -> None:
    """List positions with their average cost, mark, unrealised and realised profit.

    `positions adopt SYMBOL --strategy ID` hands a position that no strategy holds (opened by hand, by another
    bot, or accepted from the broker) to a strategy, at cost.
    """
    if action == "adopt":
        _adopt(call, instrument, given)
        return
    wrong = [f"--{option}" for option, name in _OF_ADOPT.items() if given[name]]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: only with tape positions adopt SYMBOL; without it all positions are listed"
        )
    _list_positions(call, given["run"], flat=given["flat"])


def _adopt(call: Call, instrument: str | None, given: dict[str, Any]) -> None:
    from app.operation.operator import ask  # noqa: PLC0415

    if not instrument or not given["strategy"]:
        raise UsageError("expected: tape positions adopt SYMBOL --strategy ID")
    if given["run"] or given["flat"]:
        raise UsageError("--run, --all: not with adopt, which writes to the log itself")
    told = ask(
        call.root,
        "adopt",
        _ANSWER_S,
        call.config.settings.replay.currency,
        instrument=instrument,
        strategy=given["strategy"],
        source=given["source"],
        reason=given["reason"] or "",
    )
    call.out.result({**told.told, "by": told.by})
    call.out.line(
        f"{given['strategy']} holds {told.told['quantity']} {instrument} more, recorded by {told.by}"
    )
    call.out.next("positions --run log")


def _list_positions(call: Call, run: str | None, *, flat: bool) -> None:
    from app.look import looking  # noqa: PLC0415
    from app.look.snapshots import snapshot  # noqa: PLC0415

    book = book_of(call, run)
    rows = looking.positions(snapshot(book), flat=flat)
    call.out.result(rows)
    call.out.line(f"positions of {book.label}")
    show_positions(call, rows)
    call.out.next("fills" + same_run(run))


def show_positions(call: Call, rows: Any) -> None:
    """Print positions as a table."""
    columns = [
        "account",
        "instrument",
        "quantity",
        "average cost",
        "mark",
        "unrealised",
        "realised",
        "strategies",
    ]
    cells = [
        (
            row.account,
            row.instrument,
            row.quantity,
            row.average_cost,
            row.mark,
            row.unrealised,
            row.realised,
            ", ".join(row.strategies),
        )
        for row in rows
    ]
    call.out.table(columns, cells) if cells else call.out.line("no positions")


@verb("orders", examples=("tape orders --working --instrument ZVXA",))
@click.option("--working", is_flag=True, help="Only orders that may still fill.")
@narrowing
@run_option
def orders(
    call: Call,
    run: str | None,
    instrument: str | None,
    strategy: str | None,
    working: bool,
) -> None:
    """List orders, each in its latest version and state, with the reason it was placed for."""
    from app.look import looking  # noqa: PLC0415
    from app.look.snapshots import snapshot  # noqa: PLC0415

    book = book_of(call, run)
    state = snapshot(book, marks=False)
    rows = looking.orders(state, strategy=strategy, instrument=instrument, working=working)
    if not rows:
        looking.check_names(book, instrument=instrument, strategy=strategy)
    call.out.result(rows)
    call.out.line(f"orders of {book.label}")
    _show_orders(call, rows, state)
    call.out.next((f"why {rows[0].id}" if rows else "events") + same_run(run))


def _show_orders(call: Call, rows: Any, state: Any) -> None:
    columns = [
        "order",
        "time",
        "instrument",
        "side",
        "quantity",
        "type",
        "price",
        "state",
        "filled",
        "reason",
    ]
    cells = [
        (
            row.id,
            when(row.created_ts, state.zone(row.instrument)),
            row.instrument,
            row.side,
            row.quantity,
            row.type,
            row.limit if row.limit is not None else row.stop,
            row.state,
            row.filled,
            row.message if row.state in {"Refused", "Rejected", "SendFailed"} else row.reason,
        )
        for row in rows
    ]
    _show_of(call, columns, cells, rows, state) if cells else call.out.line("no orders")


def _show_of(call: Call, columns: list[str], cells: list[tuple[Any, ...]], rows: Any, state: Any) -> None:
    """Print a table of orders or fills, with the account of each if there are several."""
    from app.look import looking  # noqa: PLC0415

    if len(looking.traded_by(state)) > 1:
        columns = ["account", *columns]
        cells = [(row.account, *cell) for row, cell in zip(rows, cells, strict=True)]
    call.out.table(columns, cells)


@verb("fills", examples=("tape fills --order sma_cross-1-1",))
@click.option("--order", metavar="ID", help="Only executions of this order.")
@narrowing
@run_option
def fills(
    call: Call, run: str | None, instrument: str | None, strategy: str | None, order: str | None
) -> None:
    """List executions by time, in their latest revision, with their commissions."""
    from app.look import looking  # noqa: PLC0415
    from app.look.snapshots import snapshot  # noqa: PLC0415

    book = book_of(call, run)
    state = snapshot(book, marks=False)
    rows = looking.fills(state, strategy=strategy, instrument=instrument, order=order)
    if not rows:
        looking.check_names(book, instrument=instrument, strategy=strategy)
    if order is not None and state.orders.get(order) is None:
        raise UsageError(
            f"{book.label} has no order {order!r}; next: {call.out.command('orders' + same_run(run))}"
        )
    call.out.result(rows)
    call.out.line(f"fills of {book.label}")
    columns = [
        "execution",
        "time",
        "order",
        "instrument",
        "side",
        "quantity",
        "price",
        "commission",
        "currency",
    ]
    cells = [
        (
            row.exec_id,
            when(row.ts, state.zone(row.instrument)),
            row.order,
            row.instrument,
            row.side,
            row.quantity,
            row.price,
            row.commission,
            row.commission_currency,
        )
        for row in rows
    ]
    _show_of(call, columns, cells, rows, state) if cells else call.out.line("no fills")
    call.out.next((f"why {rows[0].exec_id}" if rows else "orders") + same_run(run))


@verb("state", examples=("tape state --at 2025-07-02T10:05-04:00",))
@click.option(
    "--at",
    metavar="SEQ|TIME",
    help="As of this event (a number), or this time (2025-07-02T14:30:00Z); else the end.",
)
@run_option
def state(call: Call, run: str | None, at: str | None) -> None:
    """Show positions, working orders and accounts as they were at any moment, folded from the log.

    TIME means everything whose clock is not later. Without an offset it is UTC.
    """
    from app.look import looking  # noqa: PLC0415
    from app.look.moments import parse_moment  # noqa: PLC0415
    from app.look.snapshots import snapshot  # noqa: PLC0415

    book = book_of(call, run)
    moment = None if at is None else parse_moment(at, book)
    shot = snapshot(book, moment)
    view = looking.state_view(book, shot, at or "end")
    call.out.result(view)
    named = at if moment is None or not moment.tag else f"event {at} ({moment.tag})"
    called = when(shot.ts) if shot.ts else "without a time"
    upto = f"order events up to {shot.seq}" if shot.seq else "no order events yet"
    call.out.line(f"state of {book.label} at {named or 'its end'}: {called}, {upto}\n")
    show_positions(call, view.positions)
    call.out.line()
    _show_orders(call, view.orders, shot)
    call.out.line()
    for row in view.accounts:
        _show_account(call, row)
    _show_signals(call, view.signals, shot.ts)
    if at is not None and moment is not None and moment.seq is None:
        _note_utc(call, at, moment.ts, shot)
    to = shlex.quote(at or str(shot.seq))
    call.out.next(f"events --to {to} --limit 10{same_run(run)}" if shot.seq else "status")


def _note_utc(call: Call, at: str, ts: int, shot: Any) -> None:
    """Say what a time without an offset is at the exchange: the other verbs show its clock."""
    if re.search(r"(Z|[+-]\d\d:?\d\d)$", at.strip().partition(":")[2]):
        return
    zones = sorted({item.timezone for item in shot.sessions.instruments()} - {"UTC"})
    if zones:
        there = ", ".join(f"{when(ts, zone)} in {zone}" for zone in zones[:3])
        call.out.note(f"{at} has no offset, so it is UTC: {there}")


def _show_signals(call: Call, signals: Any, ts: int) -> None:
    if not signals:
        return
    cells = [
        (
            one.source,
            one.instrument,
            f"{one.value:g}",
            f"{one.confidence:g}",
            when(one.as_of),
            f"{when(one.expires)}{' (expired)' if one.expires <= ts else ''}",
        )
        for one in signals
    ]
    call.out.line()
    call.out.table(["signal of", "instrument", "value", "confidence", "as of", "expires"], cells)


def _show_account(call: Call, row: Any) -> None:
    unit = row.currency
    values = {
        "cash": ", ".join(f"{amount:f} {currency}" for currency, amount in row.cash.items()),
        "commissions": ", ".join(f"{amount:f} {currency}" for currency, amount in row.commissions.items()),
        f"equity {unit}": row.equity,
        f"gross exposure {unit}": row.gross,
        f"net exposure {unit}": row.net,
        "gross / equity": None if row.gross_share is None else f"{row.gross_share:.2%}",
        f"day P&L {unit}": row.day_pnl,
        "drawdown": None if row.drawdown is None else f"{row.drawdown:.3%}",
        "largest drawdown": None if row.drawdown_max is None else f"{row.drawdown_max:.3%}",
        f"peak {unit}": row.peak,
        f"loss if all stops are hit {unit}": row.risk_to_stops,
        "orders in the last minute": row.orders_last_minute,
    }
    shown = {name: "unknown" if value is None else value for name, value in values.items()}
    call.out.pairs(shown, title=f"account {row.account}")
    if row.limits:
        call.out.line()
        cells = [(item.rule, item.limit, item.value, item.headroom) for item in row.limits]
        call.out.table(["rule", "limit", "now", "headroom"], cells)
