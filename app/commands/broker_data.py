"""`fetch` and `record`: market data from the broker into the log. `preview`: what an order would cost."""

import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import click

from app.commands.base import Call, Whole, verb
from app.values import when


def _connection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the broker listens."""
    for option in (
        click.option("--client-id", type=Whole(0), metavar="N", help="Connect as this client."),
        click.option("--port", type=Whole(1, 65535), metavar="N", help="Port of TWS or Gateway."),
        click.option("--host", metavar="ADDRESS", help="Where TWS or Gateway runs (default: [ibkr] host)."),
    ):
        function = option(function)
    return function


def _link(call: Call, given: dict[str, Any]) -> Any:
    import msgspec  # noqa: PLC0415

    from app.live.linking import link_of  # noqa: PLC0415

    chosen = {key: given[key] for key in ("host", "port", "client_id") if given[key] is not None}
    return msgspec.structs.replace(link_of(call.config.settings.ibkr), **chosen)


def _day(text: str, option: str) -> date:
    from core.errors import UsageError  # noqa: PLC0415

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: expected a date such as 2025-07-02") from error


@verb("fetch", examples=("tape fetch AAPL --from 2025-07-01 --to 2025-07-03 --bar 5min",))
@click.argument("symbol", metavar="SYMBOL")
@click.option("--from", "first", required=True, metavar="DATE", help="First session date.")
@click.option("--to", "last", metavar="DATE", help="Last session date (default: the first).")
@click.option("--bar", default="1min", show_default=True, metavar="SIZE", help="5sec, 1min, 1hour, 1day, …")
@click.option(
    "--what",
    "kind",
    type=click.Choice(("trades", "quotes")),
    default="trades",
    show_default=True,
    help="Bars of trades, or of bids and asks.",
)
@click.option("--all-hours", is_flag=True, help="Bars before and after regular hours too.")
@click.option("--source", metavar="NAME", help="Not the broker but this data source: yfinance, or a plug-in.")
@click.option(
    "--exchange", metavar="NAME", help="With --source: where SYMBOL trades, if the log does not know."
)
@_connection
def fetch(call: Call, symbol: str, first: str, last: str | None, **options: Any) -> int:
    """Bring historical bars of SYMBOL from the broker, or another source, into the log.

    The broker's limits on requests are kept. What the log holds is not asked for again, so an interrupted
    fetch goes on when it is run again. A signal, or the log's kill file, ends it after the session at hand.
    """
    if options["source"] is not None:
        _fetch_from(call, symbol, first, last or first, options)
        return 0
    if options["exchange"] is not None:
        raise click.UsageError("--exchange: only with --source; the broker knows where SYMBOL trades")
    from app.data.fetching import FetchRequest, run_fetch  # noqa: PLC0415
    from app.live.ending import Ending, StopAsked  # noqa: PLC0415
    from app.live.preparing import place_of  # noqa: PLC0415
    from app.live.signals import stopping  # noqa: PLC0415

    request = FetchRequest(
        symbol=symbol,
        first=_day(first, "--from"),
        last=_day(last or first, "--to"),
        bar=options["bar"],
        kind=options["kind"],
        regular_hours=not options["all_hours"],
    )
    link = _link(call, options)
    with stopping(lambda: None) as asked, call.out.progress("sessions") as advance:
        ending = Ending(call.root, asked)
        try:
            fetched = run_fetch(call.root, place_of(link), request, advance, ending)
        except StopAsked:
            if asked.number:
                return asked.exit_code
            raise
    _show(call, fetched)
    return ending.exit_code if fetched.ended else 0


def _fetch_from(call: Call, symbol: str, first: str, last: str, options: dict[str, Any]) -> None:
    from app.data.importing import outcome  # noqa: PLC0415
    from app.data.source_fetching import SourceRequest, fetch_from  # noqa: PLC0415

    wrong = [name for name in ("host", "port", "client_id") if options[name] is not None]
    wrong += ["all_hours"] * options["all_hours"] + ["what"] * (options["kind"] != "trades")
    if wrong:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise click.UsageError(f"{named}: not with --source")
    request = SourceRequest(
        source=options["source"],
        symbol=symbol,
        first=_day(first, "--from"),
        last=_day(last, "--to"),
        bar=options["bar"],
        exchange=options["exchange"],
    )
    with call.out.progress("rows") as advance:
        imported = fetch_from(call.root, request, advance)
    result = imported.result
    call.out.result(outcome(imported))
    call.out.pairs(
        {"bars": f"{result.accepted:,}", "known": f"{result.duplicates:,}", "rejected": result.rejected},
        title=f"fetched into {call.root}: {symbol} as {result.feed}",
    )
    call.out.next("status")


def _show(call: Call, fetched: Any) -> None:
    from app.data.importing import Imported, outcome  # noqa: PLC0415

    result = fetched.result
    told = outcome(Imported(result, fetched.recovered))
    names = ("asked", "held", "empty", "unfinished", "left", "ended")
    dates = {name: getattr(fetched, name) for name in names}
    call.out.result({"instrument": fetched.instrument, **told, **dates})
    call.out.pairs(
        {
            "bars": f"{result.accepted:,}",
            "sessions asked for": len(fetched.asked),
            "in the log before": len(fetched.held),
            "without data": ", ".join(fetched.empty) or "none",
            "not ended yet": ", ".join(fetched.unfinished) or "none",
            **({f"left ({fetched.ended})": ", ".join(fetched.left)} if fetched.left else {}),
            "rejected": result.rejected,
            "gaps": len(result.gaps),
        },
        title=f"fetched into {call.root}: {fetched.instrument} as {result.feed}",
    )
    if result.gaps:
        holes = [(g.kind, g.date, when(g.begin), when(g.end), g.missing) for g in result.gaps[:10]]
        call.out.table(["gap of", "date", "from", "to", "missing"], holes)
    call.out.next("status")


@verb("record", examples=("tape record AAPL MSFT --until 2025-07-02T16:00-04:00",))
@click.argument("symbols", metavar="[SYMBOL]...", nargs=-1)
@click.option("--until", metavar="TIME", help="Stop at this time (ISO 8601).")
@_connection
def record(call: Call, symbols: tuple[str, ...], until: str | None, **options: Any) -> int:
    """Record live market data of SYMBOLs (default: the watchlist), until stopped.

    No strategy runs, no order leaves, and the account is not looked at. A signal, or the log's kill file,
    ends it in order.
    """
    from app.live.ending import Ending, StopAsked, deadline  # noqa: PLC0415
    from app.live.signals import stopping  # noqa: PLC0415
    from app.live.taping import Tape, run_tape  # noqa: PLC0415

    until_ts = deadline(until, time.time_ns())
    link = _link(call, options)
    names = symbols or tuple(call.config.settings.trading.watchlist)
    with stopping(lambda: None) as asked, call.out.progress("events") as advance:
        ending = Ending(call.root, asked)

        def watch(tape: Tape) -> None:
            advance(sum(tape.counts.values()), None)

        try:
            taped = run_tape(
                call.root,
                link,
                call.config,
                names,
                until_ts=until_ts,
                watch=watch,
                ending=ending,
            )
        except StopAsked:
            if asked.number:
                return asked.exit_code
            raise
    call.out.result(
        {name: getattr(taped, name) for name in ("session", "first_seq", "last_seq", "events", "without")}
    )
    call.out.table(["instrument", "events", "no data because"], _rows(taped))
    call.out.next("status")
    return ending.exit_code


@verb("preview", examples=("tape preview AAPL BUY 100 --limit 180",))
@click.argument("symbol", metavar="SYMBOL")
@click.argument("side", metavar="SIDE", type=click.Choice(("BUY", "SELL"), case_sensitive=False))
@click.argument("quantity", metavar="QUANTITY")
@click.option("--limit", metavar="PRICE", help="A limit order at this price.")
@click.option("--stop", metavar="PRICE", help="A stop order at this price.")
@click.option("--account", metavar="ID", help="Which account, if the login has several.")
@_connection
def preview(call: Call, symbol: str, side: str, quantity: str, **options: Any) -> None:
    """Show what an order would do to margins and what it would cost. Nothing is ordered."""
    from app.live.preparing import place_of  # noqa: PLC0415
    from app.operation.previewing import PreviewRequest, run_preview  # noqa: PLC0415

    request = PreviewRequest(
        symbol=symbol,
        side=side.upper(),
        quantity=_number(quantity, "QUANTITY"),
        limit=_number(options["limit"], "--limit") if options["limit"] else None,
        stop=_number(options["stop"], "--stop") if options["stop"] else None,
        account=options["account"] or call.config.settings.ibkr.account,
    )
    figures = run_preview(call.root, place_of(_link(call, options)), request)
    call.out.result(figures)
    call.out.pairs(figures, title="a preview: nothing was ordered")


def _number(text: str, name: str) -> Decimal:
    from core.errors import UsageError  # noqa: PLC0415
    from core.money import decimal_of  # noqa: PLC0415

    try:
        return decimal_of(text)
    except ValueError as error:
        raise UsageError(f"{name} {text}: {error}") from error


def _rows(taped: Any) -> list[tuple[str, str, str]]:
    names = dict.fromkeys([*taped.events, *taped.without])
    return [(n, f"{taped.events.get(n, 0):,}", taped.without.get(n, "")) for n in names]
