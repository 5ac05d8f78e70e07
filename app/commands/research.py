"""`lookahead` and `optimize`: whether a strategy sees the future, and what served best in the past."""

from pathlib import Path
from typing import Any, Literal

import click

from app.commands.assumptions import assumptions
from app.commands.base import KEPT, Call, Whole, verb
from app.values import cell, counted

_SETTING = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A fixed parameter.")


@verb("lookahead", examples=("tape lookahead mine.py:Mine 2025-07-02 --set instrument=ZVXA",))
@click.argument("strategy", metavar="STRATEGY")
@click.argument("dates", required=False, metavar="[DATE[..DATE]]")
@click.option("--points", type=Whole(1, 1000), default=8, show_default=True, help="Cuts.")
@click.option("--no-mirror", is_flag=True, help="Only cut later data off; replay no other future.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="A file that the strategy may read (a model, say); you answer for it.",
)
@assumptions
@_SETTING
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
    """
    from app.lookahead.checking import Request, check  # noqa: PLC0415  # help does not need it
    from app.replay.researching import prepare  # noqa: PLC0415

    call.make_sample(dates)
    case = prepare(call.root, call.config, strategy, dates, options)
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
    with call.out.progress("replays", stopped="stopped; nothing is proven") as advance:
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
    count = len(told.findings)
    words = {
        "proven": f"proven: {told.decisions:,} decisions are the same in "
        f"{counted(len(told.points), 'prefix', 'prefixes')}",
        "differs": f"LOOKS AHEAD: {counted(count, 'replay')} decide{'s' * (count == 1)} otherwise before "
        f"{'its' if count == 1 else 'their'} cut",
        "unproven": "NOT PROVEN: decisions are the same, but the strategy reads what no cut takes away; "
        "take it from the log, or vouch for a file with --allow",
        "nothing": "NOTHING TO PROVE: the strategy made no decision in this period",
    }
    return words[told.verdict]


@verb(
    "optimize",
    examples=("tape optimize sma_cross --set instrument=ZVXA --range fast=5:25:5 --range slow=30:90:20",),
)
@click.argument("strategy", metavar="STRATEGY")
@click.argument("dates", required=False, metavar="[DATE[..DATE]]")
@click.option("--range", "ranges", multiple=True, metavar="NAME=LOW:HIGH[:STEP]", help="Numbers to try.")
@click.option("--choice", "choices", multiple=True, metavar="NAME=A,B", help="Values to try.")
@click.option("--where", "wheres", multiple=True, metavar="CONDITION", help='Such as "fast < slow".')
@click.option(
    "--search",
    "method",
    type=click.Choice(["grid", "random", "bayesian"]),
    default="grid",
    show_default=True,
    help="In which order to try them.",
)
@click.option("--trials", type=Whole(1, 100_000), help="How many (random, bayesian: 100).")
@click.option("--seed", type=Whole(0, 2**32 - 1), default=0, show_default=True, help="Of chance.")
@click.option(
    "--objective",
    type=click.Choice(
        ["sharpe", "sortino", "return", "profit_factor", "win_rate", "return_over_drawdown", "max_drawdown"]
    ),
    default="sharpe",
    show_default=True,
    help="What to choose by.",
)
@click.option("--max/--min", "maximise", default=None, help="Which end of it is best.")
@click.option("--walk-forward", type=Whole(1, 1000), metavar="N", help="Choose in one part, try in the next.")
@click.option("--rolling", is_flag=True, help="Walk-forward: choose in the part before, not in all before.")
@click.option("--every", type=click.Choice(["day", "hour", "minute"]), help="Interval of returns.")
@click.option("--jobs", type=Whole(1, 512), metavar="N", help="Processes (default: all cores).")
@click.option(
    "--keep", type=click.Choice(["best", "all"]), default="best", show_default=True, help="Whole runs."
)
@click.option("--heatmap", metavar="X,Y", help="The two parameters of the heat map.")
@click.option("--html", "html", type=click.Path(path_type=Path), metavar="FILE", help="Write the page here.")
@assumptions
@_SETTING
def optimize(
    call: Call,
    strategy: str,
    dates: str | None,
    ranges: tuple[str, ...],
    choices: tuple[str, ...],
    wheres: tuple[str, ...],
    method: Any,
    maximise: bool | None,
    walk_forward: int | None,
    rolling: bool,
    jobs: int | None,
    keep: str,
    heatmap: str | None,
    html: Path | None,
    **options: Any,
) -> int:
    """Search the parameters of STRATEGY over recorded sessions, on all cores, and judge the best.

    What ran before is not run again: a search that was stopped goes on with the same command. Without --range
    and --choice, parameters whose limits are declared are searched.
    """
    from app.optimize.server import begin  # noqa: PLC0415  # help does not need it

    begin()  # it imports meanwhile
    from app.optimize.study import Study, StudyRequest  # noqa: PLC0415
    from app.replay.researching import cores, prepare  # noqa: PLC0415
    from app.report import writing  # noqa: PLC0415
    from core.errors import UsageError  # noqa: PLC0415

    writing.check(html)
    if rolling and walk_forward is None:
        raise UsageError("--rolling is about --walk-forward N, which is not given")
    own = {name: options.pop(name) for name in ("trials", "seed", "objective", "every")}
    call.make_sample(dates)
    case = prepare(call.root, call.config, strategy, dates, options)
    best: Literal["max", "min"] | None = None if maximise is None else "max" if maximise else "min"
    request = StudyRequest(
        case=case,
        ranges=ranges,
        choices=choices,
        settled=frozenset(text.partition("=")[0].rpartition(".")[2] for text in options["settings"]),
        wheres=wheres,
        method=method,
        best=best,
        walk_forward=walk_forward,
        rolling=rolling,
        full=keep == "all",
        jobs=jobs or cores(),
        **own,
    )
    study = Study(request)
    pair = _heat_axes(heatmap, [axis.name for axis in study.axes])
    with call.out.progress("trials", stopped=KEPT) as advance:
        told = study.run(advance)
    return _show_study(call, case.root, told, pair, html)


def _heat_axes(text: str | None, names: list[str]) -> tuple[str | None, str | None]:
    from core.errors import UsageError  # noqa: PLC0415

    if text is None:
        return None, None
    pair = text.split(",")
    if len(names) < 2:
        raise UsageError(f"--heatmap {text}: needs two parameters that are searched; only {names[0]} is")
    if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(names):
        raise UsageError(
            f"--heatmap {text}: expected two of {', '.join(names)}, such as {','.join(names[:2])}"
        )
    return pair[0], pair[1]


def _show_study(
    call: Call, root: Path, told: Any, pair: tuple[str | None, str | None], html: Path | None
) -> int:
    from app.optimize.keeping import keep_study  # noqa: PLC0415
    from app.optimize.page import shown, worded  # noqa: PLC0415
    from core.errors import ExitCode  # noqa: PLC0415

    kept = keep_study(root, told, pair, html)
    call.out.result({**kept.document, "html": str(kept.page), "runs": kept.runs})
    counts = told.counts
    call.out.line(
        f"study {told.study}  {told.strategy}  {told.period}  {counts['trials']:,} trials, "
        f"{counts['known']:,} known before"
    )
    columns = list(dict.fromkeys([told.objective.name, "sharpe", "return", "max_drawdown", "trades"]))
    best = [row for row in told.rows if row.score is not None][:10]
    if not told.folds:
        call.out.table(
            ["parameters", *columns, "run"],
            [(worded(r.parameters), *(shown(c, r.measures.get(c)) for c in columns), r.run) for r in best],
        )
    if told.folds:
        name = told.objective.name
        call.out.table(
            ["chosen in", "parameters", f"{name} there", "tried in", f"{name} then", "return then", "run"],
            [
                (
                    fold.train,
                    worded(fold.parameters),
                    shown(name, fold.in_sample),
                    fold.test,
                    shown(name, fold.out_of_sample),
                    shown("return", fold.measures.get("return")),
                    fold.run,
                )
                for fold in told.folds
            ],
            title="walk-forward",
        )
    call.out.pairs(_judged(told), title="judged")
    for reason, count in list(told.failures.items())[:3]:
        call.out.note(f"{counted(count, 'trial')} without a result: {reason}")
    call.out.line(f"wrote {kept.page}")
    call.out.next(f"report {kept.runs[0]}" if kept.runs else f"strategies {told.strategy}")
    return ExitCode.OK if best else ExitCode.FOUND


def _judged(told: Any) -> dict[str, Any]:
    from app.optimize.page import shown  # noqa: PLC0415

    counts = told.counts
    pairs: dict[str, Any] = {
        "trials": (
            f"{counts['scored']} scored, {counts['unscored']} without a score, {counts['failed']} failed, "
            f"{counts['refused']} refused, {counts['skipped']} excluded"
        )
    }
    if told.deflated is not None:
        luck = told.deflated
        pairs["sharpe of the best"] = f"{luck['sharpe_annual']:.3g} a year, of {luck['observations']} returns"
        pairs["expected of luck"] = (
            f"{luck['expected_max_annual']:.3g} a year, the best of {luck['trials']} trials"
        )
        pairs["deflated sharpe"] = f"{luck['probability']:.1%} (chance of a true ratio above that)"
    if told.walk_forward is not None:
        walk = told.walk_forward
        pairs["out of sample"] = (
            f"return {shown('return', walk['return'])}, sharpe {shown('sharpe', walk['sharpe'])}, "
            f"{walk['profitable_folds']} of {walk['folds']} folds with a gain"
        )
        pairs["efficiency"] = f"{shown('', walk['efficiency'])} (out of sample over in sample)"
    return pairs
