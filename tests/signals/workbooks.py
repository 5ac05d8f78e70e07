"""Workbooks for tests: ordinary ones by openpyxl, hostile ones byte by byte."""

import struct
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from adapters.replay.calendar import sessions
from adapters.replay.signals.market import Market
from core.clock import DAY_NS, local
from core.events import InstrumentDefined

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
KIND = "application/vnd.openxmlformats-"
NOW = local("2025-07-10", "12:00", "America/New_York")
HEAD = ("symbol", "weight", "date")


def instrument(name: str, exchange: str = "XNYS", zone: str = "America/New_York") -> InstrumentDefined:
    return InstrumentDefined(0, name, name, "STK", exchange, "USD", Decimal(1), Decimal("0.01"), zone)


def market(**closes: Sequence[tuple[int, float]]) -> Market:
    """Three shares of New York, one of Hong Kong and one of Shanghai, on 2025-07-10."""
    listed = [instrument(name) for name in ("ACME", "AAPL", "MSFT")]
    listed += [instrument("700", "XHKG", "Asia/Hong_Kong"), instrument("600519", "XSHG", "Asia/Shanghai")]
    days = sessions("XNYS", date(2025, 6, 30), date(2025, 7, 10))
    return Market(listed, days, {name: list(found) for name, found in closes.items()}, NOW)


def steady(name: str = "ACME", count: int = 8, last: float = 100.0) -> dict[str, list[tuple[int, float]]]:
    """Closes that end with `last` on 2025-07-01 and move by about 2 % a day."""
    end = local("2025-07-01", "16:00", "America/New_York")
    prices = [last * (1.02 if n % 2 else 1.0) for n in range(count - 1, -1, -1)]
    return {name: [(end - (count - 1 - n) * DAY_NS, price) for n, price in enumerate(prices)]}


def workbook(path: Path, *rows: Sequence[Any], title: str = "BMA", hidden: bool = False) -> Path:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    if hidden:
        book.create_sheet("shown")
        sheet.sheet_state = "hidden"
    book.save(path)
    return path


def raw(
    path: Path,
    body: str | Iterable[bytes] = "",
    *,
    extra: dict[str, bytes] | None = None,
    prologue: str = "",
    name: str = "BMA",
    dimension: str = "",
) -> Path:
    """Write a workbook whose one sheet has `body` in its sheetData, and whatever else as parts."""
    head = f'<?xml version="1.0"?>{prologue}<worksheet xmlns="{MAIN}">{dimension}<sheetData>'
    chunks = [body.encode()] if isinstance(body, str) else body
    parts = {
        "[Content_Types].xml": f'<?xml version="1.0"?><Types xmlns="{TYPES}"><Default Extension="rels" '
        f'ContentType="{KIND}package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{KIND}officedocument.spreadsheetml.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{KIND}officedocument.spreadsheetml.'
        'worksheet+xml"/></Types>'.encode(),
        "_rels/.rels": f'<?xml version="1.0"?><Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="'
        f'{RELS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'.encode(),
        "xl/_rels/workbook.xml.rels": f'<?xml version="1.0"?><Relationships xmlns="{PACKAGE}"><Relationship '
        f'Id="rId1" Type="{RELS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'.encode(),
        "xl/workbook.xml": f'<?xml version="1.0"?><workbook xmlns="{MAIN}" xmlns:r="{RELS}"><sheets><sheet '
        f'name="{name}" sheetId="1" r:id="rId1"/></sheets></workbook>'.encode(),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, data in {**parts, **(extra or {})}.items():
            archive.writestr(part, data)
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for chunk in (head.encode(), *chunks, b"</sheetData></worksheet>"):
                sheet.write(chunk)
    return path


def cells(row: int, *values: str) -> str:
    """One row; a value that begins with `<` is the cell's XML, others are inline text."""
    inner = [
        f'<c r="{chr(65 + n)}{row}">{value}</c>'
        if value.startswith("<")
        else f'<c r="{chr(65 + n)}{row}" t="inlineStr"><is><t>{value}</t></is></c>'
        for n, value in enumerate(values)
    ]
    return f'<row r="{row}">{"".join(inner)}</row>'


HEADER = cells(1, *HEAD)


def bomb(path: Path) -> Path:
    """400 MB of one row over and over in some 400 kB."""
    row = cells(2, "ACME", "<v>0.5</v>", "2025-07-01").encode()
    many = row * 10_000
    return raw(path, [HEADER.encode(), *[many] * (400_000_000 // len(many))])


def quiet_bomb(path: Path) -> Path:
    """Many parts, each below every limit of its own, 600 MB in all."""
    filler = {f"xl/media/part{n}.bin": bytes(900_000) for n in range(700)}
    return raw(path, HEADER, extra=filler)


def entity_bomb(path: Path) -> Path:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    declared = f'<!DOCTYPE w [<!ENTITY e0 "{"x" * 100}">{levels}]>'
    return raw(path, HEADER + cells(2, "&e9;", "<v>1</v>", "2025-07-01"), prologue=declared)


def digits(count: int) -> str:
    """Cells without names whose values do not repeat."""
    return "".join(f"<c><v>{n * 7919 % 1_000_003}</v></c>" for n in range(count))


def crowd(path: Path) -> Path:
    """Half a million cells without names, in one row, in a sheet without a dimension."""
    return raw(path, HEADER + '<row r="2">' + digits(500_000) + "</row>")


def far(path: Path) -> Path:
    return raw(
        path,
        HEADER + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        dimension='<dimension ref="A1"/>',
    )


def long_strings(path: Path) -> Path:
    chunk = "".join(f"<si><t>{n:030d}{'x' * 40}</t></si>" for n in range(200_000))
    return raw(path, HEADER, extra={"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{chunk}</sst>'.encode()})


def heavy_styles(path: Path) -> Path:
    styles = "".join(f'<xf numFmtId="{n}" fontId="0"/>' for n in range(150_000))
    text = f'<styleSheet xmlns="{MAIN}"><cellXfs>{styles}</cellXfs></styleSheet>'
    return raw(path, HEADER, extra={"xl/styles.xml": text.encode()})


def crowded_directory(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(30_000):
            archive.writestr(f"xl/{n}", b"")
    return path


def lying_directory(path: Path) -> Path:
    """A zip bomb whose directory says that the sheet has 100 bytes."""
    bomb(path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    old, place = struct.pack("<I", size), 0
    while (place := data.find(old, place)) >= 0:
        data[place : place + 4] = struct.pack("<I", 100)
        place += 4
    path.write_bytes(data)
    return path


def encrypted(path: Path) -> Path:
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096))
    return path


def password_zip(path: Path) -> Path:
    raw(path, HEADER)
    data = bytearray(path.read_bytes())
    place = data.find(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(data)
    return path


def no_zip(path: Path) -> Path:
    path.write_bytes(b"symbol,weight\nACME,1\n" * 100)
    return path


def cut_short(path: Path) -> Path:
    workbook(path, HEAD, ("ACME", 1, "2025-07-01"))
    path.write_bytes(path.read_bytes()[:-200])
    return path


def other_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a workbook")
    return path


def broken_xml(path: Path) -> Path:
    return raw(path, HEADER + "<row><c></row>")


def endless_columns(path: Path) -> Path:
    return raw(path, HEADER + '<row r="2"><c r="XFD2"><v>1</v></c></row>')


def long_number(path: Path) -> Path:
    return raw(path, HEADER + f'<row r="{"9" * 5000}"><c><v>1</v></c></row>')


def no_number(path: Path) -> Path:
    return raw(path, HEADER + cells(2, "ACME", "<v>nan</v>", "2025-07-01"))


def huge(path: Path) -> Path:
    return workbook(
        path, ("symbol", "score", "date"), ("ACME", 1e300, "2025-07-01"), ("AAPL", 1, "2025-07-01")
    )


HOSTILE = {
    "zip bomb": (bomb, "inflates"),
    "many small parts": (quiet_bomb, "inflates to"),
    "entity bomb": (entity_bomb, "document type"),
    "half a million cells": (crowd, "columns are read"),
    "far cell": (far, "1048576"),
    "endless columns": (endless_columns, "XFD2"),
    "a number of 5000 digits": (long_number, "has a row called"),
    "nan as a number": (no_number, "has 'nan' as the number in cell B2"),
    "a score beyond all": (huge, "BMA!B2: 1e+300 is no score"),
    "shared strings": (long_strings, "sharedStrings.xml inflates to"),
    "styles": (heavy_styles, "styles.xml inflates to"),
    "directory of 30,000": (crowded_directory, "directory has"),
    "lying directory": (lying_directory, "damaged"),
    "encrypted": (encrypted, "encrypted"),
    "zip with a password": (password_zip, "encrypted"),
    "not a zip": (no_zip, "is no zip"),
    "cut short": (cut_short, "is no zip"),
    "another zip": (other_zip, "no workbook"),
    "broken xml": (broken_xml, "damaged"),
}
