"""`report` and `compare`: what came of a run, or of two, on the terminal, as JSON, and as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.commands.base import Call, verb

if TYPE_CHECKING:
    from app.report.comparison import SideBySide
    from app.report.dealing import Group
    from app.report.shape import Report

_DAYS_SHOWN = 10
_REASONS_SHOWN = 10
_GROUPS_WIDTH = 132
_MONTHS_WIDTH = 116
_NARROW = frozenset(("name", "trades", "win_rate", "net_profit"))
_PATH = click.Path(path_type=Path)


@verb("report", examples=("tape report latest --html report.html",))
@click.argument("run", default="latest")
@click.option("--html", type=_PATH, metavar="FILE", help="Write one self-contained page with charts.")
@click.option("--csv", type=_PATH, metavar="DIR", help="Write equity, trades, fills, days and months as CSV.")
@click.option("--excel", type=_PATH, metavar="FILE.xlsx", help="Write orders, fills and daily results.")
def report(call: Call, run: str, html: Path | None, csv: Path | None, excel: Path | None) -> None:
    """Show the results of a RUN (id, its beginning, or `latest`) and the assumptions behind them."""
    from app.report import writing  # noqa: PLC0415
    from app.report.building import opened  # noqa: PLC0415
    from eventstore.runs.reader import find_run  # noqa: PLC0415

    found = find_run(call.root, run)
    writing.check(html, csv, excel)
    with opened(call.root, found) as material:
        # Files first: who reads the answer may go away (`| head`), and they are there all the same.
        written = list(writing.write(material, html=html, csv=csv, excel=excel))
        call.out.result(material.report)
        _show(call, material.report)
    for path in written:
        call.out.note(f"wrote {path}")
    if html is None:
        call.out.next(f"report {found.id} --html report.html")
    else:
        call.out.next(f"fills --run {found.id}")


def _show(call: Call, told: "Report") -> None:
    from app.commands.runs import show_assumptions, show_head  # noqa: PLC0415
    from app.report.lines import SECTIONS, shown  # noqa: PLC0415

    show_head(call, told)
    run, *others = [
        (section.title, {line.label: shown(line.key, told.figures.get(line.key)) for line in section.lines})
        for section in SECTIONS
    ]
    call.out.pairs(run[1], title=run[0])
    call.out.panels(others)
    if told.refused_by_rule:
        call.out.table(["refused by", "orders"], list(told.refused_by_rule.items()))
    _show_groups(call, "instrument", told.by_instrument)
    _show_groups(call, "strategy", told.by_strategy)
    _show_groups(call, "exit reason", told.by_exit_reason[:_REASONS_SHOWN])
    _show_months(call, told)
    _show_positions(call, told)
    for text in told.cautions:
        call.out.line(f"note: {text}")
    show_assumptions(call, told.assumptions)


def _show_groups(call: Call, what: str, groups: "Sequence[Group]") -> None:
    from app.report.lines import shown_as  # noqa: PLC0415
    from app.report.tables import GROUP_COLUMNS  # noqa: PLC0415

    if not groups:
        return
    narrow = call.out.narrower(_GROUPS_WIDTH)
    columns = [column for column in GROUP_COLUMNS if not narrow or column[0] in _NARROW]
    rows = [[shown_as(kind, getattr(group, key)) for key, _, kind in columns] for group in groups]
    heads = [label for _, label, _ in columns]
    call.out.table([what, *heads[1:]], rows, right=range(1, len(heads)))


def _show_months(call: Call, told: "Report") -> None:
    from app.report.lines import shown_as  # noqa: PLC0415
    from app.report.tables import month_text, monthly_grid  # noqa: PLC0415

    if len(told.monthly) > 1 and call.out.narrower(_MONTHS_WIDTH):
        months = [[m.month, shown_as("money", m.equity), month_text(m.change)] for m in told.monthly]
        call.out.table(["month", "equity", "change"], months, right=(1, 2))
    elif len(told.monthly) > 1:
        heads, rows = monthly_grid(told)
        cells = [[year, *map(month_text, values)] for year, *values in rows]
        call.out.table(heads, cells, right=range(1, len(heads)))
    elif told.daily:
        days = told.daily[-_DAYS_SHOWN:]
        rows_ = [
            [
                d.date,
                shown_as("money", d.equity),
                shown_as("money", d.profit),
                shown_as("share", d.change),
                d.fills,
            ]
            for d in days
        ]
        call.out.table(["day", "equity", "profit", "change", "fills"], rows_, right=range(1, 5))


def _show_positions(call: Call, told: "Report") -> None:
    if told.positions:
        call.out.table(
            ["open", "strategy", "quantity", "average price", "mark", "open profit", "currency"],
            [
                (p.instrument, p.strategy, p.quantity, p.average_price, p.mark, p.open_profit, p.currency)
                for p in told.positions
            ],
        )


@verb("compare", examples=("tape compare 3f2a latest --html both.html",))
@click.argument("first")
@click.argument("second", default="latest")
@click.option("--html", type=_PATH, metavar="FILE", help="Write one page with both equity curves.")
def compare(call: Call, first: str, second: str, html: Path | None) -> None:
    """Show two runs side by side: figures, what they do not share, and where their decisions part."""
    from app.report import writing  # noqa: PLC0415
    from app.report.building import opened  # noqa: PLC0415
    from app.report.comparison import side_by_side  # noqa: PLC0415
    from eventstore.runs.reader import find_run  # noqa: PLC0415

    writing.check(html)
    runs = find_run(call.root, first), find_run(call.root, second)
    with opened(call.root, runs[0]) as one, opened(call.root, runs[1]) as other:
        told = side_by_side(one, other)
        written = None if html is None else writing.write_comparison(told, one, other, html)
        call.out.result(told)
        _show_both(call, told)
    if written is not None:
        call.out.note(f"wrote {written}")
    call.out.next(f"diff {runs[0].id} {runs[1].id}")


def _show_both(call: Call, told: "SideBySide") -> None:
    from app.replay.comparing import named_input  # noqa: PLC0415
    from app.report.lines import LINES, NONE, changed, shown  # noqa: PLC0415

    rows = [
        [LINES[f.key].label, shown(f.key, f.first), shown(f.key, f.second), changed(f.key, f.change)]
        for f in told.figures
    ]
    call.out.table(["figure", told.first, told.second, "difference"], rows, right=(1, 2, 3))
    if told.differing:
        differing = [[d.what, d.first or NONE, d.second or NONE] for d in told.differing]
        call.out.table(["not shared", told.first, told.second], differing)
    counts = f"{told.decisions.decisions[0]:,} and {told.decisions.decisions[1]:,} decisions"
    part = told.decisions.difference
    if part is None:
        call.out.line(f"the runs decide alike ({counts})")
    else:
        call.out.line(f"the runs part ({counts}): {part.text}")
        call.out.line(f"made at {named_input(part.first_at)} and {named_input(part.second_at)}")
