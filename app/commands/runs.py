"""`replay` and `diff`: strategies over recorded days, and where two runs part."""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click

from app.commands.assumptions import assumptions
from app.commands.base import Call, strategy_options, verb


@verb(
    "replay",
    examples=("tape replay 2025-07-02 --strategy sma_cross --set instrument=ZVXA", "tape replay latest"),
)
@click.argument("what", metavar="DATE[..DATE]|RUN")
@strategy_options
@assumptions
@click.option(
    "--carry",
    metavar="RUN|latest|log",
    help="Start with positions, cash and open orders of a run at its end, or of the log when DATE begins.",
)
@click.option(
    "--fills",
    type=click.Choice(["simulated", "recorded"]),
    help="Where fills come from: the simulated broker, or the session that was recorded on DATE.",
)
@click.option(
    "--recompute-signals",
    "recompute",
    is_flag=True,
    help="Ask the configured models anew first; without it a replay never calls one.",
)
def replay(call: Call, what: str, *, recompute: bool, **options: Any) -> None:
    """Run strategies over recorded session dates, or a RUN again to prove that it comes out the same.

    Without a log, dates of the built-in sample make one. The result is a run beside the log; the same
    inputs, code and parameters have the same hashes. With --fills recorded, the sessions traded on DATE are
    fed through their strategies again and must decide as they did.
    """
    import msgspec  # noqa: PLC0415  # help does not need it

    from app.replay import running  # noqa: PLC0415
    from app.replay.request import ReplayRequest  # noqa: PLC0415
    from app.replay.summary import result  # noqa: PLC0415

    request = ReplayRequest(what=what, **options)
    call.make_sample(what)
    if recompute:
        if options["fills"] == "recorded":
            raise click.UsageError("--recompute-signals: a recorded session had the signals that it had")
        running.recompute_signals(call.root, call.config, what, time.time_ns())
    if options["fills"] == "recorded":
        _prove(call, request)
        return
    request = msgspec.structs.replace(request, fills=None)
    with call.out.progress("events", stopped="stopped; no run is kept") as advance:
        done = running.run_replay(call.root, call.config, request, advance)
    if done.changed:
        call.out.note(
            f"run {what} comes out the same, though there is a change in {done.changed}; "
            f"this is run {done.run.id}"
        )
    for text in running.partly_imported(call.root, done.run):
        call.out.note(f"{text}; next: run that import again, then this")
    show_run(call, done.run, result(done.run))


def _prove(call: Call, request: Any) -> None:
    from app.replay import running  # noqa: PLC0415
    from app.replay.summary import result  # noqa: PLC0415

    proven = running.run_proofs(call.root, request)
    last = proven[-1]
    show_run(call, last.run, {**result(last.run), "session": last.session})
    for one in proven:
        run = one.run
        call.out.note(
            f"session {one.session} decides as recorded: {run.summary['decisions_hash']} (run {run.id})"
        )


def show_run(call: Call, run: Any, told_json: dict[str, Any]) -> None:
    """Show what a replay or a session ends with: its figures, its assumptions, and the next command."""
    from app.report.summary import summarise  # noqa: PLC0415

    call.out.result(told_json)
    told = summarise(run)
    show_head(call, told)
    call.out.pairs({key: _shown(key, value) for key, value in told.figures.items()})
    show_assumptions(call, told.assumptions)
    fill = _first_fill(run)
    call.out.next(f"why {fill}" if fill else f"report {run.id}")


def _first_fill(run: Any) -> str | None:
    from core.events import Filled  # noqa: PLC0415
    from core.ports import entries_of  # noqa: PLC0415

    for entry in entries_of(run, frozenset({Filled})):
        assert isinstance(entry.event, Filled)
        return entry.event.exec_id
    return None


def show_head(call: Call, told: Any) -> None:
    """Show which run it is, its strategies with their parameters, and whether it failed."""
    call.out.line(f"run {told.run}  {told.period}")
    for item in told.strategies:
        values = " ".join(f"{name}={value}" for name, value in item["parameters"].items())
        call.out.line(f"  {item['id']}  {item['name']}  {values}")
    if told.failed:
        call.out.line(f"FAILED, so the figures end there: {told.failed}")


def show_assumptions(call: Call, assumptions: Mapping[str, Any]) -> None:
    """Show what a run assumed."""
    shown = {
        key: ", ".join(value) if isinstance(value, list) else value for key, value in assumptions.items()
    }
    call.out.pairs(shown, title="assumptions")


def _shown(key: str, value: Any) -> Any:
    if value is None:
        return "unknown" if key == "end_equity" else "none"
    if key in {"return", "max_drawdown"}:
        text = f"{Decimal(str(value)):.3%}"
        return text if text.strip("-0.%") else text.removeprefix("-")
    return f"{value:,}" if isinstance(value, int) else value


@verb("diff", examples=("tape diff 3f2a latest",))
@click.argument("first")
@click.argument("second", default="latest")
def diff(call: Call, first: str, second: str) -> int:
    """Compare the decisions of two runs and name the first that differs.

    Ids are not compared. Ends with 1 if the runs decide differently.
    """
    from app.replay.comparing import compare, named_input  # noqa: PLC0415
    from core.errors import ExitCode  # noqa: PLC0415
    from eventstore.runs.reader import find_run  # noqa: PLC0415

    told = compare(find_run(call.root, first), find_run(call.root, second))
    call.out.result(told)
    counts = f"{told.decisions[0]:,} and {told.decisions[1]:,} decisions"
    if told.difference is None:
        alike = "and every event" if told.same_run_hash else "though other events (fills, samples) differ"
        call.out.line(f"runs {told.first} and {told.second} decide alike ({counts}) {alike}")
        return ExitCode.OK
    call.out.line(f"runs {told.first} and {told.second} differ ({counts})")
    call.out.line(told.difference.text)
    call.out.line(
        f"made at {named_input(told.difference.first_at)} and {named_input(told.difference.second_at)}"
    )
    call.out.next(f"events --run {told.second} --type order_intended")
    return ExitCode.FOUND
