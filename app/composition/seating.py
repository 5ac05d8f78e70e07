"""Which strategies run: from names and `--set` values to loaded strategies with ids and checked parameters.

Loading is `app.plugins.discovery`'s; here instances get their ids, and what a run records of them is said.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.plugins.discovery import FoundStrategy, find, place_of, source_file
from app.plugins.parameters import parameters
from core.errors import StrategyRaised, TapeError, UsageError, is_termination
from core.strategy import AnyStrategy, Parameters, Subscription


class StrategySpec(msgspec.Struct, frozen=True):
    """A strategy to run: its name or `path.py:Class`, an optional instance id, and parameters as given."""

    name: str
    parameters: dict[str, Any] = {}
    id: str | None = None


class Seated(msgspec.Struct, frozen=True):
    """A loaded strategy with its instance id and checked parameters."""

    id: str
    found: FoundStrategy
    strategy: AnyStrategy

    def subscriptions(self) -> list[Subscription]:
        """Return what the strategy asks to be told of; raises `StrategyRaised` if it raises."""
        try:
            return list(self.strategy.subscriptions())
        except (Exception, SystemExit) as error:
            if isinstance(error, TapeError) or is_termination(error):
                raise
            raise _failed(self.id, self.found, "subscriptions", error) from error

    def described(self) -> dict[str, Any]:
        """Return what a run records of it; a file is named without its folder, which proves nothing."""
        return {
            "id": self.id,
            "name": self.found.name.rpartition("/")[2],
            "source": self.found.source,
            "parameters": msgspec.to_builtins(self.strategy.params),
        }


def seat(specs: Sequence[StrategySpec]) -> list[Seated]:
    """Load the strategies and give each an id: its name, and a number from the second one on."""
    seated: list[Seated] = []
    taken: dict[str, int] = {}
    for spec in specs:
        found = find(spec.name)
        base = spec.id or found.name.rpartition(":")[2]
        taken[base] = taken.get(base, 0) + 1
        instance = base if taken[base] == 1 else f"{base}.{taken[base]}"
        checked = parameters(found, spec.parameters)
        seated.append(Seated(instance, found, _made(instance, found, checked)))
    return seated


def _made(instance: str, found: FoundStrategy, checked: Parameters) -> AnyStrategy:
    try:
        return found.type(checked)
    except (Exception, SystemExit) as error:
        if isinstance(error, TapeError) or is_termination(error):
            raise
        raise _failed(instance, found, "__init__", error) from error


def _failed(instance: str, found: FoundStrategy, method: str, error: BaseException) -> StrategyRaised:
    source = source_file(found.type)
    where = f" at {place_of(error, source)}" if source else ""
    return StrategyRaised(
        f"strategy {instance} raised in {method}{where}: {type(error).__name__}: {error}; "
        "there is no run of it: nothing was replayed yet"
    )


def spread(names: Sequence[str], settings: Sequence[str]) -> list[StrategySpec]:
    """Return the strategies with `--set` values: `key=value` for all of them, `name.key=value` for one."""
    found = [StrategySpec(name, {}) for name in names]
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {text}: expected key=value")
        owner, dot, inner = key.rpartition(".")
        targets = [spec for spec in found if not dot or spec.name.rpartition(":")[2] == owner]
        if not targets:
            raise UsageError(f"--set {text}: no strategy {owner!r} is being run")
        for spec in targets:
            spec.parameters[inner] = value
    return found
