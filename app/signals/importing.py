"""`import --as signals`: files of recommendations and forecasts into a log, or just how they are read."""

import time
from pathlib import Path
from typing import Any

import msgspec

from adapters.replay.importing import ImportResult, import_sets
from adapters.replay.signals.reading import SignalReading
from adapters.replay.signals.recommendations import SignalOptions
from adapters.replay.tables.options import parse_mapping
from app.configuration.reading import Config
from app.look.books import open_log
from app.operation.writing import writing
from app.replay.period import parse_period
from app.signals.reading import import_set, market_of, options_of, read_file, told_of
from core.errors import DataMissing, UsageError
from core.events import RowRejected, SignalReceived
from eventstore.reading.reader import LogReader


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for; `None` leaves it to the configuration, or to be found out."""

    files: tuple[Path, ...]
    mapping: tuple[str, ...] = ()
    source: str | None = None
    sheet: str | None = None
    day: str | None = None
    known_at: str | None = None
    scale: str | None = None
    volatility: float | None = None


class SignalImport(msgspec.Struct, frozen=True):
    """What was read, and what of it is new in the log; `result` is `None` for a dry run."""

    readings: list[SignalReading]
    result: ImportResult | None

    @property
    def words(self) -> list[str]:
        """How the files are understood, a line or two each."""
        return [line for reading in self.readings for line in reading.describe()]

    @property
    def signals(self) -> list[SignalReceived]:
        """All signals read."""
        return [item for reading in self.readings for item in reading.signals]

    @property
    def rejections(self) -> list[RowRejected]:
        """All rows refused, by file and line."""
        return [item for reading in self.readings for item in reading.rejections]

    def pairs(self) -> dict[str, Any]:
        """Return the figures to show."""
        result = self.result
        shown: dict[str, Any] = {"signals": len(self.signals), "rejected": len(self.rejections)}
        if result is not None:
            shown |= {"new in log": result.accepted, "known": result.duplicates}
        return shown

    def told(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "files": [
                {"file": reading.file, "words": reading.words, "unused": reading.unused}
                for reading in self.readings
            ],
            "signals": self.signals,
            "rejections": self.rejections,
            "written": self.result is not None,
            "accepted": 0 if self.result is None else self.result.accepted,
            "duplicates": 0 if self.result is None else self.result.duplicates,
        }


def run_signal_import(root: Path, config: Config, request: SignalRequest, *, write: bool) -> SignalImport:
    """Read files as signals of the log at `root`, and append what is new if `write`.

    Raises `DataMissing` if there is no log: its instruments are what symbols are looked up in.
    """
    reader = open_log(root)
    models = any(".py" in path.suffix for path in request.files)
    if models and request.day is not None:
        parse_period(request.day)
    options = options_of(
        config,
        source=request.source,
        sheet=request.sheet,
        mapping=parse_mapping(",".join(request.mapping)),
        day=None if models else request.day,
        known_at=request.known_at,
        scale=request.scale,
        volatility=request.volatility,
    )
    if len({path.resolve() for path in request.files}) < len(request.files):
        raise UsageError("a file is named twice")
    now = time.time_ns()
    if models:
        return _ask_models(root, request, options, now, write=write)
    readings = [read_file(reader, path, options, now) for path in request.files]
    if not write:
        return SignalImport(readings, None)
    sets = [import_set(path, reading, options) for path, reading in zip(request.files, readings, strict=True)]
    with writing(root) as writer:
        result = import_sets(writer.journal, LogReader(root), sets)
    return SignalImport(readings, told_of(result, readings))


def _ask_models(
    root: Path, request: SignalRequest, options: SignalOptions, now: int, *, write: bool
) -> SignalImport:
    """Record what models say at the closes of the dates asked for; without any, at the last close."""
    from app.signals.models import ask, load_model, model_set  # noqa: PLC0415  # others need no model

    market = market_of(LogReader(root), now)
    past = sorted(day.date for day in market.sessions if day.close <= now)
    if not past:
        raise DataMissing(f"{root}: no session in this log has closed; next: tape import --help")
    first, _, last = (request.day or past[-1]).partition("..")
    asked = [(load_model(str(path)), path) for path in request.files]
    readings = [ask(loaded, market, options, first, last or first) for loaded, _ in asked]
    for loaded, reading in zip(asked, readings, strict=True):
        if not reading.items:
            raise DataMissing(
                f"model {loaded[0].name}: the log has no closes from {first} to {last or first}"
            )
    if not write:
        return SignalImport(readings, None)
    sets = [model_set(loaded, options, one) for (loaded, _), one in zip(asked, readings, strict=True)]
    with writing(root) as writer:
        result = import_sets(writer.journal, LogReader(root), sets)
    return SignalImport(readings, told_of(result, readings))
