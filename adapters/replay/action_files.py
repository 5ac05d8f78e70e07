"""Files of splits and dividends: LEAN's factor files, and CSV files with a row for each action.

Each row becomes one `CorporateAction`, in a feed of its own. Owns the meaning of these files; appending is
importing.py's. What a row does to prices and positions is decided when it is replayed.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

from adapters.replay.calendar import midnight_ns, zone
from adapters.replay.delimited import count_lines
from adapters.replay.importing import Definitions, FileSlice, ImportSet, digest_of
from adapters.replay.numerals import number
from adapters.replay.rows import ROW_TEXT_MAX
from core.errors import DataMissing, InvalidEvent, UsageError
from core.events import CorporateAction, Event, RowRejected
from core.money import money

LEAN_FEED = "lean/actions"
CSV_FEED = "csv/actions"
TIMEZONE = "America/New_York"
_COLUMNS = ("symbol", "date", "kind", "ratio", "amount", "reference_price")
_RATIO_PARTS_MAX = 100


def lean_actions(root: Path, symbol: str) -> ImportSet | None:
    """Describe the factor file of a symbol, `equity/usa/factor_files/<symbol>.csv`, or `None` without one.

    A row is `yyyymmdd,price factor,split factor,reference price`: up to that date raw prices are multiplied
    by both. What happened on the next day follows from how the factors differ from the next row's.
    """
    path = root / "equity" / "usa" / "factor_files" / f"{symbol.lower()}.csv"
    if not path.is_file():
        return None
    data = _read(path)
    name = path.relative_to(root).as_posix()
    build = partial(_factor_rows, instrument=symbol.upper(), name=name)
    return _set(LEAN_FEED, f"lean factor file {symbol.upper()}", name, data, 0, build)


def csv_actions(path: Path, timezone: str | None) -> ImportSet:
    """Describe a CSV file with the columns `symbol,date,kind,ratio,amount,reference_price`.

    `kind` is `split` (with `ratio`, new shares for one old) or `dividend` (with `amount` a share, and the
    close before as `reference_price`, which adjusted prices need). Raises `UsageError` for other columns.
    """
    if not path.is_file():
        raise DataMissing(f"{path}: no such file")
    data = _read(path)
    head = data.split(b"\n", 1)[0].decode("utf-8", errors="replace").removeprefix("\ufeff")
    columns = [column.strip().lower() for column in head.split(",")]
    missing = [name for name in _COLUMNS[:3] if name not in columns]
    if missing or not {"ratio", "amount"} & set(columns):
        raise UsageError(
            f"{path}: expected the columns {','.join(_COLUMNS)}, found {', '.join(columns)}; the first three "
            f"and ratio or amount are needed"
        )
    where = timezone or TIMEZONE
    zone(where)
    build = partial(_action_rows, columns=columns, name=path.name, timezone=where)
    return _set(CSV_FEED, f"csv corporate actions; dates of {where}", path.name, data, 1, build)


def _set(feed: str, format_: str, name: str, data: bytes, skip: int, build: object) -> ImportSet:
    rows = count_lines(data) - skip
    if rows < 1:
        raise UsageError(f"{name}: holds no rows; expected splits or dividends")
    lines = data.decode("utf-8", errors="backslashreplace").split("\n")[skip : skip + rows]
    texts = [line.strip() for line in lines]

    def items(wanted: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        assert callable(build)
        made: list[Event] = build(texts, 1 + skip)
        for piece in wanted:
            yield made[piece.first - 1 : piece.first - 1 + piece.rows]

    return ImportSet(feed, format_, (FileSlice(name, digest_of(data), 1, rows),), lambda: (), items)


def _factor_rows(texts: Sequence[str], first_line: int, *, instrument: str, name: str) -> list[Event]:
    rows = [_factors(text) for text in texts]
    made: list[Event] = []
    last = 0
    for place, row in enumerate(rows):
        before = next((r for r in reversed(rows[:place]) if not isinstance(r, str)), None)
        if not isinstance(row, str) and before is not None and row[0] <= before[0]:
            row = f"date {row[0]} does not follow {before[0]} of the row above"  # noqa: PLW2901
        if isinstance(row, str):
            made.append(RowRejected(last, name, first_line + place, row, texts[place][:ROW_TEXT_MAX]))
            continue
        after = next((r for r in rows[place + 1 :] if not isinstance(r, str)), None)
        action = _factor_action(instrument, row, after)
        last = action.ts
        made.append(action)
    return made


def _factors(text: str) -> tuple[date, float, float, float] | str:
    fields = text.split(",")
    if len(fields) not in (3, 4):
        return f"expected 4 fields, found {len(fields) if text else 0}"
    try:
        day = date.fromisoformat(fields[0].strip())
    except ValueError:
        return f"field date: {fields[0]!r} is not a date; expected YYYYMMDD"
    values = [number(field) for field in fields[1:]]
    for column, value, field in zip(("price factor", "split factor"), values, fields[1:], strict=False):
        if value is None or not 0 < value < 1e9:
            return f"field {column}: {field!r} is not a number above 0"
    reference = values[2] if len(values) > 2 else 0.0
    if reference is None or not 0 <= reference < 1e9:
        return f"field reference price: {fields[3]!r} is not a number of 0 or more"
    assert values[0] is not None
    assert values[1] is not None
    return day, values[0], values[1], reference


def _factor_action(
    instrument: str, row: tuple[date, float, float, float], after: tuple[date, float, float, float] | None
) -> CorporateAction:
    day, price, split, reference = row
    effective = day + timedelta(days=1)
    ratio, dividend = Decimal(1), Decimal(0)
    if after is not None:
        ratio = _ratio(after[2] / split)
        # To the cent, as LEAN pays it: factors have seven digits, so more would be noise.
        dividend = money(repr(max(0.0, round(reference * (1.0 - price / after[1]), 2))))
    return CorporateAction(
        midnight_ns(effective, zone(TIMEZONE)),
        LEAN_FEED,
        instrument,
        effective.isoformat(),
        ratio,
        dividend,
        "USD",
        reference or None,
        price,
        split,
    )


def _ratio(value: float) -> Decimal:
    """Return a split's ratio: factors are rounded, ratios are ratios of small whole numbers."""
    exact = Fraction(value)
    near = exact.limit_denominator(_RATIO_PARTS_MAX)
    if near and abs(near - exact) < exact / 10_000:
        exact = near
    return money(Decimal(exact.numerator) / Decimal(exact.denominator))


def _action_rows(
    texts: Sequence[str], first_line: int, *, columns: Sequence[str], name: str, timezone: str
) -> list[Event]:
    made: list[Event] = []
    last = 0
    for place, text in enumerate(texts):
        action = _action(dict(zip(columns, (f.strip() for f in text.split(",")), strict=False)), timezone)
        if isinstance(action, str):
            made.append(RowRejected(last, name, first_line + place, action, text[:ROW_TEXT_MAX]))
        else:
            last = action.ts
            made.append(action)
    return made


def _action(row: dict[str, str], timezone: str) -> CorporateAction | str:
    symbol, kind = row.get("symbol", ""), row.get("kind", "").lower()
    if not symbol:
        return "field symbol: empty"
    try:
        day = date.fromisoformat(row.get("date", ""))
    except ValueError:
        return f"field date: {row.get('date', '')!r} is not a date; expected YYYY-MM-DD"
    field = {"split": "ratio", "dividend": "amount"}.get(kind)
    if field is None:
        return f"field kind: {kind!r}; expected split or dividend"
    amount, reference = _amount(row.get(field, "")), _amount(row.get("reference_price", "") or "0")
    if amount is None or amount <= 0:
        return f"field {field}: {row.get(field, '')!r} is not a number above 0"
    if reference is None or reference < 0:
        return f"field reference_price: {row.get('reference_price')!r} is not a number"
    ratio, dividend = (amount, Decimal(0)) if kind == "split" else (Decimal(1), amount)
    ts = midnight_ns(day, zone(timezone))
    currency = row.get("currency", "") or "USD"
    return CorporateAction(
        ts, CSV_FEED, symbol, day.isoformat(), ratio, dividend, currency, float(reference) or None
    )


def _amount(text: str) -> Decimal | None:
    try:
        return money(text)
    except (InvalidEvent, ArithmeticError):
        return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
