"""A workbook's XML looked through before openpyxl builds anything of it: names, extents, formulas, merges.

Streams with expat, stops at the first limit passed, resolves no entity. It reads structure, and of values
only whether a number is one.
"""

import posixpath
import re
import zlib
from typing import Any, NoReturn
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

import msgspec

from core.errors import UsageError

ROWS_MAX = 20_000
COLUMNS_MAX = 256
CELLS_MAX = 30_000
ELEMENTS_MAX = 400_000
SHEETS_MAX = 60
_CHUNK = 1 << 16
_DIGITS_MAX = 20
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,20})?")
_REF = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")

Place = tuple[int, int]


class SheetInfo(msgspec.Struct):
    """A sheet as its XML shows it: places from (1, 1); merged ranges as (top, left, bottom, right)."""

    name: str
    part: str
    hidden: bool
    rows: int = 0
    columns: int = 0
    cells: int = 0
    formulas: set[Place] = msgspec.field(default_factory=set)
    merged: list[tuple[int, int, int, int]] = msgspec.field(default_factory=list)

    def trouble(self, row: int, column: int) -> str | None:
        """Return why a cell cannot be taken at its value, or `None`."""
        if (row, column) in self.formulas:
            return "is a formula, whose stored value may be out of date: paste it as a value"
        for top, left, bottom, right in self.merged:
            if top <= row <= bottom and left <= column <= right:
                return f"is part of the merged cells {ref(top, left)}:{ref(bottom, right)}: unmerge them"
        return None


class _Stop(Exception):
    """The root element was reached: nothing dangerous can be declared after it."""


def look_through(file: str, archive: ZipFile) -> list[SheetInfo]:
    """Return the workbook's sheets in order; raises `UsageError` for what is no harmless workbook."""
    parts = {entry.filename: entry for entry in archive.infolist()}
    for name, entry in parts.items():
        if name.endswith((".xml", ".rels")):
            _refuse_doctype(file, archive, entry)
    if "xl/workbook.xml" not in parts:
        raise UsageError(f"{file}: is a zip, but no workbook: xl/workbook.xml is not in it")
    sheets = _sheets(file, archive, parts)
    if len(sheets) > SHEETS_MAX:
        raise UsageError(f"{file}: has {len(sheets)} sheets; at most {SHEETS_MAX} are read")
    for sheet in sheets:
        _Scan(file, sheet).run(archive, parts[sheet.part])
    return sheets


def ref(row: int, column: int) -> str:
    """Return a cell's name, such as `C5`."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def place_of(name: str) -> Place | None:
    """Return `(row, column)` of a cell's name, or `None`."""
    found = _REF.fullmatch(name)
    if not found:
        return None
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]), column


def _parser(file: str, part: str) -> Any:
    def refuse(*_: Any) -> NoReturn:
        raise UsageError(f"{file}: {part} declares a document type or entity, which no spreadsheet writes")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def _feed(file: str, archive: ZipFile, entry: ZipInfo, parser: Any) -> None:
    try:
        with archive.open(entry) as stream:
            while chunk := stream.read(_CHUNK):
                parser.Parse(chunk, False)  # noqa: FBT003
        parser.Parse(b"", True)  # noqa: FBT003
    except (expat.ExpatError, BadZipFile, zlib.error, EOFError, ValueError, LookupError) as error:
        raise UsageError(f"{file}: {entry.filename} is damaged ({error}); save the file again") from error


def _refuse_doctype(file: str, archive: ZipFile, entry: ZipInfo) -> None:
    parser = _parser(file, entry.filename)

    def stop(*_: Any) -> NoReturn:
        raise _Stop

    parser.StartElementHandler = stop
    try:
        _feed(file, archive, entry, parser)
    except _Stop:
        return


def _sheets(file: str, archive: ZipFile, parts: dict[str, ZipInfo]) -> list[SheetInfo]:
    targets: dict[str, str] = {}
    listed: list[tuple[str, str, bool]] = []

    def relation(tag: str, given: dict[str, str]) -> None:
        if tag.endswith(" Relationship"):
            target = given.get("Target", "")
            path = target[1:] if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            targets[given.get("Id", "")] = path

    def sheet(tag: str, given: dict[str, str]) -> None:
        if tag.endswith(" sheet"):
            identity = next((value for key, value in given.items() if key.endswith(" id")), "")
            listed.append((given.get("name", ""), identity, given.get("state", "visible") != "visible"))

    for name, handler in (("xl/_rels/workbook.xml.rels", relation), ("xl/workbook.xml", sheet)):
        if name in parts:
            parser = _parser(file, name)
            parser.StartElementHandler = handler
            _feed(file, archive, parts[name], parser)
    found = [SheetInfo(name, targets.get(identity, ""), hidden) for name, identity, hidden in listed]
    return [one for one in found if one.part in parts and "chartsheets" not in one.part]


class _Scan:
    def __init__(self, file: str, sheet: SheetInfo) -> None:
        self._file = file
        self._sheet = sheet
        self._elements = 0
        self._row = 0
        self._column = 0
        self._kind = ""
        self._text: list[str] | None = None

    def run(self, archive: ZipFile, entry: ZipInfo) -> None:
        parser = _parser(self._file, entry.filename)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        _feed(self._file, archive, entry, parser)

    def _start(self, tag: str, given: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            self._refuse(f"has more than {ELEMENTS_MAX:,} elements")
        name = tag.rpartition(" ")[2]
        if name == "c":
            self._kind = given.get("t", "n")
            self._cell(given.get("r"))
        elif name == "v":
            self._text = []
        elif name == "row":
            number = given.get("r", "")
            if len(number) > _DIGITS_MAX:
                self._refuse(f"has a row called {number[:20]}…", "save the file again")
            self._row = int(number) if number.isdecimal() else self._row + 1
            self._column = 0
            self._bound(self._row, 1)
        elif name == "f":
            self._sheet.formulas.add((self._row, self._column))
        elif name == "mergeCell":
            self._merge(given.get("ref", ""))

    def _said(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        if self._text is None or tag.rpartition(" ")[2] != "v":
            return
        text, self._text = "".join(self._text).strip(), None
        if text and self._kind == "n" and not _NUMBER.fullmatch(text):
            self._refuse(
                f"has {text[:30]!r} as the number in cell {ref(self._row, self._column)}", "correct it"
            )

    def _cell(self, name: str | None) -> None:
        place = place_of(name) if name else (self._row, self._column + 1)
        if place is None:
            self._refuse(f"has a cell called {name!r}")
        self._row, self._column = place
        self._bound(*place)
        sheet = self._sheet
        sheet.cells += 1
        sheet.rows, sheet.columns = max(sheet.rows, place[0]), max(sheet.columns, place[1])
        if sheet.cells > CELLS_MAX:
            self._refuse(f"has more than {CELLS_MAX:,} cells")

    def _bound(self, row: int, column: int) -> None:
        if row > ROWS_MAX or column > COLUMNS_MAX:
            self._refuse(
                f"reaches cell {ref(row, column)}; at most {ROWS_MAX:,} rows and {COLUMNS_MAX} columns are "
                "read"
            )

    def _merge(self, text: str) -> None:
        ends = [place_of(name) for name in text.split(":")]
        if len(ends) == 2 and ends[0] and ends[1]:
            self._sheet.merged.append((*ends[0], *ends[1]))

    def _refuse(self, why: str, remedy: str = "keep the needed rows only") -> NoReturn:
        raise UsageError(f"{self._file}: sheet {self._sheet.name!r} {why}; {remedy}")
