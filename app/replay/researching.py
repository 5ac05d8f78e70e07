"""What `lookahead` and `optimize` work on: one strategy, a period, and the assumptions of its replays."""

import os
from pathlib import Path
from typing import Any

import msgspec

from app.composition.definitions import definitions_of
from app.composition.seating import StrategySpec
from app.configuration.reading import Config, canonical
from app.look.books import open_log
from app.plugins.discovery import find
from app.replay.options import ReplayOptions
from app.replay.period import Period, parse_period
from app.replay.planning import Planner
from app.replay.request import ReplayRequest, options, strategies
from core.errors import DataMissing
from eventstore.reading.reader import LogReader


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy with its fixed parameters over a period; `dates` are the session dates with data."""

    root: Path
    spec: StrategySpec
    period: Period
    dates: list[str]
    options: ReplayOptions
    config: str
    config_hash: str


def prepare(
    root: Path,
    config: Config,
    strategy: str,
    dates: str | None,
    given: dict[str, Any],
) -> Case:
    """Return the case that a command line names; raises `UsageError`, `DataMissing`.

    Without dates it is all sessions with data.
    """
    reader = open_log(root)
    settings = tuple(given["settings"])
    request = ReplayRequest(what=dates or "", strategies=(strategy,), **{**given, "settings": settings})
    spec = strategies(config, request, sample=False)[0]
    find(spec.name)
    text, digest = canonical(config, replay=True)
    instrument = spec.parameters.get("instrument")
    known = session_dates(reader, [str(instrument)] if instrument else None, given.get("feed"))
    if dates is not None:
        period = parse_period(dates)
    elif known:
        period = Period(known[0], known[-1])
    else:
        raise DataMissing(
            f"{root}: there are no sessions with data{f' of {instrument}' if instrument else ''}"
        )
    within = [day for day in known if period.first <= day <= period.last]
    if not within:
        raise DataMissing(
            f"no data{f' of {instrument}' if instrument else ''} on {period}; the log has "
            f"{', '.join(known[-4:]) or 'none'}"
        )
    return Case(
        root=root,
        spec=spec,
        period=period,
        dates=within,
        options=options(config, request),
        config=text,
        config_hash=digest,
    )


def session_dates(reader: LogReader, instruments: list[str] | None, feed: str | None) -> list[str]:
    """Return the session dates with data of the instruments, or of any."""
    sessions = definitions_of(reader)
    names = instruments if instruments is not None else [i.instrument for i in sessions.instruments()]
    return Planner(reader, sessions).feeds.dates(names, feed)


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
