"""Tables and panels on stdout: drawn by rich on a terminal, aligned plain text in a pipe or a file.

rich is imported only for a terminal: that takes 80 ms.
"""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TextIO

from app.values import cell

_FOLDED_WIDTH_MIN = 20


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "", right: Collection[int] = ()
) -> None:
    """Print rows under their columns; numbers to the right, and so the columns `right`, which are text."""
    cells = [[cell(value) for value in row] for row in rows]
    numeric = [i in right or _numeric([row[i] for row in rows]) for i in range(len(columns))]
    if on_terminal(sys.stdout):
        _rich_table(columns, cells, numeric, title)
        return
    if title:
        print(title)
    for line in plain_table(columns, cells, numeric):
        print(line)


def print_pairs(values: Mapping[str, Any], *, title: str = "") -> None:
    """Print names and values in two columns."""
    if title:
        print(title)
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        print(f"  {name:<{width}}  {cell(value)}")


def print_panels(groups: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """Print groups of names and values: side by side on a terminal, else one below the other."""
    if on_terminal(sys.stdout):
        _rich_panels(groups)
        return
    for title, values in groups:
        print_pairs(values, title=title)


def on_terminal(stream: TextIO) -> bool:
    """Return whether the stream is an interactive terminal that wants more than plain text."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def plain_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]
) -> Iterator[str]:
    """Yield the lines of an aligned table without any drawing characters."""
    widths = [
        max(len(name), *(len(row[index]) for row in cells)) if cells else len(name)
        for index, name in enumerate(columns)
    ]
    for row in (columns, ["-" * width for width in widths], *cells):
        parts = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        yield "  ".join(parts).rstrip()


def _numeric(values: Sequence[Any]) -> bool:
    kinds = [value for value in values if value is not None]
    return bool(kinds) and all(
        isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in kinds
    )


def _rich_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool], title: str
) -> None:
    from rich import box  # noqa: PLC0415  # for a terminal only
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    widest = max(range(len(columns)), key=lambda index: (not numeric[index], widths[index]))
    # Folding every column makes a narrow table unreadable: one takes what room is left, or, if that is too
    # little, the lines are as long as they are and the terminal wraps them.
    needed = sum(widths) + 3 * len(columns)
    if needed - console.width > widths[widest] - _FOLDED_WIDTH_MIN:
        console = Console(width=max(needed, console.width))
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, (name, right) in enumerate(zip(columns, numeric, strict=True)):
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=index != widest)
    for row in cells:
        table.add_row(*(Text(text) for text in row))
    console.print(table)


def _rich_panels(groups: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    from rich import box  # noqa: PLC0415
    from rich.columns import Columns  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    tables = []
    for title, values in groups:
        table = Table(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False
        )
        table.add_column(overflow="fold")
        table.add_column(justify="right", overflow="fold")
        for name, value in values.items():
            table.add_row(Text(name), Text(value))
        tables.append(table)
    Console().print(Columns(tables))
