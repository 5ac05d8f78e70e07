"""Files of signals for a log: what the log knows of the market, and what a file then says.

Composes the readers of `adapters.replay.signals` with a log and the configuration. The present time comes
from the caller. Nothing here writes.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from adapters.replay.importing import ImportResult, ImportSet
from adapters.replay.signals.market import Market
from adapters.replay.signals.reading import SignalReading, read_signals
from adapters.replay.signals.recommendations import SignalOptions
from adapters.replay.signals.sets import signal_set, spoken_of
from app.composition.definitions import definitions_of
from app.configuration.reading import Config
from app.configuration.settings import SignalFileSection
from core.errors import UsageError
from core.events import Bar, SessionScheduled, Trade
from core.ports import EntryReader, Selection
from core.signals.forecast import CLOSES_MIN
from core.signals.rules import SOURCE
from projections.sessions import Sessions

_RESOLUTIONS = ("daily", "hour", "minute", "second", "tick")


def options_of(
    config: Config,
    *,
    source: str | None = None,
    sheet: str | None = None,
    mapping: dict[str, str] | None = None,
    day: str | None = None,
    known_at: str | None = None,
    scale: str | None = None,
    volatility: float | None = None,
    file: SignalFileSection | None = None,
    live: bool = False,
) -> SignalOptions:
    """Return how to read a file: the configuration's way, with what is given instead; raises `UsageError`."""
    section = config.settings.signals
    name = source or (file.source if file else "bma")
    if not SOURCE.fullmatch(name):
        raise UsageError(f"--source {name!r}: expected a letter, then at most 63 letters, digits or _ . -")
    if day is not None:
        try:
            date.fromisoformat(day)
        except ValueError as error:
            raise UsageError(f"--date {day}: expected one date such as 2025-07-02") from error
    if volatility is not None and not 0 < volatility <= 1:
        hint = f"; did you mean {volatility / 100:g}?" if 1 < volatility <= 100 else ""
        raise UsageError(f"--volatility {volatility:g}: expected a share of one, where 0.02 is 2 %{hint}")
    symbols = {key: value for one in section.file for key, value in one.symbols.items() if one.source == name}
    return SignalOptions(
        source=name,
        sheet=sheet or (file.sheet if file else None),
        mapping=mapping or (dict(file.columns) if file else {}),
        symbols=dict(file.symbols) if file else symbols,
        day=day,
        known_at="open" if (known_at or (file.known_at if file else "close")) == "open" else "close",
        scale=None if scale is None else _scale(scale),
        valid_days=section.valid_days,
        k=section.k,
        volatility=volatility or section.volatility,
        live=live,
    )


def _scale(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        bounds = (float(low), float(high))
    except ValueError:
        bounds = (math.nan, math.nan)
    if not dots or not all(map(math.isfinite, bounds)) or bounds[0] >= bounds[1]:
        raise UsageError(f"--scale {text}: expected the lowest and the highest value, such as 0..100")
    return bounds


def read_file(reader: EntryReader, path: Path, options: SignalOptions, now: int) -> SignalReading:
    """Read one file as the log understands it at `now` (ns)."""
    return read_signals(path, options, market_of(reader, now))


def market_of(reader: EntryReader, now: int) -> Market:
    """Return the instruments and sessions that a log has defined."""
    sessions = definitions_of(reader)
    days = [one for one in sessions.sessions() if one.close <= now]
    return Market(sessions.instruments(), sessions.sessions(), _Closes(reader, sessions, days), now)


class _Closes(dict[str, list[tuple[int, float]]]):
    """The last price of each session by instrument, looked up in the log when it is first asked for."""

    def __init__(self, reader: EntryReader, sessions: Sessions, days: Sequence[SessionScheduled]) -> None:
        super().__init__()
        self._reader = reader
        self._sessions = sessions
        self._days = days

    def __missing__(self, instrument: str) -> list[tuple[int, float]]:
        """Return the closes of the coarsest feed that has enough of them, else of the one with most."""
        exchange = self._sessions.instrument(instrument).exchange
        days = [day for day in self._days if day.exchange == exchange]
        held = [c for c in self._reader.coverage() if c.instrument == instrument and c.type in (Bar, Trade)]
        best: list[tuple[int, float]] = []
        for feed in sorted({c.feed for c in held}, key=_coarseness):
            best = max(best, _closes_in(self._reader, instrument, feed, days), key=len)
            if len(best) >= CLOSES_MIN:
                break
        self[instrument] = best
        return best


def _coarseness(feed: str) -> tuple[int, str]:
    name = feed.rpartition("/")[2]
    return (_RESOLUTIONS.index(name) if name in _RESOLUTIONS else len(_RESOLUTIONS), feed)


def _closes_in(
    reader: EntryReader, instrument: str, feed: str, days: Sequence[SessionScheduled]
) -> list[tuple[int, float]]:
    if not days:
        return []
    opens = [day.open for day in days]
    chosen = Selection(
        instruments=frozenset({instrument}),
        feeds=frozenset({feed}),
        begin_ts=days[0].open,
        end_ts=days[-1].close + 1,
    )
    last: dict[int, float] = {}
    for chunk in reader.market(chosen):
        for event in chunk.events:
            place = bisect_right(opens, event.ts) - 1
            if place < 0 or event.ts > days[place].close:
                continue
            if isinstance(event, Bar):
                last[place] = event.close
            elif isinstance(event, Trade) and not event.suspicious:
                last[place] = event.price
    return [(days[place].close, last[place]) for place in sorted(last)]


def import_set(path: Path, reading: SignalReading, options: SignalOptions) -> ImportSet:
    """Return what was read as an import set; raises `UsageError` if nothing was."""
    if not reading.items:
        raise UsageError(f"{path.name}: holds no rows below its headings")
    return signal_set(options.source, reading, path.read_bytes())


def told_of(result: ImportResult, readings: Iterable[SignalReading]) -> ImportResult:
    """Return an import's result with the instruments that its signals speak of."""
    result.instruments = sorted({name for reading in readings for name in spoken_of(reading)})
    return result
