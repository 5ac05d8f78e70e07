"""What a command shows: JSON on stdout, or tables; prose, progress and hints on stderr.

Owns the form of amounts and times for people and for JSON. Never decides what to show, and never
prompts. rich is imported only for a terminal: a pipe or a file gets aligned plain text.
"""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import msgspec

from core.money import plain

Advance = Callable[[int, int | None], None]
"""Tell progress: so many done, of so many (or of an unknown number)."""

_NS = 1_000_000_000
_PLAIN_PERIOD_S = 5.0
_FOLDED_WIDTH_MIN = 20


class Output:
    """Where a command writes. `as_json` keeps stdout for one JSON document; see `alone`."""

    def __init__(self, *, as_json: bool = False, verbosity: int = 0, again: Sequence[str] = ()) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self._tape = shlex.join(["tape", *again])
        self._answer = sys.stdout

    def alone(self) -> AbstractContextManager[Any]:
        """Return where a verb runs: under `--json` what others print, such as strategies, goes to stderr."""
        return redirect_stdout(sys.stderr) if self.as_json else nullcontext()

    def interactive(self) -> bool:
        """Return whether there is somebody to ask and to answer."""
        return sys.stdin.isatty() and self._answer.isatty()

    def result(self, value: Any) -> None:
        """Print the command's answer as JSON on stdout; does nothing unless JSON was asked for."""
        if self.as_json:
            print(to_json(value), file=self._answer)

    def lines(self, text: str) -> None:
        """Print lines of an answer that has no end, JSON or not, to be seen now."""
        print(text, file=self._answer, flush=True)

    def rows(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Print rows as JSON as they come, in the same bytes as `result` prints a list of them."""
        empty = True
        for row in found:
            print("[\n  " if empty else ",\n  ", _row(row), sep="", end="", file=self._answer)
            empty = False
        print("[]" if empty else "\n]", file=self._answer)

    def line(self, text: str = "") -> None:
        """Print a line of the answer for people; silent under `--json`."""
        if not self.as_json:
            print(text)

    def flush(self) -> None:
        """Let what was printed be seen now: for commands that go on for long after their answer."""
        self._answer.flush()

    def note(self, text: str) -> None:
        """Say something about the work on stderr; silent under `-q`."""
        if self.verbosity >= 0:
            print(text, file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """Say something on stderr that only `-v` asks for."""
        if self.verbosity > 0:
            print(text, file=sys.stderr, flush=True)

    def command(self, verb: str) -> str:
        """Return how to call a verb again, with the `again` options that it needs."""
        return f"{self._tape} {verb}"

    def next(self, command: str, *, why: str = "") -> None:
        """Suggest the useful next command on stderr."""
        self.note(f"{why}next: {self.command(command)}")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        title: str = "",
        right: Collection[int] = (),
    ) -> None:
        """Print rows under their columns; silent under `--json`.

        Numbers are aligned to the right, and so are the columns `right`, whose numbers are text already.
        """
        if self.as_json:
            return
        cells = [[cell(value) for value in row] for row in rows]
        numeric = [i in right or _numeric([row[i] for row in rows]) for i in range(len(columns))]
        if on_terminal(sys.stdout):
            _rich_table(columns, cells, numeric, title)
        else:
            if title:
                print(title)
            for line in plain_table(columns, cells, numeric):
                print(line)

    def pairs(self, values: Mapping[str, Any], *, title: str = "") -> None:
        """Print names and values in two columns; silent under `--json`."""
        if self.as_json:
            return
        if title:
            print(title)
        width = max((len(name) for name in values), default=0)
        for name, value in values.items():
            print(f"  {name:<{width}}  {cell(value)}")

    def narrower(self, columns: int) -> bool:
        """Return whether the answer goes to a terminal with less than so many columns."""
        return on_terminal(sys.stdout) and shutil.get_terminal_size().columns < columns

    def panels(self, groups: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Print groups of names and values: side by side on a terminal; silent under `--json`."""
        if self.as_json:
            return
        if on_terminal(sys.stdout):
            _rich_panels(groups)
        else:
            for title, values in groups:
                self.pairs(values, title=title)

    @contextmanager
    def progress(self, what: str, stopped: str = "") -> Iterator[Advance]:
        """Show progress on stderr: a bar on a terminal, a plain line every few seconds otherwise.

        If the user stops it, `stopped` says what that leaves and how to go on.
        """
        try:
            if self.verbosity < 0:
                yield lambda _done, _total: None
            elif on_terminal(sys.stderr):
                with _rich_progress(what) as advance:
                    yield advance
            else:
                yield _plain_progress(what)
        except (KeyboardInterrupt, SystemExit):
            if stopped:
                self.note(stopped)
            raise


def on_terminal(stream: TextIO) -> bool:
    """Return whether the stream is an interactive terminal that wants more than plain text."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def to_json(value: Any) -> str:
    """Return JSON: money as strings without exponent, times as they are, NaN and infinity as null."""
    if isinstance(value, list) and value:
        # One row a line: still one document, and readable and cheap where there are many rows.
        rows = (_row(row) for row in value)
        return "[\n  " + ",\n  ".join(rows) + "\n]"
    return json.dumps(jsonable(value), ensure_ascii=False, indent=2, allow_nan=False)


def _row(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False)


def jsonable(value: Any) -> Any:
    """Return plain data that JSON can carry; structs become objects in the order of their fields."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else None
        case msgspec.Struct():
            return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [jsonable(item) for item in value]
        case _:
            return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value) if value.is_finite() else None
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()
        case _:
            return jsonable(value.item()) if hasattr(value, "item") else str(value)


def cell(value: Any) -> str:
    """Return a value for a table: amounts without exponent, nothing for `None`, one line only."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return plain(value)
        case float():
            return f"{value:.10g}"
        case _:
            return str(value).replace("\r", " ").replace("\n", " ")


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def when(ts: int | None, zone: str = "UTC") -> str:
    """Return a time in ns since 1970 UTC as ISO 8601 in `zone`, with only the digits that it needs.

    UTC ends in `Z`, others in their offset; nanoseconds are never rounded away.
    """
    if ts is None:
        return ""
    seconds, nanos = divmod(ts, _NS)
    second, offset = _second(seconds, zone)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    if 0 < len(fraction) < 4:
        fraction = f"{fraction:0<4}"
    return second + fraction + offset


@lru_cache(maxsize=4096)
def _second(seconds: int, zone: str) -> tuple[str, str]:
    """Return a whole second as text, and what its offset is written as; many events share one."""
    moment = datetime.fromtimestamp(seconds, UTC if zone == "UTC" else _zone(zone))
    return moment.strftime("%Y-%m-%dT%H:%M:%S"), "Z" if zone == "UTC" else moment.isoformat()[-6:]


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number and its noun: `1 session`, `2 sessions`; `many` where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


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
    from rich import box  # noqa: PLC0415  # 80 ms that only a terminal is worth
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
    from rich import box  # noqa: PLC0415  # see above
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


@contextmanager
def _rich_progress(what: str) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415  # see above
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _plain_progress(what: str) -> Advance:
    last = time.monotonic()

    def advance(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_PERIOD_S:
            last = time.monotonic()
            print(f"{what}: {done:,}" + (f" of {total:,}" if total else ""), file=sys.stderr, flush=True)

    return advance
