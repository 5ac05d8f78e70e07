"""Tables of cells: one sheet of a workbook, a CSV or a Parquet file, as rows of plain values.

A reader never interprets a value; what a row means is `recommendations` and `forecasts`. Files are opened
here only, after `archive` and `sheetxml` found them harmless.
"""

import csv
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapters.replay.signals.archive import opened, size_of
from adapters.replay.signals.sheetxml import COLUMNS_MAX, ROWS_MAX, SheetInfo, look_through, ref
from core.errors import UsageError

WORKBOOKS = (".xlsx", ".xlsm")
TEXT_BYTES_MAX = 16 << 20
_MIB = 1 << 20
_PARTS = {
    "xl/sharedstrings": 8 * _MIB,
    "xl/styles": 2 * _MIB,
    "xl/worksheets/": 16 * _MIB,
    "xl/workbook.xml": _MIB,
    "xl/_rels/": _MIB,
    "[content_types]": _MIB,
    "_rels/": _MIB,
    "docprops/": _MIB,
    "xl/theme/": 2 * _MIB,
}


class Cells(msgspec.Struct, frozen=True):
    """A table as it is in the file. Row n of `rows` is line `n + 1`; rows may differ in length.

    `texts` tells that every value is text by nature (CSV), so that numbers are written in it. `hidden` names
    sheets of the workbook that are not looked at.
    """

    file: str
    sheet: str
    rows: list[list[Any]]
    trouble: Callable[[int, int], str | None]
    texts: bool = False
    hidden: str = ""

    def place(self, line: int, column: int) -> str:
        """Return what people call a cell: `BMA!C5`, or `line 5, column 3`."""
        return f"{self.sheet}!{ref(line, column)}" if self.sheet else f"line {line}, column {column}"


def _no_trouble(_line: int, _column: int) -> str | None:
    return None


def tables_of(path: Path, sheet: str | None = None) -> list[Cells]:
    """Return the tables of a file: the visible sheets of a workbook, or the one named; else the file itself.

    Raises `DataMissing` or `UsageError` that names the file, the place and what to do.
    """
    ending = path.suffix.lower()
    if ending in WORKBOOKS:
        return _workbook(path, sheet)
    if sheet is not None:
        raise UsageError(f"--sheet {sheet}: {path.name} has no sheets")
    if ending in {".csv", ".txt"}:
        return [_csv(path)]
    if ending in {".parquet", ".pq"}:
        return [_parquet(path)]
    raise UsageError(f"{path.name}: signals are read from .xlsx, .xlsm, .csv, .parquet and .npz files")


def _workbook(path: Path, wanted: str | None) -> list[Cells]:
    with opened(path, _PARTS) as archive:
        sheets = look_through(path.name, archive)
    chosen = [sheet for sheet in sheets if (sheet.name == wanted if wanted else not sheet.hidden)]
    hidden = ", ".join(repr(sheet.name) for sheet in sheets if sheet.hidden)
    if not chosen:
        names = ", ".join(repr(sheet.name) for sheet in sheets) or "none"
        if wanted is None and hidden:
            raise UsageError(f"{path.name}: every sheet is hidden ({hidden}); name one with --sheet NAME")
        raise UsageError(f"{path.name}: no sheet {wanted!r}; it has {names}")
    return _values(path, chosen, "" if wanted else hidden)


def _values(path: Path, sheets: Sequence[SheetInfo], hidden: str) -> list[Cells]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that do not matter here
        from openpyxl import load_workbook  # noqa: PLC0415  # a third of a second that others do not need

        try:
            book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
            try:
                return [_sheet(path.name, book, info, hidden) for info in sheets]
            finally:
                book.close()
        except UsageError:
            raise
        except Exception as error:  # openpyxl raises whatever a broken part leads to
            raise UsageError(
                f"{path.name}: cannot be read as a workbook ({type(error).__name__}: {error}); open it in a "
                "spreadsheet program and save it again"
            ) from error


def _sheet(file: str, book: Any, info: SheetInfo, hidden: str) -> Cells:
    rows: list[list[Any]] = []
    if info.cells:
        found = book[info.name].iter_rows(max_row=info.rows, max_col=info.columns, values_only=True)
        rows = [list(row) for row in found]
    return Cells(file, info.name, rows, info.trouble, hidden=hidden)


def _csv(path: Path) -> Cells:
    size_of(path, TEXT_BYTES_MAX)
    data = path.read_bytes()
    text = _decoded(path.name, data)
    head = text.lstrip("\n").partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    rows: list[list[Any]] = []
    try:
        for row in csv.reader(text.splitlines(), delimiter=delimiter):
            rows.append([value.strip() or None for value in row])
            _bound(path.name, len(rows), len(row))
    except csv.Error as error:
        raise UsageError(f"{path.name}:{len(rows) + 1}: {error}") from error
    return Cells(path.name, "", rows, _no_trouble, texts=True)


def _decoded(name: str, data: bytes) -> str:
    if b"\x00" in data:
        raise UsageError(f"{name}: holds zero bytes: no text; save it as CSV in UTF-8")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UsageError(f"{name}: is neither UTF-8 nor GBK text; save it as CSV in UTF-8")


def _parquet(path: Path) -> Cells:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    size_of(path)
    try:
        with pq.ParquetFile(path) as file:
            _bound(path.name, file.metadata.num_rows, file.metadata.num_columns)
            inflated = sum(file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups))
            if inflated > TEXT_BYTES_MAX:
                raise UsageError(f"{path.name}: inflates to {inflated:,} bytes; at most {TEXT_BYTES_MAX:,}")
            names = list(file.schema_arrow.names)
            rows = [[row[name] for name in names] for row in file.read().to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path.name}: cannot be read as Parquet: {error}") from error
    return Cells(path.name, "", [names, *rows], _no_trouble)


def _bound(name: str, rows: int, columns: int) -> None:
    if rows > ROWS_MAX or columns > COLUMNS_MAX:
        raise UsageError(
            f"{name}: has {rows:,} rows and {columns:,} columns; at most {ROWS_MAX:,} rows and "
            f"{COLUMNS_MAX} columns are read"
        )
