"""`live`: strategies against a broker, recorded as they trade."""

from typing import Any

import click

from app.commands.base import Call, verb


@verb("live")
@click.argument("date", metavar="[DATE]", required=False)
@click.option(
    "--demo", is_flag=True, help="Trade a recorded date against a simulated gateway; works offline."
)
@click.option(
    "--strategy", "names", multiple=True, metavar="NAME|FILE.py:Class", help="Run this; may be repeated."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter; NAME.KEY=VALUE for one strategy.",
)
@click.option("--until", metavar="TIME", help="Stop at this time (ISO 8601).")
def live(call: Call, date: str | None, demo: bool, names: tuple[str, ...], **given: Any) -> None:
    """Trade live. With --demo, a recorded DATE (default: the built-in sample) plays the market."""
    from app import running  # noqa: PLC0415
    from app.books import parse_time  # noqa: PLC0415
    from app.live.running import DEMO_DATE, run_demo  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    if not demo:
        raise UsageError("only --demo so far")
    what = date or DEMO_DATE
    if running.needs_sample(call.root, what):
        from app.data import import_builtin_sample  # noqa: PLC0415

        call.out.note(f"no log at {call.root}: making it from the built-in sample (synthetic data)")
        with call.out.progress("importing") as advance:
            import_builtin_sample(call.root, advance)
    request = running.ReplayRequest(what=what, strategies=names, settings=given["settings"])
    until = parse_time(given["until"]) if given["until"] else None
    told = run_demo(call.root, call.config, request, sample=True, until_ts=until)
    call.out.result(told.figures())
    call.out.pairs(told.figures())
    call.out.next(f"report {told.run.id}")
