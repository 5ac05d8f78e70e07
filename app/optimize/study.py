"""A study: search in each fold, try the best where it was not chosen, judge, and keep all of it.

Owns the order of things and what a study says of itself. What ran before is not run again: trials are kept
under the id of the run that they would be.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from math import isfinite, prod, sqrt
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import msgspec

from app.composition.definitions import definitions_of
from app.optimize.executing import Executor, LocalProcesses
from app.optimize.folds import Fold, folds
from app.optimize.measures import OBJECTIVES, SESSIONS_A_YEAR, Every, Objective, edges, interval
from app.optimize.overfitting import deflated, told
from app.optimize.searching import Method, Search, best_first, search
from app.optimize.space import Axis, axes
from app.optimize.trials import Trial
from app.optimize.where import Where
from app.optimize.working import Done, Job, Setting, sessions_of
from app.plugins.discovery import FoundStrategy, find
from app.plugins.parameters import unknown
from app.replay.researching import Case
from app.report.metrics import sharpe
from core.errors import UsageError
from core.events import SessionScheduled
from core.strategy import AnyStrategy
from eventstore.reading.reader import LogReader

MakeExecutor = Callable[[Setting, int], Executor]
Progress = Callable[[int, int | None], None]


class StudyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to search, how, and by what to choose. `settled` are parameters that the user gave a value."""

    case: Case
    ranges: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    settled: frozenset[str] = frozenset()
    wheres: tuple[str, ...] = ()
    method: Method = "grid"
    trials: int | None = None
    seed: int = 0
    objective: str = "sharpe"
    best: Literal["max", "min"] | None = None
    walk_forward: int | None = None
    rolling: bool = False
    every: Every | None = None
    full: bool = False
    jobs: int = 1


class Row(msgspec.Struct, frozen=True):
    """A trial as the study shows it; `score` is the objective, `None` if there is none."""

    fold: int
    parameters: dict[str, Any]
    score: float | None
    status: str
    reason: str
    measures: dict[str, float | None]
    run: str


class FoldTold(msgspec.Struct, frozen=True):
    """What came of one fold of a walk-forward: chosen in `train`, tried in `test`."""

    train: str
    test: str
    parameters: dict[str, Any] | None
    in_sample: float | None
    out_of_sample: float | None
    measures: dict[str, float | None]
    run: str
    deflated: dict[str, Any] | None


class StudyTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a study came to. `rows` are in order of merit; `deflated` is of the best one."""

    study: str
    strategy: str
    fixed: dict[str, Any]
    period: str
    sessions: int
    objective: Objective
    method: str
    seed: int
    every: str
    periods_a_year: float
    axes: list[dict[str, Any]]
    wheres: list[str]
    counts: dict[str, int]
    failures: dict[str, int]
    rows: list[Row]
    best: Row | None
    deflated: dict[str, Any] | None
    walk_forward: dict[str, Any] | None
    folds: list[FoldTold]


class Study:
    """One study, checked and ready to run."""

    def __init__(self, request: StudyRequest, executor: MakeExecutor = LocalProcesses) -> None:
        case = self._case = request.case
        self._request = request
        self._executor = executor
        found = find(case.spec.name)
        self.axes = axes(found.type, request.ranges, request.choices, request.settled)
        searched = {axis.name for axis in self.axes}
        fixed = {k: v for k, v in case.spec.parameters.items() if k not in searched}
        _check_named(found, [*fixed, *(axis.name for axis in self.axes)])
        self._where = Where(request.wheres, _names(found.type))
        self._defaults = {**_defaults(found.type), **fixed}
        known = OBJECTIVES[request.objective]
        self.objective = msgspec.structs.replace(known, best=request.best or known.best)
        self._folds = folds(case.dates, request.walk_forward, rolling=request.rolling)
        self._days = self._sessions(fixed)
        self.every: Every = request.every or interval(self._days)
        self.setting = Setting(
            root=case.root,
            strategy=case.spec.name,
            fixed=fixed,
            id=case.spec.id,
            options=case.options,
            config=case.config,
            config_hash=case.config_hash,
            every=self.every,
            full=request.full,
        )
        self._searches = [self._search(number) for number in range(len(self._folds))]
        self.id = self._identity(found.source)

    @property
    def total(self) -> int:
        """The trials that are to be run at most, those of later folds included."""
        return sum(one.total for one in self._searches) + sum(fold.test is not None for fold in self._folds)

    def run(self, progress: Progress = lambda _done, _total: None) -> StudyTold:
        """Run what is not there yet; raises `StoreError` and other faults of the log."""
        executor = self._executor(self.setting, self._request.jobs)
        count = Counter[str]()

        def finished(_index: int, done: Done) -> None:
            count["known" if done.known else "run"] += 1
            progress(count.total(), self.total)

        try:
            tried = [
                self._searched(executor, fold, one, finished)
                for fold, one in zip(self._folds, self._searches, strict=True)
            ]
            bests = [self._best(trials) for trials in tried]
            tests = [
                (number, Job(best.parameters, fold.test))
                for number, (fold, best) in enumerate(zip(self._folds, bests, strict=True))
                if fold.test is not None and best is not None
            ]
            after = executor.run([job for _, job in tests], finished) if tests else []
        finally:
            executor.close()
        outs = {number: done.trial for (number, _), done in zip(tests, after, strict=True)}
        return self._told(tried, bests, outs, count)

    # -- searching -----------------------------------------------------------------------------

    def _search(self, number: int) -> Search:
        request = self._request
        where = self._where
        defaults = self._defaults

        def allowed(values: Any) -> bool:
            return where({**defaults, **values})

        return search(request.method, self.axes, allowed, request.trials, request.seed + number)

    def _searched(
        self, executor: Executor, fold: Fold, one: Search, finished: Callable[[int, Done], None]
    ) -> list[Trial]:
        trials: list[Trial] = []
        for batch in one.batches():
            done = executor.run([Job(values, fold.train) for values in batch], finished)
            found = [item.trial for item in done]
            one.tell(batch, [self._merit(trial) for trial in found])
            trials += found
        return trials

    def _merit(self, trial: Trial) -> float | None:
        score = trial.measures.get(self.objective.name)
        if score is None or not isfinite(score):
            return None
        return score if self.objective.best == "max" else -score

    def _best(self, trials: Sequence[Trial]) -> Trial | None:
        ranked = best_first((index, self._merit(trial)) for index, trial in enumerate(trials))
        return trials[ranked[0]] if ranked else None

    def _sessions(self, fixed: dict[str, Any]) -> list[SessionScheduled]:
        sessions = definitions_of(LogReader(self._case.root))
        first = next((axis.choices[0] for axis in self.axes if axis.name == "instrument"), None)
        name = fixed.get("instrument") or first or sessions.instruments()[0].instrument
        return sessions_of(sessions, self._case.period, str(name))

    def _identity(self, source: str) -> str:
        request = self._request
        what = {
            "source": source,
            "setting": msgspec.structs.replace(self.setting, root=Path(), full=False),
            "folds": self._folds,
            "axes": self.axes,
            "wheres": request.wheres,
            "search": [request.method, request.trials, request.seed],
            "objective": self.objective,
        }
        return blake2b(
            msgspec.json.encode(what, order="deterministic", enc_hook=str), digest_size=6
        ).hexdigest()

    # -- what came of it -----------------------------------------------------------------------

    def _told(
        self,
        tried: Sequence[Sequence[Trial]],
        bests: Sequence[Trial | None],
        outs: dict[int, Trial],
        count: Counter[str],
    ) -> StudyTold:
        flat = [(number, trial) for number, trials in enumerate(tried) for trial in trials]
        rows = [self._row(number, trial) for number, trial in flat]
        ranked = best_first((index, self._merit(trial)) for index, (_, trial) in enumerate(flat))
        without = [index for index in range(len(rows)) if index not in set(ranked)]
        walk = [self._fold(number, tried[number], bests[number], outs.get(number)) for number in outs]
        alone = bests[0] if self._folds[0].test is None else None
        return StudyTold(
            study=self.id,
            strategy=self.setting.strategy,
            fixed=self.setting.fixed,
            period=str(self._case.period),
            sessions=len(self._days),
            objective=self.objective,
            method=self._request.method,
            seed=self._request.seed,
            every=self.every,
            periods_a_year=self._periods,
            axes=[{"name": a.name, "low": a.low, "high": a.high, "choices": a.choices} for a in self.axes],
            wheres=list(self._request.wheres),
            counts=self._counts(rows, ranked, count),
            failures=dict(Counter(row.reason for row in rows if row.reason).most_common(10)),
            rows=[rows[index] for index in [*ranked, *without]],
            best=self._row(0, alone) if alone is not None else None,
            deflated=self._deflated(tried[0], alone),
            walk_forward=self._combined(walk, outs) if walk else None,
            folds=walk,
        )

    @property
    def _periods(self) -> float:
        return SESSIONS_A_YEAR * len(edges(self._days, self.every)) / max(len(self._days), 1)

    def _counts(self, rows: Sequence[Row], ranked: Sequence[int], count: Counter[str]) -> dict[str, int]:
        states = Counter(row.status for row in rows)
        return {
            "trials": len(rows),
            "scored": len(ranked),
            "unscored": states["done"] - len(ranked),
            "failed": states["failed"],
            "refused": states["refused"],
            "skipped": sum(one.skipped for one in self._searches),
            "known": count["known"],
        }

    def _row(self, number: int, trial: Trial) -> Row:
        score = trial.measures.get(self.objective.name)
        return Row(number, trial.parameters, score, trial.status, trial.reason, trial.measures, trial.run)

    def _deflated(self, trials: Sequence[Trial], best: Trial | None) -> dict[str, Any] | None:
        if best is None:
            return None
        ratios = [ratio for trial in trials if (ratio := sharpe(trial.returns, 1)) is not None]
        measure = deflated(best.returns, ratios)
        return None if measure is None else told(measure, self._periods)

    def _fold(self, number: int, trials: Sequence[Trial], best: Trial | None, out: Trial | None) -> FoldTold:
        assert best is not None
        assert out is not None
        fold, name = self._folds[number], self.objective.name
        return FoldTold(
            str(fold.train),
            str(fold.test),
            best.parameters,
            best.measures.get(name),
            out.measures.get(name),
            out.measures,
            out.run,
            self._deflated(trials, best),
        )

    def _combined(self, walk: Sequence[FoldTold], outs: dict[int, Trial]) -> dict[str, Any]:
        """Return the out-of-sample results as one: what was earned by choosing again and again."""
        series = [value for number in sorted(outs) for value in outs[number].returns]
        ratio = sharpe(series, 1)
        inside = [fold.in_sample for fold in walk if fold.in_sample is not None]
        outside = [fold.out_of_sample for fold in walk if fold.out_of_sample is not None]
        mean_in, mean_out = (fmean(found) if found else None for found in (inside, outside))
        efficient = mean_in is not None and mean_out is not None and mean_in > 0
        return {
            "folds": len(self._folds),
            "rolling": self._request.rolling,
            "return": prod(1 + value for value in series) - 1,
            "sharpe": None if ratio is None else ratio * sqrt(self._periods),
            "profitable_folds": sum((fold.measures.get("return") or 0) > 0 for fold in walk),
            "mean_in_sample": mean_in,
            "mean_out_of_sample": mean_out,
            "efficiency": mean_out / mean_in if efficient else None,  # type: ignore[operator]
            "returns": series,
        }


def _check_named(found: FoundStrategy, given: Collection[str]) -> None:
    """Refuse a search all of whose trials would be refused: a name is wrong, or a value is missing."""
    declared = {field.name: field for field in msgspec.structs.fields(found.type.parameters)}
    problems = [unknown(found.name, name, declared) for name in given if name not in declared]
    problems += [
        f"{found.name}: needs a value for {name!r}: --set {name}=…, or --choice {name}=A,B to try several"
        for name, field in declared.items()
        if field.required and name not in given
    ]
    if problems:
        raise UsageError("\n".join(problems))


def _names(strategy: type[AnyStrategy]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(strategy.parameters)]


def _defaults(strategy: type[AnyStrategy]) -> dict[str, Any]:
    fields = msgspec.structs.fields(strategy.parameters)
    return {field.name: field.default for field in fields if field.default is not msgspec.NODEFAULT}


__all__ = ["Axis", "FoldTold", "Row", "Study", "StudyRequest", "StudyTold"]
