"""Sheets of an Excel workbook: openpyxl makes the workbook and its styles, rows are written as XML.

To openpyxl each cell is an object and an element of a tree, twenty times what its text costs: half a minute
for 50,000 orders and their fills. So it makes each sheet with its head, and the rows are put in behind that.
Rows wait in a temporary file, packed: memory does not grow with them. Source: ECMA-376, part 1, 18.3.1.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple
from xml.sax.saxutils import escape

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

TIME = "yyyy-mm-dd hh:mm:ss.000"
DATE = "yyyy-mm-dd"

_ROWS_MAX = 1_048_575
"""What a sheet holds beside its head."""
_TEXT_MAX = 32_767
_EXACT = 10**15
_EPOCH_DAYS = 25_569
_EPOCH = date(1970, 1, 1).toordinal() - _EPOCH_DAYS
_DAY_US = 86_400_000_000
_CHUNK = 1 << 20
_PACKING = 1
_EMPTY = "/>"
_END_OF_ROWS = b"</sheetData>"


class Styled(NamedTuple):
    """A value with the number format that it is to have."""

    value: Any
    form: str


def moment(ts: int) -> Styled:
    """Return a time for Excel: UTC without a zone, to the microsecond below (Excel shows milliseconds)."""
    return Styled(ts // 1000 / _DAY_US + _EPOCH_DAYS, TIME)


class Sheets:
    """A workbook that is being written, sheet after sheet."""

    def __init__(self) -> None:
        self._book = Workbook(write_only=True)
        self._rows: list[_Rows] = []
        self._styles: dict[str, str] = {}

    def add(
        self,
        title: str,
        heads: Iterable[str],
        rows: Iterable[Iterable[Any]],
        *,
        widths: tuple[int, ...] = (14,),
    ) -> None:
        """Write a sheet; rows beyond what one holds go to further ones, `title 2` and so on.

        Values are text, numbers, dates, flags, `None`, or `Styled` ones. Text never becomes a formula.
        """
        names = list(heads)
        letters = [get_column_letter(place) for place in range(1, len(names) + 1)]
        part, body = 1, self._begin(title, names, widths)
        for count, row in enumerate(rows):
            if count == part * _ROWS_MAX:
                part += 1
                body = self._begin(f"{title} {part}", names, widths)
            number = str(count - (part - 1) * _ROWS_MAX + 2)
            cells = [
                f'<c r="{letter}{number}"{self._cell(value)}'
                for letter, value in zip(letters, row, strict=True)
                if value is not None and value != ""
            ]
            body.write(f'<row r="{number}">{"".join(cells)}</row>')

    def save(self) -> bytes:
        """Return the bytes of the file."""
        made, out = io.BytesIO(), io.BytesIO()
        self._book.save(made)
        with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            for info in source.infolist():
                sheet = re.fullmatch(r"xl/worksheets/sheet(\d+)\.xml", info.filename)
                if sheet is None:
                    target.writestr(info, source.read(info))
                    continue
                before, end, after = source.read(info).partition(_END_OF_ROWS)
                with target.open(info.filename, "w") as file:
                    file.write(before)
                    self._rows[int(sheet[1]) - 1].copy_to(file)
                    file.write(end + after)
        return out.getvalue()

    def _begin(self, title: str, names: list[str], widths: tuple[int, ...]) -> "_Rows":
        sheet = self._book.create_sheet(title)
        sheet.freeze_panes = "A2"
        for number, name in enumerate(names, 1):
            width = widths[number - 1] if number <= len(widths) else max(len(name) + 2, 13)
            sheet.column_dimensions[get_column_letter(number)].width = width
        heads = []
        for name in names:
            head = WriteOnlyCell(sheet, value=name)
            head.font = Font(bold=True)
            heads.append(head)
        sheet.append(heads)
        rows = _Rows()
        self._rows.append(rows)
        return rows

    def _cell(self, value: Any) -> str:
        """Return a cell from behind its place on: style, type and value."""
        style = ""
        if type(value) is Styled:
            value, form = value
            style = self._style(form)
        elif type(value) is date:
            style = self._style(DATE)
        write = _WRITE.get(type(value))
        return style + (_other(value) if write is None else write(value))

    def _style(self, form: str) -> str:
        known = self._styles.get(form)
        if known is None:
            cell = WriteOnlyCell(self._book.worksheets[0])
            cell.number_format = form
            known = self._styles[form] = f' s="{cell.style_id}"'
        return known


class _Rows:
    """The rows of a sheet, packed, in a file that vanishes."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115  (closed once it is copied)
        self._packer = zlib.compressobj(_PACKING)

    def write(self, text: str) -> None:
        self._file.write(self._packer.compress(text.encode()))

    def copy_to(self, target: IO[bytes]) -> None:
        self._file.write(self._packer.flush())
        self._file.seek(0)
        unpacker = zlib.decompressobj()
        while packed := self._file.read(_CHUNK):
            target.write(unpacker.decompress(packed))
        self._file.close()


@lru_cache(maxsize=1_024)
def _text(value: str) -> str:
    clean = ILLEGAL_CHARACTERS_RE.sub("�", value)[:_TEXT_MAX]
    space = "" if clean == clean.strip() else ' xml:space="preserve"'
    return f' t="inlineStr"><is><t{space}>{escape(clean)}</t></is></c>'


def _number(value: float) -> str:
    return f"><v>{value!r}</v></c>" if isfinite(value) else _EMPTY


def _amount(value: Decimal) -> str:
    # Excel keeps 15 digits of a number: an amount with more is written as it is nearest to.
    whole = value == value.to_integral_value() and abs(value) < _EXACT
    return _number(int(value) if whole else float(value))


def _date(value: date) -> str:
    return _number(value.toordinal() - _EPOCH)


def _flag(value: bool) -> str:
    return f' t="b"><v>{value:d}</v></c>'


_WRITE: dict[type[Any], Callable[[Any], str]] = {
    str: _text,
    int: _number,
    float: _number,
    Decimal: _amount,
    date: _date,
    bool: _flag,
    type(None): lambda _: _EMPTY,
}


def _other(value: Any) -> str:
    # A kind of number or text, such as numpy's: as what it is a kind of.
    if isinstance(value, float):
        return _number(float(value))
    return _number(int(value)) if isinstance(value, int) else _text(str(value))
