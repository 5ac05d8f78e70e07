"""In which order combinations are tried: all of them, some by chance, or where the last ones were good.

A search asks for batches and is told their scores. Batches of a Bayesian search have a fixed size, so that
what is tried follows from the seed, whatever the number of processes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, Literal, Protocol

from app.optimize.space import Axis, grid, rounded
from core.errors import UsageError

Method = Literal["grid", "random", "bayesian"]
BATCH = 10
"""Combinations that a Bayesian search chooses at once, from what all batches before came to."""
_MISSES_MAX = 10_000
"""So many draws that are excluded or known already end a search by chance: there is nothing left to draw."""

Combination = dict[str, Any]
Allowed = Callable[[Combination], bool]
"""Whether a combination meets the conditions."""


class Search(Protocol):
    """Proposes combinations. `skipped` counts those that conditions exclude; `total` those it may propose."""

    skipped: int
    total: int

    def batches(self) -> Iterator[Sequence[Combination]]:
        """Yield batches; `tell` is called for each before the next is asked for."""

    def tell(self, batch: Sequence[Combination], scores: Sequence[float | None]) -> None:
        """Take the scores of a batch; more is better, `None` is a trial without one."""


class Grid:
    """Every combination, once."""

    def __init__(self, axes: Sequence[Axis], where: Allowed) -> None:
        everything = list(grid(axes))
        self._chosen = [values for values in everything if where(values)]
        self.skipped = len(everything) - len(self._chosen)
        self.total = len(self._chosen)

    def batches(self) -> Iterator[Sequence[Combination]]:
        """Yield all of them at once."""
        yield self._chosen

    def tell(self, batch: Sequence[Combination], scores: Sequence[float | None]) -> None:
        """Learn nothing."""


class Chance:
    """Combinations drawn by a seeded generator, none twice."""

    def __init__(self, axes: Sequence[Axis], where: Allowed, trials: int, seed: int) -> None:
        self.skipped = 0
        self._chosen = list(islice(self._drawn(axes, where, Random(seed)), trials))  # noqa: S311  (no secret)
        self.total = len(self._chosen)

    def _drawn(self, axes: Sequence[Axis], where: Allowed, rng: Random) -> Iterator[Combination]:
        seen: set[tuple[Any, ...]] = set()
        misses = 0
        while misses < _MISSES_MAX:
            values = {axis.name: axis.draw(rng) for axis in axes}
            key = tuple(values.values())
            if key in seen:
                misses += 1
                continue
            seen.add(key)
            if where(values):
                misses = 0
                yield values
            else:
                misses += 1
                self.skipped += 1

    def batches(self) -> Iterator[Sequence[Combination]]:
        """Yield all of them at once."""
        yield self._chosen

    def tell(self, batch: Sequence[Combination], scores: Sequence[float | None]) -> None:
        """Learn nothing."""


class Bayesian:
    """Combinations chosen by optuna's tree-structured Parzen estimator from how earlier batches did."""

    def __init__(self, axes: Sequence[Axis], where: Allowed, trials: int, seed: int) -> None:
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(BATCH, trials))
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._failed = optuna.trial.TrialState.FAIL
        self._axes = axes
        self._where = where
        self._asked: dict[int, Any] = {}
        self.skipped = 0
        self.total = trials

    def batches(self) -> Iterator[Sequence[Combination]]:
        """Yield batches of `BATCH`, the last one shorter."""
        left = self.total
        while left:
            batch = list(islice(self._proposals(), min(BATCH, left)))
            if not batch:
                return
            left -= len(batch)
            yield batch

    def _proposals(self) -> Iterator[Combination]:
        misses = 0
        while misses < _MISSES_MAX // 10:
            trial = self._study.ask()
            values = {axis.name: _suggested(trial, axis) for axis in self._axes}
            if not self._where(values):
                self._study.tell(trial, state=self._failed)
                self.skipped += 1
                misses += 1
                continue
            misses = 0
            self._asked[id(values)] = trial
            yield values

    def tell(self, batch: Sequence[Combination], scores: Sequence[float | None]) -> None:
        """Let the next batch follow from these scores."""
        for values, score in zip(batch, scores, strict=True):
            trial = self._asked.pop(id(values))
            if score is None:
                self._study.tell(trial, state=self._failed)
            else:
                self._study.tell(trial, score)


def search(method: Method, axes: Sequence[Axis], where: Allowed, trials: int | None, seed: int) -> Search:
    """Return a search; raises `UsageError` if it has nothing to try or lacks its library."""
    if method == "grid":
        found: Search = Grid(axes, where)
        if trials is not None and found.total > trials:
            raise UsageError(
                f"the grid has {found.total:,} combinations, more than --trials {trials:,}; next: "
                "wider steps, or --search random"
            )
    elif method == "random":
        found = Chance(axes, where, trials or 100, seed)
    else:
        found = Bayesian(axes, where, trials or 100, seed)
    if not found.total:
        raise UsageError(f"no combination is left: --where excludes all {found.skipped:,}")
    return found


def _suggested(trial: Any, axis: Axis) -> Any:
    if axis.choices:
        return axis.choices[trial.suggest_categorical(axis.name, list(range(len(axis.choices))))]
    if axis.step is not None:
        values = axis.values()
        return values[trial.suggest_int(axis.name, 0, len(values) - 1)]
    return rounded(trial.suggest_float(axis.name, axis.low, axis.high))


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise UsageError(
            "--search bayesian needs optuna, which is not installed; next: pip install 'truetape[optimize]', "
            "or --search random"
        ) from error
    return optuna


def best_first(scores: Iterable[tuple[int, float | None]]) -> list[int]:
    """Return the indices that have a score, best (highest) first, the earlier first among equals."""
    known = [(index, score) for index, score in scores if score is not None]
    return [index for index, score in sorted(known, key=lambda item: (-item[1], item[0]))]
