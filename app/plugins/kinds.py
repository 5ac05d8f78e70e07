"""The kinds of plug-ins, and what there is of each: for `plugins` and `strategies`, which list them.

Finding and loading is `app.plugins.discovery`'s. Nothing here runs a plug-in beyond loading its file and
the making of an instance where one is to be called.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
from inspect import getsourcelines
from pathlib import Path
from typing import Any

import msgspec

from app.configuration.settings import Settings
from app.plugins.discovery import (
    STRATEGIES,
    Found,
    Kind,
    find_plugin,
    has_base,
    in_folders,
    is_a,
    names,
    place_of,
    source_file,
)
from app.plugins.parameters import ParameterInfo, describe
from core.data_source import DataSource
from core.errors import UnknownPlugin, UsageError, is_termination
from core.listener import Listener
from core.risk.own import is_risk_rule
from core.sizing.own import is_sizer

SIGNAL_METHODS = ("generate_signal", "load_custom_recommendations", "predict")


def _is_source(item: Any) -> bool:
    if isinstance(item, type):
        return any(callable(getattr(item, name, None)) for name in SIGNAL_METHODS)
    return callable(item) and getattr(item, "__name__", "") in SIGNAL_METHODS[:2]


def _written_source(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(isinstance(one, ast.FunctionDef) and one.name in SIGNAL_METHODS for one in node.body)
    return isinstance(node, ast.FunctionDef) and node.name in SIGNAL_METHODS[:2]


def _marked(mark: str) -> Callable[[ast.stmt], bool]:
    """Return what tells a function or class that is written with this mark."""

    def written(node: ast.stmt) -> bool:
        return isinstance(node, ast.ClassDef | ast.FunctionDef) and any(
            getattr(one, "id", getattr(one, "attr", "")) == mark for one in node.decorator_list
        )

    return written


LISTENERS = Kind(
    "listener",
    "truetape.sinks",
    "a subclass of truetape.Listener",
    lambda item: is_a(Listener)(item) and item is not Listener,
    has_base("Listener"),
)
SIGNAL_SOURCES = Kind(
    "signal source",
    "truetape.signal_sources",
    "a class or function with generate_signal, load_custom_recommendations or predict",
    _is_source,
    _written_source,
)
MODELS = Kind(
    "model",
    SIGNAL_SOURCES.group,
    "a class with predict(window)",
    lambda item: isinstance(item, type) and callable(getattr(item, "predict", None)),
    lambda node: isinstance(node, ast.ClassDef) and _written_source(node),
)
"""A signal source that `[[signals.model]]` may name."""
RISK_RULES = Kind(
    "risk rule",
    "truetape.risk_rules",
    "a function or class marked with @truetape.risk_rule",
    is_risk_rule,
    _marked("risk_rule"),
)
SIZERS = Kind(
    "sizer",
    "truetape.sizers",
    "a function or class marked with @truetape.sizer",
    is_sizer,
    _marked("sizer"),
)
DATA_SOURCES = Kind(
    "data source",
    "truetape.data_sources",
    "a subclass of truetape.DataSource",
    is_a(DataSource),
    has_base("DataSource"),
    bundled={"yfinance": "app.data.yahoo:Yahoo"},
)
KINDS = (STRATEGIES, SIGNAL_SOURCES, RISK_RULES, SIZERS, LISTENERS, DATA_SOURCES)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list: a plug-in that loads, or why it does not."""

    kind: str
    name: str
    origin: str = ""
    version: str = ""
    summary: str = ""
    parameters: list[ParameterInfo] = []
    error: str = ""


def listing(kind: Kind, specs: Iterable[str] = ()) -> list[Listed]:
    """Return what there is of a kind, by name, entry point, folder and the `specs` given; loads each."""
    return only(kind, [*names(kind), *_inside(kind), *specs])


def only(kind: Kind, specs: Iterable[str]) -> list[Listed]:
    """Return the plug-ins of a kind that `specs` name, each once; loads each."""
    return [_listed(kind, spec) for spec in dict.fromkeys(specs)]


def everything(settings: Settings) -> list[Listed]:
    """Return what there is of every kind, with what the configuration names."""
    signals = settings.signals
    sources = [*(one.path for one in signals.plugin), *(one.path for one in signals.model)]
    rules = settings.risk_management.rules if settings.risk_management else {}
    named = {
        STRATEGIES.name: [one.name for one in (*settings.replay.strategy, *settings.live.strategy)],
        SIGNAL_SOURCES.name: sources,
        RISK_RULES.name: [one.path or name for name, one in rules.items()],
        SIZERS.name: [settings.sizing.sizer] if settings.sizing.sizer else [],
        LISTENERS.name: [one.path for one in settings.live.listener],
    }
    return [row for kind in KINDS for row in listing(kind, named.get(kind.name, ()))]


def _inside(kind: Kind) -> list[str]:
    # A file that is no Python may hold anything: it is told of once, as what is asked for most.
    return [one for one in in_folders(kind) if kind is STRATEGIES or ".py:" in one]


def _listed(kind: Kind, spec: str) -> Listed:
    try:
        found = find_plugin(kind, spec)
    except UnknownPlugin as error:
        return Listed(kind=kind.name, name=spec, error=str(error))
    summary = (found.item.__doc__ or "").strip().split("\n")[0]
    return Listed(
        kind=kind.name,
        name=found.name,
        origin=_origin(found),
        version=found.version,
        summary=summary,
        parameters=describe(found.item) if kind is STRATEGIES else [],
    )


def _origin(found: Found) -> str:
    """Return `file:line` of what was found in a file; else its origin."""
    if not found.origin.endswith(".py"):
        return found.origin
    try:
        return f"{Path(found.origin).as_posix()}:{getsourcelines(found.item)[1]}"
    except (OSError, TypeError):
        return found.origin


def broken(rows: Sequence[Listed]) -> bool:
    """Return whether any of them does not load."""
    return any(row.error for row in rows)


def load_named(kind: Kind, label: str, spec: str) -> Found:
    """Load a plug-in that the configuration names; raises `UsageError` that begins with `label`."""
    try:
        return find_plugin(kind, spec)
    except UsageError as error:
        raise UsageError(f"{label}: {error}") from error


def instance_of(label: str, found: Found) -> Any:
    """Return what is to be called: a function, or a class's instance; raises `UsageError` without one."""
    if not isinstance(found.item, type):
        return found.item
    try:
        return found.item()
    except (Exception, SystemExit) as error:
        if is_termination(error):
            raise
        path = source_file(found.item)
        place = place_of(error, path) if path else found.origin
        raise UsageError(f"{label}: {place}: raised {type(error).__name__}: {error}") from error
