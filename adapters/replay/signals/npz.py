"""Forecasts in a NumPy archive: `symbols` (n), `forecast` (n × days), and `as_of` or `date` (one, or n).

Optional: `base` (n) and `confidence` (n). Nothing is unpickled; an array must be as large as its header says.
"""

import zipfile
from pathlib import Path
from typing import Any

from numpy.lib import format as npy

from adapters.replay.signals.archive import opened
from adapters.replay.signals.cells import Cells
from adapters.replay.signals.headings import DAYS_MAX
from adapters.replay.signals.sheetxml import ROWS_MAX
from core.errors import UsageError

_BYTES_MAX = 16 << 20


def npz_table(path: Path) -> Cells:
    """Return the archive as a table with the headings `symbol`, `date`, `base`, `confidence`, `d+1`, …."""
    with opened(path, {"": _BYTES_MAX}) as archive:
        arrays = {
            entry.filename.removesuffix(".npy"): _array(path.name, archive, entry)
            for entry in archive.infolist()
        }
    for needed in ("symbols", "forecast"):
        if needed not in arrays:
            raise UsageError(
                f"{path.name}: no array {needed!r}; it has {', '.join(sorted(arrays)) or 'none'}"
            )
    symbols, forecast = arrays["symbols"], arrays["forecast"]
    if symbols.ndim != 1 or forecast.ndim != 2 or len(symbols) != len(forecast):
        raise UsageError(
            f"{path.name}: symbols is {symbols.shape} and forecast {forecast.shape}; expected "
            "(n,) and (n, days)"
        )
    rows, days = forecast.shape
    if rows > ROWS_MAX or not 1 <= days <= DAYS_MAX:
        raise UsageError(f"{path.name}: forecast is {forecast.shape}; at most ({ROWS_MAX}, {DAYS_MAX})")
    columns: dict[str, list[Any]] = {"symbol": symbols.tolist()}
    for name, field in (("as_of", "date"), ("date", "date"), ("base", "base"), ("confidence", "confidence")):
        if name in arrays and field not in columns:
            columns[field] = _spread(path.name, name, arrays[name], rows)
    heads = [*columns, *(f"d+{n}" for n in range(1, days + 1))]
    body = [
        [*(column[n] for column in columns.values()), *values] for n, values in enumerate(forecast.tolist())
    ]
    return Cells(path.name, "", [heads, *body], lambda _line, _column: None)


def _spread(file: str, name: str, array: Any, rows: int) -> list[Any]:
    values = array.astype(str) if array.dtype.kind == "M" else array
    if values.ndim == 0:
        return [values.item()] * rows
    if values.shape != (rows,):
        raise UsageError(f"{file}: {name} is {values.shape}; expected one value, or ({rows},)")
    return list(values.tolist())


def _array(file: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    try:
        with archive.open(entry) as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(stream)
            size = dtype.itemsize
            for length in shape:
                size *= length
            if dtype.hasobject or dtype.kind not in "fiuUM" or size > entry.file_size:
                raise UsageError(
                    f"{file}: {entry.filename} is {dtype} {shape}; expected numbers or "
                    "text, as large as it says"
                )
        with archive.open(entry) as stream:
            return npy.read_array(stream, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, SyntaxError, MemoryError) as error:
        raise UsageError(
            f"{file}: {entry.filename} cannot be read ({error}); save it with numpy.savez"
        ) from error
