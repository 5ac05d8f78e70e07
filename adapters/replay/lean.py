"""Reads US equity data in the folder layout of QuantConnect's LEAN.

`equity/usa/<tick|second|minute>/<symbol>/<yyyymmdd>_<trade|quote>.zip`, one day a set with trades and
quotes merged by time, and `equity/usa/<hour|daily>/<symbol>.zip`, one file for all dates. Prices are raw
integers in 1/10,000 USD, times are milliseconds since midnight in New York, a bar's time is its start.
Owns the meaning of these files; appending is importing.py's, checks of rows are row_checks.py's.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from adapters.replay.calendar import days_since_epoch, midnight_ns, sessions, utc_ns, zone
from adapters.replay.held_bars import HeldBars
from adapters.replay.importing import Definitions, FileSlice, ImportSet
from adapters.replay.lean_rows import LENGTHS_NS, daily_bars, quote_bars, quote_ticks, trade_bars, trade_ticks
from adapters.replay.lines import Piece
from adapters.replay.merging import judged, merged
from adapters.replay.rows import Draft, Rows
from adapters.replay.zip_texts import ZipText, survey
from core.clock import DAY_NS
from core.errors import DataMissing, UsageError
from core.events import Event, FeedDefined, InstrumentDefined, SessionScheduled

EXCHANGE = "XNYS"
TIMEZONE = "America/New_York"
RESOLUTIONS = ("tick", "second", "minute", "hour", "daily")
HISTORY_BYTES_MAX = 64 << 20

Sessions = Callable[[], list[SessionScheduled]]


class Days(NamedTuple):
    """An inclusive range of session dates."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


def parse_days(text: str) -> Days:
    """Read `2013-10-07` or `2013-10-07..2013-10-11`; raises `UsageError`."""
    first, _, last = text.partition("..")
    try:
        days = Days(date.fromisoformat(first), date.fromisoformat(last or first))
    except ValueError as error:
        raise UsageError(f"--date {text!r}: expected YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD") from error
    if days.last < days.first:
        raise UsageError(f"--date {text!r}: the range ends before it begins; expected FIRST..LAST")
    return days


def lean_sets(root: Path, symbol: str, resolution: str, days: Days | None = None) -> list[ImportSet]:
    """Describe the files to import, a set for each day (one for all days where LEAN keeps one file).

    All dates there are if `days` is `None`. Raises `DataMissing` (nearest dates or symbols named) and
    `UsageError` (a file that is no zip).
    """
    if resolution not in RESOLUTIONS:
        raise UsageError(f"--resolution {resolution!r}: expected one of {', '.join(RESOLUTIONS)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", symbol):
        raise UsageError(f"--symbol {symbol!r}: expected a ticker such as SPY")
    folder = root / "equity" / "usa" / resolution
    if not folder.is_dir():
        raise DataMissing(
            f"{folder}: no such folder; --root is the folder that holds equity/usa/{resolution}/"
        )
    if resolution in {"hour", "daily"}:
        return [_history_set(root, folder, symbol, resolution, days)]
    return _day_sets(root, folder, symbol, resolution, days)


def _date_of(day: str, home: Path) -> date:
    try:
        return date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError as error:
        raise UsageError(
            f"{home / day}_…: {day} in a file's name is no date; next: rename it or move it away"
        ) from error


def _day_sets(root: Path, folder: Path, symbol: str, resolution: str, days: Days | None) -> list[ImportSet]:
    home = folder / symbol.lower()
    if not home.is_dir():
        _no_symbol(folder, symbol, [path.name for path in folder.iterdir() if path.is_dir()])
    held = sorted({path.name[:8] for path in home.glob("[0-9]" * 8 + "_*.zip")})
    dates = [_date_of(day, home) for day in held]
    wanted = [day for day in dates if days is None or days.first <= day <= days.last]
    if not wanted:
        near = sorted(dates, key=lambda day: abs((day - days.first).days))[:3] if days else []
        there = ", ".join(str(day) for day in sorted(near)) or "none at all"
        raise DataMissing(
            f"{home}: no {resolution} data of {symbol.upper()} for {days}; nearest dates: {there}"
        )
    for path in (path for day in wanted for path in sorted(home.glob(f"{day:%Y%m%d}_*.zip"))):
        if not path.exists():
            raise DataMissing(f"{path}: a link to a file that is not there; put it back or remove the link")
    sets: list[ImportSet] = []
    first = since = days.first if days else wanted[0]
    calendar = cache(lambda: sessions(EXCHANGE, first, wanted[-1]))
    for day in wanted:
        scheduled = partial(_held_between, calendar, since, day)
        sets.append(_day_set(root, home, symbol.upper(), resolution, day, scheduled))
        since = day + timedelta(days=1)
    return sets


def _held_between(calendar: Sessions, first: date, last: date) -> list[SessionScheduled]:
    return [held for held in calendar() if first.isoformat() <= held.date <= last.isoformat()]


def _day_set(
    root: Path, home: Path, instrument: str, resolution: str, day: date, scheduled: Sessions
) -> ImportSet:
    held = HeldBars()
    paths = [home / f"{day:%Y%m%d}_{kind}.zip" for kind in ("trade", "quote")]
    texts = [survey(path, path.relative_to(root).as_posix()) for path in paths if path.exists()]
    by_digest = {text.digest: text for text in texts}

    def items(wanted: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        files = [
            _day_rows(by_digest[piece.digest], piece.name, instrument, resolution, day)
            for piece in sorted(wanted, key=lambda piece: piece.name, reverse=True)  # trade before quote
        ]
        return merged(files, held.check)

    return ImportSet(
        feed=f"lean/{resolution}",
        format=f"lean equity/usa/{resolution} {instrument} {day}",
        slices=tuple(FileSlice(text.name, text.digest, 1, text.rows) for text in texts),
        definitions=lambda: _definitions(instrument, resolution, scheduled(), day),
        items=items,
        held=held,
    )


def _day_rows(text: ZipText, name: str, instrument: str, resolution: str, day: date) -> Iterator[Rows]:
    quotes = name.endswith("_quote.zip")
    wall = days_since_epoch(day) * DAY_NS
    build: Callable[..., Draft]
    if resolution == "tick":
        build = quote_ticks if quotes else trade_ticks
    else:
        build = partial(quote_bars if quotes else trade_bars, length=LENGTHS_NS[resolution])
    drafts = (
        build(
            piece._replace(file=name),
            feed=f"lean/{resolution}",
            instrument=instrument,
            clock=lambda ns: utc_ns(ns + wall, zone(TIMEZONE)),
        )
        for piece in text.pieces()
    )
    return judged(drafts, midnight_ns(day, zone(TIMEZONE)))


def _history_set(root: Path, folder: Path, symbol: str, resolution: str, days: Days | None) -> ImportSet:
    path, instrument, feed = folder / f"{symbol.lower()}.zip", symbol.upper(), f"lean/{resolution}"
    if not path.exists():
        _no_symbol(folder, symbol, [held.stem for held in folder.glob("*.zip")])
    text = _history(path, path.relative_to(root).as_posix())
    dates = [line[:8] for line in _lines(text)]
    whole = FileSlice(text.name, text.digest, 1, text.rows)
    piece = whole if days is None else _between(whole, dates, days)
    known_bars = HeldBars()

    def scheduled() -> list[SessionScheduled]:
        known = [_date(text) for text in dates[piece.first - 1 : piece.first - 1 + piece.rows]]
        held = [day for day in known if day is not None]
        return sessions(EXCHANGE, min(held), max(held)) if held else []

    def items(wanted: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        for part in wanted:
            lines = _lines(text)[part.first - 1 : part.first - 1 + part.rows]
            draft = daily_bars(
                Piece(b"\n".join(lines), part.name, part.first, part.rows),
                feed=feed,
                instrument=instrument,
                resolution=resolution,
                held=_all_sessions(lines),
            )
            yield from merged([judged([draft], 0)], known_bars.check)

    return ImportSet(
        feed=feed,
        format=f"lean equity/usa/{resolution} {instrument}",
        slices=(piece,),
        definitions=lambda: _definitions(instrument, resolution, scheduled(), days.first if days else None),
        items=items,
        held=known_bars,
    )


def _history(path: Path, name: str) -> ZipText:
    """Describe a file of all dates; it is cut by date, so it is held in memory."""
    text = survey(path, name)
    if text.length > HISTORY_BYTES_MAX:
        raise UsageError(
            f"{path}: {text.length} bytes unpacked, more than {HISTORY_BYTES_MAX}, which a century of hours "
            "does not fill; fetch the file again"
        )
    return text


def _lines(text: ZipText) -> list[bytes]:
    return b"".join(piece.data for piece in text.pieces()).split(b"\n")[: text.rows]


def _all_sessions(lines: Sequence[bytes]) -> dict[str, SessionScheduled]:
    held = [day for day in (_date(line[:8]) for line in lines) if day is not None]
    return {known.date: known for known in sessions(EXCHANGE, min(held), max(held))} if held else {}


def _date(text: bytes) -> date | None:
    try:
        return date.fromisoformat(text.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None


def _between(whole: FileSlice, dates: Sequence[bytes], days: Days) -> FileSlice:
    """Cut a file sorted by date down to the rows of `days`; raises `DataMissing` if none is left."""
    first, last = f"{days.first:%Y%m%d}".encode(), f"{days.last:%Y%m%d}".encode()
    rows = [row for row, day in enumerate(dates) if first <= day <= last]
    if not rows:
        near = sorted({day for day in dates if _date(day)}, key=lambda day: abs(int(day) - int(first)))[:3]
        there = ", ".join(str(_date(day)) for day in sorted(near))
        raise DataMissing(f"{whole.name}: no rows for {days}; nearest dates: {there or 'none at all'}")
    return FileSlice(whole.name, whole.digest, rows[0] + 1, rows[-1] - rows[0] + 1)


def _no_symbol(folder: Path, symbol: str, held: Sequence[str]) -> None:
    name = symbol.lower()
    others = [
        resolution
        for resolution in RESOLUTIONS
        if (folder.parent / resolution / name).is_dir()
        or (folder.parent / resolution / f"{name}.zip").exists()
    ]
    if others:
        raise DataMissing(
            f"{folder}: no data of {symbol.upper()}; next: --resolution {' or '.join(others)}, where it is"
        )
    names = sorted(name.upper() for name in held)
    near = difflib.get_close_matches(symbol.upper(), names, n=3, cutoff=0.3) or names[:5]
    raise DataMissing(
        f"{folder}: no data of {symbol.upper()}; nearest symbols: {', '.join(near) or 'none at all'}"
    )


def _definitions(
    instrument: str, resolution: str, scheduled: Sequence[SessionScheduled], day: date | None
) -> list[Event]:
    ts = scheduled[0].begin if scheduled else midnight_ns(day or date(1970, 1, 1), zone(TIMEZONE))
    ticks = resolution == "tick"
    return [
        FeedDefined(
            ts,
            feed=f"lean/{resolution}",
            source="QuantConnect LEAN files, US equity",
            resolution=resolution,
            # The tick files hold a venue's quote only while it is the national best (docs/adr/0006).
            consolidated=True,
            adjusted=False,
            description="raw prices, not adjusted for splits and dividends"
            + ("; one-sided quotes, each the new best of its side" if ticks else ""),
        ),
        InstrumentDefined(
            ts,
            instrument=instrument,
            symbol=instrument,
            kind="STK",
            exchange=EXCHANGE,
            currency="USD",
            multiplier=Decimal(1),
            tick_size=Decimal("0.01"),
            timezone=TIMEZONE,
        ),
        *scheduled,
    ]
