"""`gateway`: a recorded day served to any client of Interactive Brokers' API."""

from pathlib import Path
from typing import Any

import click

from app.commands.base import AMOUNT, Call, Whole, verb


@verb("gateway", examples=("tape gateway 2025-07-02 --port 4002 --speed 60",))
@click.argument("date", metavar="DATE")
@click.option(
    "--port",
    default=4002,
    show_default=True,
    metavar="N",
    type=Whole(0, 65535),
    help="TCP port; 0 takes a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to bind.")
@click.option(
    "--speed",
    default="1",
    show_default=True,
    metavar="N|max|step",
    help="Times real time, as fast as it is read, or one event for each request of the time.",
)
@click.option(
    "--start",
    default="",
    metavar="open|begin|HH:MM",
    help="Where the day begins (default: the open; the begin in lock step).",
)
@click.option("--faults", "script", default="", metavar="FILE|TEXT", help="What is to go wrong, and when.")
@click.option(
    "--server-version",
    default=200,
    show_default=True,
    metavar="N",
    type=Whole(0),
    help="Highest protocol version to speak.",
)
@click.option("--account", default="DU1000001", show_default=True, metavar="ID", help="Name of the account.")
@click.option("--cash", metavar="AMOUNT", help="Starting cash of a new book.")
@click.option(
    "--balance",
    "balances",
    multiple=True,
    metavar="CUR=AMOUNT@RATE",
    help="Starting cash in another currency, and its rate; repeatable.",
)
@click.option("--latency-ms", type=AMOUNT, help="The day's time between an order and its arrival.")
@click.option("--partial-fills/--full-fills", default=None, help="Whether the displayed size limits a fill.")
@click.option(
    "--history",
    default=1,
    show_default=True,
    metavar="N",
    type=Whole(0, 250),
    help="Sessions before DATE to keep in full; bars of a day reach further.",
)
@click.option("--book", metavar="DIR", help="Where orders are kept (default: beside the log).")
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input ends.")
@click.option("--new", "fresh", is_flag=True, help="Set an older book aside and begin a new one.")
def gateway(call: Call, date: str, **options: Any) -> None:
    """Serve a recorded DATE as a simulated IB Gateway, until stopped.

    Any client of the TWS API can connect, stream, ask for history and trade. Orders meet the day's prices
    by the rules of a replay. The book survives the gateway: started again, it goes on from there.
    """
    from app.gateway.opening import open_gateway  # noqa: PLC0415
    from app.lifeline import when_starter_ends  # noqa: PLC0415

    request = _request(call, date, options)
    call.make_sample(date)
    with open_gateway(call.root, request) as opened:
        server = opened.server
        told = {
            "host": server.host,
            "port": server.port,
            "account": request.account,
            "date": date,
            "speed": request.speed,
            "book": str(opened.book),
            "resumed": opened.resumed,
            "instruments": list(opened.instruments),
        }
        call.out.result(told)
        begun = "goes on" if opened.resumed else "new"
        call.out.line(f"gateway of {date} on {server.host}:{server.port}, speed {request.speed}")
        call.out.line(f"account {request.account}, {', '.join(opened.instruments)}")
        call.out.line(f"book {opened.book} ({begun})")
        call.out.flush()
        call.out.note("connect a client of the TWS API; stop with Ctrl-C")
        if options["with_parent"]:
            when_starter_ends(server.stop)
        server.run()


def _request(call: Call, date: str, options: dict[str, Any]) -> Any:
    from app.gateway.request import GatewayRequest, parse_balance, parse_speed, read_faults  # noqa: PLC0415
    from app.replay.period import parse_period  # noqa: PLC0415
    from app.replay.request import cash  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    period = parse_period(date)
    if period.first != period.last:
        raise UsageError(f"{date}: a gateway serves one day; give one DATE")
    section = call.config.settings.replay
    return GatewayRequest(
        date=date,
        host=options["host"],
        port=options["port"],
        speed=parse_speed(options["speed"]),
        start=options["start"],
        faults=read_faults(options["script"]),
        server_version=options["server_version"],
        account=options["account"],
        book=None if options["book"] is None else Path(options["book"]),
        fresh=options["fresh"],
        history=options["history"],
        cash=section.cash if options["cash"] is None else cash(options["cash"]),
        currency=section.currency,
        balances=tuple(map(parse_balance, options["balances"])),
        commission=section.commission,
        latency_ms=section.latency_ms if options["latency_ms"] is None else options["latency_ms"],
        partial_fills=(
            section.partial_fills if options["partial_fills"] is None else options["partial_fills"]
        ),
    )
