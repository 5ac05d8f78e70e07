"""`import` and `export`: market data in, slices of the log out."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

import click

from app.commands.base import KEPT, Call, Number, verb
from app.values import when
from core.errors import ExitCode

_FORMATS = ("lean", "csv", "parquet", "sample")
_OF_SIGNALS = ("dry_run", "source", "sheet", "known_at", "scale", "volatility")
NAMES_SHOWN = 12
_RESOLUTIONS = ("tick", "second", "minute", "hour", "daily")


@verb(
    "import",
    examples=(
        "tape import trades.csv --symbol IBM --timezone America/New_York --exchange NYSE",
        "tape import picks.xlsx --as signals --dry-run",
    ),
)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format", "format_", type=click.Choice(_FORMATS), help="What the files are (default: by FILE's ending)."
)
@click.option("--root", type=click.Path(path_type=Path), help="lean: the folder that holds equity/usa/….")
@click.option("--symbol", help="lean: which symbol. csv, parquet: the instrument, if no column names it.")
@click.option(
    "--resolution", type=click.Choice(_RESOLUTIONS), help="Of the data; lean: which files (default: tick)."
)
@click.option(
    "--date",
    metavar="DATE[..DATE]",
    help="lean, sample: only these session dates; signals: of rows without one.",
)
@click.option(
    "--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="csv, parquet, signals: a field's column."
)
@click.option(
    "--as",
    "meaning",
    type=click.Choice(("data", "signals")),
    default="data",
    help="What the files hold: market data (default), or recommendations and forecasts.",
)
@click.option("--dry-run", is_flag=True, help="signals: show how FILE is understood; write nothing.")
@click.option("--source", metavar="NAME", help="signals: whose they are (default: bma).")
@click.option("--sheet", metavar="NAME", help="signals: the sheet of a workbook (default: found).")
@click.option(
    "--known-at", type=click.Choice(("open", "close")), help="signals: when a date is known (default: close)."
)
@click.option("--scale", metavar="LOW..HIGH", help="signals: what scores or weights go from and to.")
@click.option(
    "--volatility", type=Number(0), metavar="SHARE", help="signals: daily, of all instruments: 0.02."
)
@click.option("--timezone", metavar="ZONE", help="csv, parquet: the zone of times without an offset.")
@click.option("--time-format", metavar="FORMAT", help="csv, parquet: the form of times: '%d.%m.%Y %H:%M:%S'.")
@click.option("--decimal", type=click.Choice((".", ",")), help="csv, parquet: what fractions begin with.")
@click.option("--bar-time", type=click.Choice(("start", "end")), help="csv, parquet: which time a bar shows.")
@click.option("--feed", metavar="NAME", help="csv, parquet: the name of the feed.")
@click.option(
    "--kind",
    type=click.Choice(("trades", "quotes", "bars", "actions")),
    help="csv, parquet: what a row is (actions: splits and dividends).",
)
@click.option("--exchange", metavar="NAME", help="csv, parquet: whose sessions these are: NYSE, CME, XLON.")
@click.option("--security-type", metavar="TYPE", help="csv, parquet: STK (default), FUT, OPT, CASH, IND.")
@click.option("--expiry", metavar="DATE", help="csv, parquet: last trading day of a future or option.")
@click.option("--strike", metavar="PRICE", help="csv, parquet: of an option.")
@click.option("--right", metavar="C|P", help="csv, parquet: of an option: call or put.")
@click.option(
    "--underlying", metavar="SYMBOL", help="csv, parquet: of a future or option, if its name differs."
)
@click.option("--currency", metavar="CODE", help="csv, parquet: of the prices (default: USD).")
@click.option("--multiplier", metavar="NUMBER", help="csv, parquet: of the instrument (default: 1).")
@click.option("--tick-size", metavar="NUMBER", help="csv, parquet: of the instrument (default: 0.01).")
@click.option(
    "--price-steps",
    metavar="EDGE:STEP,…",
    help="csv, parquet: tick sizes that grow with the price: 0:0.05,3:0.1.",
)
def import_(
    call: Call,
    files: tuple[Path, ...],
    format_: str | None,
    root: Path | None,
    symbol: str | None,
    resolution: str | None,
    date: str | None,
    mapping: tuple[str, ...],
    meaning: str,
    **table: Any,
) -> int:
    """Bring files of market data, or of signals, into the log, each row once.

    Importing the same file again changes nothing; an interrupted import goes on when run again. A bad row
    is kept as rejected, with its file, line and reason. Signals: `tape import X.xlsx --as signals --dry-run`.
    """
    of_signals = {name: table.pop(name) for name in _OF_SIGNALS}
    if meaning == "signals":
        others = {"format": format_, "root": root, "symbol": symbol, "resolution": resolution, **table}
        return _import_signals(call, files, mapping, {**of_signals, "day": date}, others)
    if any(of_signals.values()):
        named = ", ".join(f"--{name.replace('_', '-')}" for name, value in of_signals.items() if value)
        raise click.UsageError(f"{named}: only with --as signals")
    from adapters.replay.tables.options import TableOptions, parse_mapping  # noqa: PLC0415
    from app.data.importing import ImportRequest, describe, outcome, repaired, run_import  # noqa: PLC0415

    given = {name: value for name, value in table.items() if value is not None}
    request = ImportRequest(
        format=format_ or _by_ending(files),
        root=root,
        symbol=symbol,
        resolution=resolution or "tick",
        date=date,
        files=files,
        table=TableOptions(mapping=parse_mapping(",".join(mapping)), **given),
    )
    for words in describe(request):
        call.out.note(words)
    with call.out.progress("rows", stopped=KEPT) as advance:
        imported = run_import(call.root, request, advance)
    call.out.result(outcome(imported))
    if imported.recovered is not None:
        call.out.note(f"recovered the log: {repaired(imported.recovered)}")
    _show(call, imported.result)
    if not imported.result.read and request.format != "sample":
        call.out.note(f"the files hold no rows: {', '.join(imported.result.files) or 'none was read'}")
    if imported.result.is_refused:
        told = "" if imported.result.rejected else ", when they came first"
        fit = "; do --map, --time-format, --timezone and --exchange fit the file?"
        call.out.note(
            f"no row was accepted: all {imported.result.read:,} were rejected{told}"
            f"{fit if request.files else ''}"
        )
        return ExitCode.FOUND
    return ExitCode.OK


def _import_signals(
    call: Call,
    files: tuple[Path, ...],
    mapping: tuple[str, ...],
    given: dict[str, Any],
    others: dict[str, Any],
) -> ExitCode:
    from app.signals.importing import SignalRequest, run_signal_import  # noqa: PLC0415
    from app.signals.weighing import unweighed  # noqa: PLC0415

    wrong = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if wrong:
        raise click.UsageError(f"{', '.join(wrong)}: not with --as signals")
    if not files:
        raise click.UsageError("say which file holds the signals: tape import FILE.xlsx --as signals")
    dry = given.pop("dry_run")
    request = SignalRequest(files=files, mapping=mapping, **given)
    done = run_signal_import(call.root, call.config, request, write=not dry)
    call.out.result(done.told())
    _show_signals(call, done)
    for source in sorted({item.source for item in done.signals}):
        told = unweighed(call.config.settings.signals, source)
        if told is not None:
            call.out.note(str(told))
    if dry:
        call.out.note("a dry run: nothing was written; leave out --dry-run to import")
    if done.rejections and not done.signals:
        call.out.note(f"no row was accepted: all {len(done.rejections):,} were rejected")
        return ExitCode.FOUND
    if not dry:
        call.out.next("sql 'SELECT * FROM signals ORDER BY seq DESC LIMIT 10'")
    return ExitCode.OK


def _show_signals(call: Call, done: Any) -> None:
    for line in done.words:
        call.out.note(line)
    for title, value in done.pairs().items():
        call.out.line(f"{title:12}{value}")
    if done.signals:
        cells = [
            (s.source, s.instrument, f"{s.value:+.4f}", when(s.ts), when(s.expires), s.detail)
            for s in done.signals[:10]
        ]
        call.out.table(["source", "instrument", "value", "from", "until", "because"], cells)
    if done.rejections:
        rows = [(item.file, item.line, item.reason) for item in done.rejections[:10]]
        call.out.table(["file", "line", "rejected because"], rows)
    for kind, shown in (("signals", done.signals), ("rejected rows", done.rejections)):
        if len(shown) > 10:
            call.out.line(f"… and {len(shown) - 10:,} more {kind}")


def _by_ending(files: tuple[Path, ...]) -> str:
    from adapters.replay.packed import ENDINGS, LEAN_NAME  # noqa: PLC0415

    lean = [path for path in files if LEAN_NAME.fullmatch(path.name)]
    if lean:
        raise click.UsageError(
            f"{lean[0]}: LEAN's files are found by their folder: --format lean --root FOLDER (which holds "
            "equity/) --symbol NAME --date DATE"
        )
    if folders := [str(path) for path in files if path.is_dir()]:
        raise click.UsageError(
            f"{', '.join(folders)}: is a folder; name its files, such as {folders[0]}/*.csv; a folder of "
            "LEAN data is named by --format lean --root FOLDER"
        )
    bare = [path.with_suffix("") if path.suffix.lower() in ENDINGS else path for path in files]
    endings = {path.suffix.lower() or ".csv" for path in bare}
    if endings and endings <= {".csv", ".txt", ".tsv"}:
        return "csv"
    if endings and endings <= {".parquet", ".pq"}:
        return "parquet"
    if any(ending in {".xlsx", ".xlsm", ".npz"} for ending in endings):
        raise click.UsageError(
            f"{', '.join(map(str, files))}: workbooks and .npz files hold signals: add --as signals; market "
            "data are read from CSV and Parquet"
        )
    if files:
        raise click.UsageError(
            f"{', '.join(map(str, files))}: the ending does not say what this is: CSV and Parquet are read; "
            "add --format csv or --format parquet if it is one, else write it as one; a folder of LEAN data "
            "is named by --format lean --root FOLDER"
        )
    raise click.UsageError("say what to import: FILE.csv, FILE.parquet, or --format lean|sample")


def _show(call: Call, result: Any) -> None:
    from app.data.importing import first_rejections  # noqa: PLC0415

    call.out.pairs(
        {
            "rows read": f"{result.read:,}",
            "accepted": f"{result.accepted:,}",
            "duplicates": f"{result.duplicates:,}"
            + (f" ({result.resumed:,} from an interrupted import)" if result.resumed else ""),
            "rejected": f"{result.rejected:,}",
            **({"instruments": _some(result.instruments)} if result.instruments else {}),
            **({"dates": _span(result.dates)} if result.dates else {}),
            **({"gaps": len(result.gaps)} if result.accepted else {}),
            **({"splits and dividends": f"{result.actions:,}"} if result.actions else {}),
        },
        title=f"imported into {call.root}: {result.feed}",
    )
    if result.duplicates and not (result.accepted or result.rejected or result.is_refused):
        call.out.line("nothing is new: the log has every row already")
    if result.rejected:
        cells = [(item.file, item.line, item.reason) for item in first_rejections(result)]
        call.out.table(["file", "line", "rejected because"], cells)
        if result.rejected > len(cells):
            all_of_them = call.out.command("events --run log --type row_rejected --limit 0")
            call.out.line(f"… and {result.rejected - len(cells):,} more: {all_of_them}")
    if result.gaps:
        holes = [
            (g.instrument, g.kind, g.date, when(g.begin), when(g.end), g.missing or None)
            for g in result.gaps[:10]
        ]
        call.out.table(["gap in", "of", "date", "from", "to", "missing"], holes)
        if len(result.gaps) > 10:
            call.out.line(f"… and {len(result.gaps) - 10:,} more (--json lists all)")
    if result.dates:
        chosen = quote(f"instrument={result.instruments[0]}")
        call.out.next(f"replay {result.dates[-1]} --strategy sma_cross --set {chosen}")
    else:
        call.out.next("status")


def _some(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f", … and {more:,} more (--json lists all)" if more > 0 else "")


def _span(dates: list[str]) -> str:
    return (
        dates[0] if len(dates) == 1 else f"{dates[0]}..{dates[-1]} ({len(dates)} sessions)" if dates else ""
    )


@verb(
    "export",
    examples=("tape export trades.parquet --type trade --date 2025-07-02", "tape export --fixture morning"),
)
@click.argument("target", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only this type (`trade`); repeat for more."
)
@click.option("--instrument", metavar="ID", help="Only this instrument.")
@click.option("--strategy", metavar="ID", help="Only this strategy instance.")
@click.option("--date", metavar="DATE[..DATE]", help="Only these session dates.")
@click.option("--from", "first", metavar="SEQ|TIME", help="From this seq or time on.")
@click.option("--to", "last", metavar="SEQ|TIME", help="Up to and with this seq or time.")
@click.option("--run", metavar="RUN|latest|log", help="Export a run's own events; else the log's.")
@click.option(
    "--format", "format_", type=click.Choice(("parquet", "csv")), default="parquet", show_default=True
)
@click.option(
    "--fixture", metavar="NAME", help="Write a run (default: latest) as a pytest fixture with its test."
)
def export(
    call: Call,
    target: Path | None,
    types: tuple[str, ...],
    date: str | None,
    first: str | None,
    last: str | None,
    run: str | None,
    format_: str,
    fixture: str | None,
    instrument: str | None,
    strategy: str | None,
) -> None:
    """Write a slice of the log to OUT: one type to OUT.parquet or OUT.csv, any types into a new directory.

    With --fixture, OUT is where the fixture goes (default: tests/fixtures).
    """
    if fixture is not None:
        if types or date or first or last or instrument or strategy:
            raise click.UsageError("a fixture holds all that its run read: leave out what narrows it")
        _export_fixture(call, fixture, run or "latest", target or Path("tests/fixtures"))
        return
    if target is None:
        raise click.UsageError("name OUT: a file such as trades.parquet, or a new directory")
    from app.look import exporting, looking  # noqa: PLC0415
    from app.look.books import open_book  # noqa: PLC0415

    book = open_book(call.root, run or "log")
    bounds = looking.bounds(first, last)
    if date is not None:
        bounds = {**exporting.date_bounds(book, date), **bounds}
    chosen = looking.EventFilter(
        types=looking.event_types(types), instrument=instrument, strategy=strategy, **bounds
    )
    done = exporting.export(book, chosen, target, format_)
    call.out.result(done)
    call.out.table(["file", "events"], list(done.files.items()))
    if note := looking.source_note(book, chosen):
        call.out.note(note)
    if done.unknown:
        call.out.note(f"left out {done.unknown} events of types that this version does not know")
    call.out.note(f"next: python -c {quote(_reading(next(iter(done.files))))}")


def _reading(file: str) -> str:
    """Return what shows an exported file without any of our code."""
    read = "read_csv" if file.lower().endswith(".csv") else "read_parquet"
    name = json.dumps(file, ensure_ascii=False)  # in double quotes: the shell's are single ones
    return f"import pandas; print(pandas.{read}({name}))"


def _export_fixture(call: Call, name: str, run: str, directory: Path) -> None:
    from app.replay.fixtures import export_fixture  # noqa: PLC0415

    written = export_fixture(call.root, run, name, directory)
    call.out.result({"written": [str(path) for path in written]})
    for path in written:
        call.out.line(f"wrote {path}")
    call.out.note(f"next: python -m pytest -q {quote(str(written[-1]))}")
