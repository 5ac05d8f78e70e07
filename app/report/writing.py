"""Files that a report is written to: each is written aside and renamed, so it is whole or as it was."""

import csv
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from app.report.building import Material
from app.report.comparison import SideBySide
from app.report.tables import Table, tables
from app.values import cell
from core.errors import StoreError, TapeError, UsageError


def check(html: Path | None, directory: Path | None = None, excel: Path | None = None) -> None:
    """Refuse places that cannot be written before any work is done; raises `UsageError`."""
    if excel is not None and excel.suffix.lower() != ".xlsx":
        raise UsageError(f"--excel {excel}: expected a name that ends in .xlsx")
    for option, path in (("--html", html), ("--excel", excel)):
        if path is not None and path.is_dir():
            raise UsageError(f"{option} {path}: is a directory; expected the name of a file")
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(
                f"{option} {path}: there is no directory {path.absolute().parent}; make it first"
            )
    if directory is not None and directory.exists() and not directory.is_dir():
        raise UsageError(f"--csv {directory}: is a file; expected a directory")


def write(material: Material, *, html: Path | None, csv: Path | None, excel: Path | None) -> Iterator[Path]:
    """Write what is asked for; yield each path when it is written. Raises `UsageError` if it cannot be."""
    if csv is not None:
        yield write_csv(material, csv)
    if html is not None:
        from app.report.page import render  # noqa: PLC0415

        yield write_bytes(html, render(material).encode("utf-8"), "--html")
    if excel is not None:
        from app.report.workbook import workbook  # noqa: PLC0415  # openpyxl takes a quarter of a second

        yield write_bytes(excel, workbook(material), "--excel")


def write_comparison(told: SideBySide, first: Material, second: Material, path: Path) -> Path:
    """Write two runs side by side as a page."""
    from app.report.comparison_page import render  # noqa: PLC0415

    return write_bytes(path, render(told, first, second).encode("utf-8"), "--html")


def write_csv(material: Material, directory: Path) -> Path:
    """Write a file for each table that has rows."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, table in tables(material):
            _write_table(directory / f"{name}.csv", table)
    except OSError as error:
        raise _unwritable("--csv", directory, error) from error
    return directory


def _write_table(path: Path, table: Table) -> None:
    heads, rows = table
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if heads:
            writer.writerow(heads)
        writer.writerows([_plain(value) for value in row] for row in rows)
    aside.replace(path)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return cell(value)


def write_bytes(path: Path, content: bytes, option: str) -> Path:
    """Write a file whole or not at all; raises `UsageError`, `StoreError` for a full disk.

    A pipe or a device is written to.
    """
    place = Path(os.path.realpath(path))  # a link stays one
    aside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(content)
            return path
        aside.write_bytes(content)
        aside.replace(place)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _unwritable(option, path, error) from error
    return path


def _unwritable(option: str, path: Path, error: OSError) -> TapeError:
    text = f"{option} {path}: cannot be written: {error.strerror}"
    if error.errno in {errno.ENOSPC, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return StoreError(f"{text}; free some space or check the disk, then run the command again")
    return UsageError(text)
