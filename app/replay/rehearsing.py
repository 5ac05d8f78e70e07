"""Trying a strategy on the built-in sample, for its tests: no log, no configuration, nothing kept.

The data go through the ordinary importer and the strategy through the ordinary replay, in a temporary
directory, so what a test sees is what `tape replay` would do.
"""

import atexit
import inspect
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from app.composition.seating import StrategySpec
from app.data.importing import ImportRequest, run_import
from app.look.books import open_book
from app.look.snapshots import snapshot
from app.replay.options import ReplayOptions
from app.replay.period import parse_period
from app.replay.replaying import Replay
from core.errors import UsageError
from core.events import Recorded
from core.ports import entries_of
from core.strategy import AnyStrategy
from core.views import Execution, Order
from eventstore.reading.reader import LogReader


class Rehearsal(msgspec.Struct, frozen=True):
    """What a strategy did: orders (oldest first), fills (by time), recorded series, the run's figures."""

    orders: list[Order]
    fills: list[Execution]
    recorded: dict[str, list[tuple[int, float]]]
    figures: dict[str, Any]


def rehearse(
    strategy: type[AnyStrategy],
    *,
    date: str = "2025-07-02",
    options: ReplayOptions | None = None,
    **parameters: Any,
) -> Rehearsal:
    """Replay one session of the built-in sample through a strategy class and return what it did.

    `parameters` are the strategy's own. Raises `StrategyRaised`, `UsageError` for wrong parameters, and
    `DataMissing` for a date that the sample does not have.
    """
    root = _sample(date)
    specs = [StrategySpec(_name(strategy), parameters)]
    run = Replay(root, LogReader(root), parse_period(date), specs, options or ReplayOptions()).run()
    state = snapshot(open_book(root, run.id))
    recorded: dict[str, list[tuple[int, float]]] = {}
    for entry in entries_of(run, frozenset({Recorded})):
        if isinstance(entry.event, Recorded):
            recorded.setdefault(entry.event.name, []).append((entry.event.ts, entry.event.value))
    return Rehearsal(state.orders.orders(), state.orders.executions(), recorded, dict(run.summary))


@cache
def _sample(date: str) -> Path:
    """Import a session of the sample once a process, into a directory that goes when the process does."""
    scratch = tempfile.TemporaryDirectory(prefix="tape-rehearsal-")
    atexit.register(scratch.cleanup)
    root = Path(scratch.name) / "log"
    run_import(root, ImportRequest(format="sample", date=date))
    return root


def _name(strategy: type[AnyStrategy]) -> str:
    source = inspect.getsourcefile(strategy)
    if source is None or strategy.__qualname__ != strategy.__name__:
        raise UsageError(f"{strategy.__qualname__}: expected a class at the top level of a file")
    return f"{source}:{strategy.__name__}"
