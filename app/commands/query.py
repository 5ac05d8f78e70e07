"""`sql`: reading statements over the log and its runs."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click

from app.commands.base import AMOUNT, COUNT, Call, Verb, verb
from app.values import jsonable

_VALUE_MAX = 200
"""A table cuts longer values, such as the whole description of a run in the view `runs`."""
_PLAN = ["explain_key", "explain_value"]
"""What EXPLAIN answers: a drawing of several lines, which no table holds."""
_PROMPT = "sql> "
_MORE = "...> "


_COMMENT = re.compile(r"--(\s|[^\n]*\n)")
"""How a statement begins that begins with a comment; an option has neither a space after `--` nor lines."""


class _Querying(Verb):
    """Takes a statement that begins with a comment for what it is, not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put such statements behind the options, where nothing is taken for one."""
        said = [] if "--" in args else [text for text in args if _COMMENT.match(text)]
        if said:
            args = [*(text for text in args if text not in said), "--", *said]
        return super().parse_args(ctx, args)


@verb("sql", kind=_Querying, examples=("tape sql 'SELECT side, count(*) FROM fills GROUP BY side'",))
@click.argument("query", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@click.option("--max-rows", default=10_000, show_default=True, type=COUNT, help="0: no limit.")
@click.option("--timeout", default=60.0, show_default=True, type=AMOUNT, help="Seconds; 0: none.")
@click.option(
    "--run", metavar="RUN|latest|log", help="Orders, fills, … of this run, or the log; else of all."
)
def sql(
    call: Call,
    query: str | None,
    as_csv: bool,
    max_rows: int,
    timeout: float,
    run: str | None,
) -> None:
    """Run QUERY over the log and its runs, also while another process writes; `-` reads it from stdin.

    Views: trades, quotes, bars, intents, verdicts, orders, fills, commissions, chain, runs, events, recorded
    and more (docs/sql.md). Nothing can be written, and no other file read. On a terminal without QUERY, asks.
    """
    if as_csv and call.out.as_json:
        raise click.UsageError("--csv and --json exclude each other")
    if query == "-":
        query = sys.stdin.read()
    if query is None and not call.out.interactive():
        raise click.UsageError("give a QUERY, or - to read it from stdin")
    from eventstore.sql.connection import connect  # noqa: PLC0415  # imports duckdb

    with connect(call.root, only=run) as connection:
        if query is not None and (mixed := connection.mixed(query)):
            call.out.note(f"{mixed}; --run latest (or an id, or log) shows those of one")
        if query is not None and not max_rows and (as_csv or call.out.as_json):
            _stream(call, connection, query, timeout)
        elif query is not None:
            _show(call, connection.query(query, max_rows=max_rows or None, timeout_s=timeout or None), as_csv)
        else:
            _converse(call, connection, max_rows, timeout)


def _show(call: Call, result: Any, as_csv: bool) -> None:
    columns = _unique(result.columns)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([jsonable(value) for value in row] for row in result.rows)
    elif columns == _PLAN and not call.out.as_json:
        for _, drawing in result.rows:
            call.out.line(str(drawing).rstrip("\n"))
    else:
        call.out.result([dict(zip(columns, row, strict=True)) for row in result.rows])
        call.out.table(columns, [[_cut(value) for value in row] for row in result.rows])
        if not call.out.as_json and any(_cut(value) is not value for row in result.rows for value in row):
            call.out.note(
                f"values longer than {_VALUE_MAX} characters are cut; --json and --csv print them whole"
            )
    if result.truncated:
        call.out.note(f"only the first {len(result.rows):,} rows are shown; --max-rows N shows more")


def _cut(value: Any) -> Any:
    """Return a value, or its beginning where its text is too long for a table."""
    if value is None or isinstance(value, int | float):
        return value
    text = str(value)
    return value if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}…"


def _stream(call: Call, connection: Any, query: str, timeout: float) -> None:
    """Print all rows as they come: there may be more of them than memory holds."""

    def take(columns: list[str], pieces: Iterator[list[tuple[Any, ...]]]) -> None:
        names = _unique(columns)
        if call.out.as_json:
            call.out.rows(dict(zip(names, row, strict=True)) for rows in pieces for row in rows)
            return
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([jsonable(value) for value in row] for rows in pieces for row in rows)

    connection.stream(query, take, timeout_s=timeout or None)


def _unique(columns: list[str]) -> list[str]:
    """Number the later ones of equal names, so that no column of a row object is lost."""
    seen: Counter[str] = Counter()
    names = []
    for name in columns:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def _converse(call: Call, connection: Any, max_rows: int, timeout: float) -> None:
    """Read statements up to `;` until the end of input; a wrong one is answered, not fatal."""
    from core.errors import TapeError  # noqa: PLC0415

    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415  # line editing, where the system has it
    call.out.note("end a statement with ; and the session with quit. SHOW TABLES; lists the views.")
    lines: list[str] = []
    while True:
        try:
            lines.append(input(_MORE if lines else _PROMPT))
        except (EOFError, KeyboardInterrupt):
            call.out.line()
            return
        text = "\n".join(lines).strip()
        if text.rstrip(";").lower() in {"exit", "quit"}:
            return
        if not text.endswith(";"):
            lines = lines if text else []
            continue
        lines = []
        try:
            connection.refresh()
            _show(
                call,
                connection.query(text, max_rows=max_rows or None, timeout_s=timeout or None),
                as_csv=False,
            )
        except TapeError as error:
            call.out.note(f"error: {error}")
