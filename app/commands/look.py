"""`positions`, `orders`, `fills`, `events`, `state`, `why`: what happened, and how it stood at any moment."""

import shlex
import time
from collections.abc import Callable
from typing import Any

import click

from app.commands.base import Call, verb
from app.output import when
from core.errors import UsageError

RUN_HELP = "Look at this run (id, its beginning, or `latest`) or at the `log` itself."
_FLUSHED = 1_000
_POLL_S = 0.2
_ANSWER_S = 20.0
_LIMIT = 50
_VALUE_MAX = 100
"""A table of events cuts longer values, such as a session's whole configuration; `--json` has all of them."""


def _run_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--run", metavar="RUN|latest|log", help=RUN_HELP)(function)


def _narrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--strategy", metavar="ID", help="Only this strategy instance.")(function)
    return click.option("--instrument", metavar="ID", help="Only this instrument.")(function)


def _book(call: Call, run: str | None) -> Any:
    from app.look.books import open_book  # noqa: PLC0415  # reading a log imports pyarrow: not for --help

    return open_book(call.root, run, currency=call.config.settings.replay.currency)


def _same(run: str | None) -> str:
    return f" --run {shlex.quote(run)}" if run else ""


@verb("positions")
@click.argument("action", metavar="[adopt]", required=False, type=click.Choice(["adopt"]))
@click.argument("instrument", metavar="[SYMBOL]", required=False)
@click.option("--all", "flat", is_flag=True, help="Also positions that were closed.")
@click.option("--strategy", metavar="ID", help="With adopt: the strategy that takes the position over.")
@click.option("--from", "source", metavar="ID", default="", help="With adopt: who has it (default: nobody).")
@click.option("--reason", metavar="TEXT", help="With adopt: goes into the log.")
@_run_option
def positions(call: Call, action: str | None, instrument: str | None, **given: Any) -> None:
    """List positions with their average cost, mark, unrealised and realised profit.

    `positions adopt SYMBOL --strategy ID` hands a position that no strategy holds (opened by hand, by another
    bot, or accepted from the broker) to a strategy, at cost.
    """
    if action == "adopt":
        _adopt(call, instrument, given)
        return
    _list_positions(call, given["run"], flat=given["flat"])


def _adopt(call: Call, instrument: str | None, given: dict[str, Any]) -> None:
    from app.operation.operator import ask  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    if not instrument or not given["strategy"]:
        raise UsageError("expected: tape positions adopt SYMBOL --strategy ID")
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
    from app.look.books import snapshot  # noqa: PLC0415

    book = _book(call, run)
    rows = looking.positions(snapshot(book), flat=flat)
    call.out.result(rows)
    call.out.line(f"positions of {book.label}")
    show_positions(call, rows)
    call.out.next("fills" + _same(run))


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


@verb("orders")
@click.option("--working", is_flag=True, help="Only orders that may still fill.")
@_narrowing
@_run_option
def orders(
    call: Call,
    run: str | None,
    instrument: str | None,
    strategy: str | None,
    working: bool,
) -> None:
    """List orders, each in its latest version and state, with the reason it was placed for."""
    from app.look import looking  # noqa: PLC0415
    from app.look.books import snapshot  # noqa: PLC0415

    book = _book(call, run)
    state = snapshot(book, marks=False)
    rows = looking.orders(state, strategy=strategy, instrument=instrument, working=working)
    if not rows:
        looking.check_names(book, instrument=instrument, strategy=strategy)
    call.out.result(rows)
    call.out.line(f"orders of {book.label}")
    _show_orders(call, rows, state)
    call.out.next((f"why {rows[0].id}" if rows else "events") + _same(run))


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
    call.out.table(columns, cells) if cells else call.out.line("no orders")


@verb("fills")
@click.option("--order", metavar="ID", help="Only executions of this order.")
@_narrowing
@_run_option
def fills(
    call: Call, run: str | None, instrument: str | None, strategy: str | None, order: str | None
) -> None:
    """List executions by time, in their latest revision, with their commissions."""
    from app.look import looking  # noqa: PLC0415
    from app.look.books import snapshot  # noqa: PLC0415

    book = _book(call, run)
    state = snapshot(book, marks=False)
    rows = looking.fills(state, strategy=strategy, instrument=instrument, order=order)
    if not rows:
        looking.check_names(book, instrument=instrument, strategy=strategy)
    if order is not None and state.orders.get(order) is None:
        raise UsageError(
            f"{book.label} has no order {order!r}; next: {call.out.command('orders' + _same(run))}"
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
    call.out.table(columns, cells) if cells else call.out.line("no fills")
    call.out.next((f"why {rows[0].exec_id}" if rows else "orders") + _same(run))


@verb("state")
@click.option(
    "--at", metavar="SEQ|TIME", help="As of this event, or this time (2025-07-02T14:30:00Z); else the end."
)
@_run_option
def state(call: Call, run: str | None, at: str | None) -> None:
    """Show positions, working orders and accounts as they were at any moment, folded from the log.

    TIME means everything whose clock is not later. Without an offset it is UTC.
    """
    from app.look import looking  # noqa: PLC0415
    from app.look.books import parse_moment, snapshot  # noqa: PLC0415

    book = _book(call, run)
    moment = parse_moment(at, book) if at else None
    shot = snapshot(book, moment)
    view = looking.state_view(book, shot, at or "end")
    call.out.result(view)
    call.out.line(
        f"state of {book.label} at {at or 'its end'}: {when(shot.ts)}, order events up to {shot.seq}\n"
    )
    show_positions(call, view.positions)
    call.out.line()
    _show_orders(call, view.orders, shot)
    call.out.line()
    for row in view.accounts:
        _show_account(call, row)
    _show_signals(call, view.signals, shot.ts)
    call.out.next(f"events --to {at or shot.seq} --limit 10{_same(run)}" if shot.seq else "status")


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


@verb("why")
@click.argument("name", metavar="ID")
@_run_option
def why(call: Call, run: str | None, name: str) -> None:
    """Show the chain that an order, execution or seq ID belongs to: from the tick to the commission.

    Example: tape why F-1
    """
    from app.look import looking  # noqa: PLC0415
    from app.look.chain import chain  # noqa: PLC0415

    book = _book(call, run)
    links = chain(book, name)
    rows = [{"role": link.role, **looking.event_row(link.entry, when(link.entry.event.ts))} for link in links]
    call.out.result({"id": name, "book": book.label, "chain": rows})
    call.out.line(f"{name} in {book.label}\n")
    for link in links:
        entry = link.entry
        call.out.line(f"{link.role:<11} {when(entry.event.ts):<31} seq {entry.seq}")
        call.out.line(f"            {looking.summary(entry.event)}")
    call.out.next(f"state --at {links[-1].entry.seq}" + _same(run))


@verb("events")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this type (`filled`); repeat for more."
)
@_narrowing
@click.option("--from", "first", metavar="SEQ|TIME", help="From this seq or time on.")
@click.option("--to", "last", metavar="SEQ|TIME", help="Up to and with this seq or time.")
@click.option(
    "--limit", default=_LIMIT, show_default=True, type=click.IntRange(min=0), help="At most so many; 0: all."
)
@click.option(
    "--follow", is_flag=True, help="Wait for more, until interrupted; with --json one object a line."
)
@_run_option
def events(
    call: Call,
    run: str | None,
    types: tuple[str, ...],
    instrument: str | None,
    strategy: str | None,
    first: str | None,
    last: str | None,
    limit: int,
    follow: bool,
) -> None:
    """List events in the order of the log: the first ones that match."""
    from itertools import islice  # noqa: PLC0415

    from app.look import looking  # noqa: PLC0415

    book = _book(call, "log" if follow else run)
    chosen = looking.EventFilter(
        types=looking.event_types(types),
        instrument=instrument,
        strategy=strategy,
        **looking.bounds(first, last),
    )
    if follow:
        _follow(call, book, chosen, limit)
        return
    found = list(islice(looking.events(book, chosen), limit + 1 if limit else None))
    shown = found[:limit] if limit else found
    if not found:
        looking.check_names(book, instrument=instrument, strategy=strategy)
    rows = [looking.event_row(entry, when(entry.event.ts)) for entry in shown]
    call.out.result(rows)
    cells = [
        (row["seq"], row["time"], row["type"], looking.summary(e.event, value_max=_VALUE_MAX))
        for row, e in zip(rows, shown, strict=True)
    ]
    call.out.table(["seq", "time", "type", "event"], cells) if cells else call.out.line("no such events")
    if len(found) > len(shown):
        narrowing = {"--instrument": instrument, "--strategy": strategy, "--run": run, "--to": last}
        narrow = [part for name in types for part in ("--type", name)]
        narrow += [part for option, value in narrowing.items() if value for part in (option, value)]
        narrow += [] if limit == _LIMIT else ["--limit", str(limit)]
        rest = shlex.join(["events", *narrow, "--from", str(found[limit].seq)])
        call.out.next(rest, why="there are more; ")
    else:
        call.out.next("sql 'SELECT type, count(*) FROM events GROUP BY type'")


def _follow(call: Call, book: Any, chosen: Any, limit: int) -> None:
    """Print entries as they come: a batch at a time, each batch at once."""
    from itertools import islice  # noqa: PLC0415

    from app.look import looking  # noqa: PLC0415

    def wait() -> bool:
        time.sleep(_POLL_S)
        return bool(book.log.last_seq() < chosen.last_seq)

    line = looking.json_line if call.out.as_json else _text_line
    followed = book.log.follow(chosen.first_seq, wait, chosen.selection())
    entries = (filter(chosen.accepts, batch) for batch in followed)
    left = limit or None
    for batch in entries:
        while lines := [line(entry, when(entry.event.ts)) for entry in islice(batch, _left(left))]:
            print("\n".join(lines), flush=True)
            left = left and left - len(lines)
            if left == 0:
                return


def _left(limit: int | None) -> int:
    return _FLUSHED if limit is None else min(limit, _FLUSHED)


def _text_line(entry: Any, time_: str) -> str:
    from app.look import looking  # noqa: PLC0415

    row = looking.event_row(entry, time_)
    return f"{entry.seq}  {time_}  {row['type']}  {looking.summary(entry.event)}"
