"""`live`: strategies against a broker, recorded as they trade."""

from typing import Any

import click

from app.commands.base import Call, strategy_options, verb


@verb(
    "live",
    examples=(
        "tape live --demo --speed 60",
        "tape live --account DU1234567 --strategy mine.py:Mine --set instrument=AAPL",
    ),
)
@click.argument("date", metavar="[DATE]", required=False)
@click.option(
    "--demo", is_flag=True, help="Trade a recorded date against a simulated gateway; works offline."
)
@click.option(
    "--speed",
    default=None,
    metavar="N|max",
    help="In a demo: so many times real time, or as fast as it goes (default).",
)
@click.option("--observe", is_flag=True, help="Decide and record, but send nothing.")
@strategy_options
@click.option("--account", metavar="ID", help="Trade this account; a real one must be named here.")
@click.option("--until", metavar="TIME", help="Stop at this time (ISO 8601).")
def live(call: Call, date: str | None, demo: bool, **given: Any) -> int:
    """Trade live at the configured TWS or Gateway, until stopped.

    With --demo, a recorded DATE (default: the built-in sample) plays the market. Ctrl-C stops in order.
    A real account needs [trading] mode = "live" and --account.
    """
    from app.live import running  # noqa: PLC0415
    from app.live.view import watching  # noqa: PLC0415
    from app.signals.weighing import neglected  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    if date is not None and not demo:
        raise UsageError(f"{date}: only a demo has a date; did you mean tape live --demo {date}?")
    asked = _asked(given)
    what = date or running.DEMO_DATE
    if demo:
        call.make_sample(what)
    for one in neglected(call.config.settings.signals):
        call.out.note(str(one))
    with watching(call.out.verbosity) as look:
        if demo:
            told = running.run_demo(call.root, call.config, what, asked, look=look, say=call.out.note)
        else:
            told = running.run_broker(call.root, call.config, asked, look=look)
    return _show(call, told)


def _asked(given: dict[str, Any]) -> Any:
    from app.gateway.request import parse_speed  # noqa: PLC0415
    from app.live.ending import deadline  # noqa: PLC0415
    from app.live.running import LiveAsked  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    speed = None if given["speed"] in (None, "max") else parse_speed(given["speed"])
    if speed == "step":
        raise UsageError("--speed step: expected a factor such as 1 or 60, or max")
    return LiveAsked(
        strategies=given["strategies"],
        settings=given["settings"],
        account=given["account"],
        observe=given["observe"],
        until_ts=deadline(given["until"]),
        speed=None if speed is None else float(speed),
    )


def _show(call: Call, told: Any) -> int:
    from app.commands.runs import show_run  # noqa: PLC0415

    call.out.line(f"session {told.session}, replayed from the log with the same decisions")
    show_run(call, told.run, told.figures())
    outcome = told.outcome
    for instrument in outcome.breaks:
        call.out.note(f"{instrument} differs from the broker's book: closed until tape accept --reason ...")
    if outcome.halt:
        call.out.note(f"trading is halted ({outcome.halt}): no order leaves until tape resume")
    return int(told.exit_code)
