"""Models as sources of signals: `path.py:Class`, asked once a session and instrument, recorded as inputs.

Composes a user's model with the log's closes and the formula for forecasts. The model runs here, outside the
core; what it raises is named with file and line and ends nothing but itself.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from adapters.replay.importing import ImportResult, ImportSet, import_sets
from adapters.replay.signals.cells import Cells
from adapters.replay.signals.headings import DAYS_MAX
from adapters.replay.signals.market import Market
from adapters.replay.signals.reading import SignalReading, read_cells
from adapters.replay.signals.recommendations import SignalOptions
from adapters.replay.signals.sets import signal_set
from app.configuration.reading import Config
from app.operation.writing import writing
from app.plugins.discovery import find_plugin, place_of, source_file
from app.plugins.kinds import MODELS
from app.signals.reading import market_of, options_of
from core.errors import DataMissing, TapeError, UsageError, is_termination
from core.events import RowRejected, SessionScheduled
from core.signals.model import Model
from eventstore.reading.reader import LogReader

SESSIONS_MAX = 2_000


class LoadedModel(msgspec.Struct, frozen=True):
    """A model, the file it came from and the digest of its source."""

    name: str
    path: Path
    model: Model
    digest: str


def load_model(spec: str) -> LoadedModel:
    """Load `path/file.py:Class`, an entry point or a name in ./plugins; raises `UsageError`.

    The class may be left out if one has `predict`.
    """
    try:
        found = find_plugin(MODELS, spec)
    except TapeError as error:
        raise UsageError(f"model {spec}: {error}") from error
    kind = found.item
    path = source_file(kind) or Path(spec)
    model = _guarded(spec, path, kind)
    window = getattr(model, "window", None)
    if type(window) is not int or not 1 <= window <= 10_000:
        raise UsageError(f"model {spec}: window = {window!r}: expected how many closes it wants, 1 to 10000")
    return LoadedModel(f"{path.name}:{kind.__name__}", path, model, found.source)


def _guarded(what: str, path: Path, call: Any, *arguments: Any) -> Any:
    """Return what a user's code returns; raises `UsageError` that names the place where it raised."""
    try:
        return call(*arguments)
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        place = place_of(error, path.resolve())
        raise UsageError(f"model {what}: {place}: {type(error).__name__}: {error}") from error


def ask(
    loaded: LoadedModel,
    market: Market,
    options: SignalOptions,
    first: str,
    last: str,
    instruments: Iterable[str] = (),
) -> SignalReading:
    """Ask for each instrument's forecast at the close of each session from `first` to `last`.

    A model that raises, or says what is no path of prices, is asked on: that forecast is a rejected row.
    """
    wanted = sorted(instruments) or [one.instrument for one in market.instruments]
    exchanges = {one.instrument: one.exchange for one in market.instruments}
    unknown = [name for name in wanted if name not in exchanges]
    if unknown:
        raise UsageError(f"model {loaded.name}: instrument {unknown[0]!r} is not in the log")
    rows: list[list[Any]] = []
    bad: list[RowRejected] = []
    for name in wanted:
        for day in _days(market.sessions, exchanges[name], first, last, market.now):
            closes = market.closes_until(name, day.close)
            if not closes or closes[-1][0] != day.close:
                continue  # no price on that day: nothing to forecast from
            try:
                path = _path(loaded, [close for _, close in closes[-loaded.model.window :]])
                rows.append([name, date.fromisoformat(day.date), closes[-1][1], *path])
            except UsageError as error:
                text = f"{error}: {name} at the close of {day.date}"
                bad.append(RowRejected(0, loaded.name, 0, text, f"{name},{day.date}"))
    width = max((len(row) for row in rows), default=4)
    heads = ["symbol", "date", "base", *(f"d+{n}" for n in range(1, width - 2))]
    table = Cells(loaded.name, "", [heads, *rows], lambda _line, _column: None)
    found = read_cells([table], options, market)
    return msgspec.structs.replace(
        found, words=f"{found.words}; model {loaded.digest}", items=[*bad, *found.items]
    )


def _path(loaded: LoadedModel, closes: Sequence[float]) -> list[float]:
    wants = loaded.model.window
    if len(closes) < wants:
        raise UsageError(f"model {loaded.name}: wants {wants} closes, the log has {len(closes)} up to then")
    said = _guarded(loaded.name, loaded.path, loaded.model.predict, list(closes))
    try:
        path = np.atleast_1d(np.asarray(said, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise UsageError(f"model {loaded.name}: said {said!r:.60}: expected prices") from error
    if path.ndim != 1 or not 1 <= len(path) <= DAYS_MAX:
        raise UsageError(f"model {loaded.name}: said {path.shape}: expected 1 to {DAYS_MAX} prices")
    return [float(price) for price in path]


def _days(
    sessions: Sequence[SessionScheduled], exchange: str, first: str, last: str, now: int
) -> list[SessionScheduled]:
    found = [d for d in sessions if d.exchange == exchange and first <= d.date <= last and d.close <= now]
    if len(found) > SESSIONS_MAX:
        raise UsageError(f"{first}..{last}: has {len(found)} sessions; at most {SESSIONS_MAX} at a time")
    return found


def model_set(loaded: LoadedModel, options: SignalOptions, reading: SignalReading) -> ImportSet:
    """Return what a model said as an import set."""
    return signal_set(options.source, reading, loaded.digest.encode())


class ModelSpec(msgspec.Struct, frozen=True):
    """A configured model: where it is, how its word is read, and of which instruments."""

    path: str
    options: SignalOptions
    instruments: tuple[str, ...] = ()


def recompute(root: Path, models: Sequence[ModelSpec], first: str, last: str, now: int) -> list[ImportResult]:
    """Ask the models anew for the closes that sessions `first`..`last` trade on, and record what they say.

    That is from the session before `first` on. What they said before stays in the log; of one close, the
    later word counts.
    """
    if not models:
        raise UsageError("--recompute-signals: no model is configured; add [[signals.model]]")
    reader = LogReader(root)
    market = market_of(reader, now)
    earlier = sorted({day.date for day in market.sessions if day.date < first})
    begin = earlier[-1] if earlier else first
    sets = []
    for spec in models:
        loaded = load_model(spec.path)
        reading = ask(loaded, market, spec.options, begin, last, spec.instruments)
        if not reading.items:
            raise DataMissing(f"model {loaded.name}: the log has no closes from {begin} to {last}")
        sets.append(model_set(loaded, spec.options, reading))
    with writing(root) as writer:
        return [import_sets(writer.journal, LogReader(root), [one]) for one in sets]


def configured_models(config: Config) -> tuple[ModelSpec, ...]:
    """Return the models that the configuration names."""
    return tuple(
        ModelSpec(one.path, options_of(config, source=one.source), tuple(one.instruments))
        for one in config.settings.signals.model
    )
