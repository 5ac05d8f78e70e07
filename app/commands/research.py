"""`lookahead` and `optimize`: whether a strategy sees the future, and what served best in the past."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.commands.base import AMOUNT, Call, verb
from app.output import cell


def research_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a replay assumes: fixed parameters, feed, cash, commission, latency, partial fills."""
    for option in (
        click.option(
            "--partial-fills/--full-fills", default=None, help="Whether displayed size limits fills."
        ),
        click.option("--latency-ms", type=AMOUNT, help="Event time between an order and its arrival."),
        click.option("--commission", metavar="NAME", help="Commission schedule."),
        click.option("--cash", metavar="AMOUNT", help="Starting cash."),
        click.option("--feed", metavar="FEED", help="Take market data from this feed (default: the finest)."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A fixed parameter."),
    ):
        function = option(function)
    return function


@verb("lookahead")
@click.argument("strategy", metavar="STRATEGY")
@click.argument("dates", required=False, metavar="[DATE[..DATE]]")
@click.option("--points", type=click.IntRange(1, 1000), default=8, show_default=True, help="Cuts.")
@click.option("--no-mirror", is_flag=True, help="Only cut later data off; replay no other future.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file that the strategy may read (a model, say); you answer for it.",
)
@research_options
def lookahead(
    call: Call,
    strategy: str,
    dates: str | None,
    points: int,
    no_mirror: bool,
    allowed: tuple[Path, ...],
    **options: Any,
) -> int:
    """Prove that STRATEGY never sees the future, or name the first decision that did.

    The period is replayed with later data cut off, and with other later data, at several points: all
    decisions up to there must be the same. Without dates, all sessions in the log.

    Example: tape lookahead mine.py:Mine 2025-07-02 --set instrument=ZVXA
    """
    from app.lookahead.checking import Request, check  # noqa: PLC0415  # help does not need it
    from app.researching import prepare  # noqa: PLC0415

    case = prepare(call.root, call.config, strategy, dates, options, note=call.out.note)
    request = Request(
        root=case.root,
        period=case.period,
        specs=[case.spec],
        options=case.options,
        config=case.config,
        config_hash=case.config_hash,
        points=points,
        mirrored=not no_mirror,
        allowed=allowed,
    )
    with call.out.progress("replays") as advance:
        told = check(request, advance)
    call.out.result(told)
    return _show_checked(call, told, strategy)


def _show_checked(call: Call, told: Any, strategy: str) -> int:
    from app.lookahead.checking import HOW  # noqa: PLC0415
    from core.errors import ExitCode  # noqa: PLC0415

    call.out.line(
        f"lookahead {strategy}  {told.period}  {told.inputs:,} inputs, {told.decisions:,} decisions"
    )
    rows = []
    for point in told.points:
        differs = {finding.how: f"differs at {cell(finding.number)}" for finding in point.findings}
        rows.append(
            (
                point.input,
                point.ts,
                point.decisions,
                differs.get("cut", "same"),
                differs.get("mirrored", "same"),
            )
        )
    call.out.table(["cut after input", "time", "decisions before", "cut off", "mirrored"], rows)
    for finding in told.findings[:1]:
        call.out.line(f"first difference: {HOW[finding.how]} after input {finding.input:,} ({finding.ts}):")
        call.out.line(f"  {finding.text}")
        for label, value in (
            ("made at", finding.made_at),
            ("whole log", finding.whole),
            ("this replay", finding.prefix),
        ):
            if value is not None:
                call.out.line(f"  {label}: {value}")
    for name in told.log_reads[:5]:
        call.out.line(f"reads the whole log, beyond any cut: {name}")
    for name in told.reads:
        call.out.line(f"reads outside the log, not provable: {name}")
    for name in told.allowed:
        call.out.line(f"reads, as you allow: {name}")
    call.out.line(_verdict(told))
    return ExitCode.OK if told.verdict == "proven" else ExitCode.FOUND


def _verdict(told: Any) -> str:
    if told.verdict == "differs" and not told.deterministic:
        return (
            "NOT PROVEN: the same log gives other decisions from one replay to the next; the strategy "
            "depends on a clock, a random number or a set's order, so prefixes say nothing"
        )
    words = {
        "proven": f"proven: {told.decisions:,} decisions are the same in {len(told.points)} prefixes",
        "differs": f"LOOKS AHEAD: {len(told.findings)} replays decide otherwise before their cut",
        "unproven": "NOT PROVEN: decisions are the same, but the strategy reads what no cut takes away; "
        "take it from the log, or vouch for a file with --allow",
        "nothing": "NOTHING TO PROVE: the strategy made no decision in this period",
    }
    return words[told.verdict]
