"""One trial: a light run of one combination over one period, and what it came to.

A strategy's faults are results. The same runs in this process, in a worker, or on another machine that has
the log.
"""

from pathlib import Path
from typing import Any

import msgspec

from app.composition.definitions import definitions_of
from app.composition.seating import StrategySpec
from app.optimize.measures import KEPT, SESSIONS_A_YEAR, Every, edges, measure
from app.optimize.reading import SharedReader
from app.optimize.trials import Status, Trial, TrialStore
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from core.errors import DataMissing, StrategyRaised, UsageError
from core.events import Event, SessionScheduled
from core.ports import entries_of
from eventstore.reading.reader import LogReader
from projections.sessions import Sessions


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What all trials of a study have in common."""

    root: Path
    strategy: str
    fixed: dict[str, Any]
    id: str | None
    options: ReplayOptions
    config: str
    config_hash: str
    every: Every
    full: bool = False
    """Whether each trial publishes a whole run."""


class Job(msgspec.Struct, frozen=True):
    """One combination over one period."""

    parameters: dict[str, Any]
    period: Period


class Done(msgspec.Struct, frozen=True):
    """A trial, and whether it was there already."""

    trial: Trial
    known: bool


class Workshop:
    """Runs trials of one setting, with one decoding of the data for all of them."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._store = TrialStore(setting.root)
        self._reader = SharedReader(LogReader(setting.root))

    def run(self, job: Job) -> Done:
        """Run a trial, unless it is kept already; raises `StoreError` and other faults of the log alone."""
        setting = self._setting
        spec = StrategySpec(setting.strategy, {**setting.fixed, **job.parameters}, setting.id)
        try:
            replay = Replay(
                setting.root,
                self._reader,
                job.period,
                [spec],
                setting.options,
                config=setting.config,
                config_hash=setting.config_hash,
            )
        except StrategyRaised as error:
            return Done(_without_run(job, "failed", error), known=False)
        except (UsageError, DataMissing) as error:
            return Done(_without_run(job, "refused", error), known=False)
        known = self._store.get(replay.run_id)
        wanted = setting.root / "runs" / replay.run_id
        if known is not None and known.every == setting.every and (not setting.full or wanted.is_dir()):
            return Done(msgspec.structs.replace(known, parameters=job.parameters), known=True)
        trial = self._tried(replay, job)
        self._store.put(trial)
        return Done(trial, known=False)

    def _tried(self, replay: Replay, job: Job) -> Trial:
        every = self._setting.every
        told: dict[str, Any] = {
            "run": replay.run_id,
            "parameters": job.parameters,
            "period": str(job.period),
            "every": every,
        }
        try:
            summary, events = self._replayed(replay)
        except StrategyRaised as error:
            return Trial(**told, status="failed", reason=str(error).partition("\n")[0])
        except (UsageError, DataMissing) as error:
            return Trial(**told, status="refused", reason=str(error))
        sessions = definitions_of(self._reader)
        at, periods = grid_of(sessions, replay, every)
        multipliers = {item.instrument: item.multiplier for item in sessions.instruments()}
        measures, returns = measure(events, summary, at, periods, multipliers)
        return Trial(**told, status="done", measures=measures, returns=returns, summary=summary)

    def _replayed(self, replay: Replay) -> tuple[dict[str, Any], list[Event]]:
        if not self._setting.full:
            light = replay.run_light(KEPT)
            return light.summary, light.events
        run = replay.run()
        return run.summary, [entry.event for entry in entries_of(run, KEPT)]


def grid_of(sessions: Sessions, replay: Replay, every: Every) -> tuple[list[int], float]:
    """Return the times of a replay's returns, and how many of them make a year."""
    days = sessions_of(sessions, replay.plan.period, replay.plan.parts[0].instruments[0])
    at = edges(days, every)
    return at, SESSIONS_A_YEAR * len(at) / max(len(days), 1)


def sessions_of(sessions: Sessions, period: Period, instrument: str) -> list[SessionScheduled]:
    """Return the sessions of an instrument's exchange in a period."""
    days = sessions.sessions(sessions.instrument(instrument).exchange)
    return [day for day in days if period.first <= day.date <= period.last]


def ended(job: Job, reason: str) -> Trial:
    """Return the trial of a job whose process came to its end."""
    return Trial(run="", status="failed", parameters=job.parameters, period=str(job.period), reason=reason)


def _without_run(job: Job, status: Status, error: Exception) -> Trial:
    return Trial(run="", status=status, parameters=job.parameters, period=str(job.period), reason=str(error))
