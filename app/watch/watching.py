"""Who watches a session, from settings to a hub: the one place that knows all kinds of watchers."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from app.composition.world import World
from app.configuration.reading import Config
from app.configuration.settings import HealthSection
from app.signals.troubles import Troubles
from app.watch.health import Health, Measures, SessionFacts
from app.watch.hub import Heard, Hub
from app.watch.logs import LogSettings, log_sink
from app.watch.machine import Machine
from app.watch.metrics import Metrics
from app.watch.processes import ListenerProcess
from app.watch.sinks import Sink, SinkThread
from app.watch.webhook import AlertSettings, alert_sink
from core.errors import UsageError
from core.events import InstrumentDefined
from core.listener import Listener
from core.risk import Limits

_CLASS_QUEUE = 10_000
_CLASS_ERRORS = 10


class ListenerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A listener in a file: `path/file.py:Class`."""

    path: str
    name: str
    queue: int = _CLASS_QUEUE
    errors_max: int = _CLASS_ERRORS


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """Who watches. By default nobody does; `health=None` and `metrics_port=0` are off."""

    listeners: tuple[ListenerSettings | Listener, ...] = ()
    alerts: AlertSettings = AlertSettings()
    health: HealthSection | None = None
    logs: LogSettings = LogSettings()
    metrics_port: int = 0


def configured(config: Config, root: Path) -> Watching:
    """Return what the configuration of a session on the log at `root` asks for."""
    settings = config.settings
    logs = settings.logs
    directory = Path(logs.directory) if logs.directory else root.resolve().parent / "tape-logs"
    kept = LogSettings()
    if logs.level != "off":
        kept = LogSettings(directory=directory, level=logs.level, keep_days=logs.keep_days)
    listeners = [
        ListenerSettings(
            path=one.path,
            name=one.name or one.path.rpartition(":")[2].replace("/", "."),
            queue=one.queue,
            errors_max=one.errors_max,
        )
        for one in settings.live.listener
    ]
    return Watching(
        listeners=tuple(listeners),
        alerts=msgspec.convert(msgspec.to_builtins(settings.alerts), AlertSettings),
        health=settings.health if settings.health.enabled else None,
        logs=kept,
        metrics_port=settings.live.metrics_port,
    )


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The session that is watched. `instruments` and `inputs` are asked for when they are needed."""

    root: Path
    session: int
    world: World
    account: str
    currency: str
    limits: Limits
    instruments: Callable[[], Sequence[InstrumentDefined]]
    inputs: Callable[[], int]
    troubles: Troubles
    lock_step: bool = False


def watch(watching: Watching, watched: Watched) -> Hub:
    """Start everything that watches; raises `UsageError` if one of it cannot, with nothing left running."""
    heard = Heard()
    facts = _facts(watched, heard)
    with ExitStack() as started:
        watchers: list[Sink] = []

        def keep(watcher: Sink) -> None:
            watchers.append(watcher)
            started.callback(watcher.close, 0.0)

        if watching.logs.directory is not None:
            keep(log_sink(watching.logs, [watching.alerts.webhook], watched.session))
        if watching.alerts.webhook:
            keep(alert_sink(watching.alerts))
        _check_names(watching.listeners)
        for one in watching.listeners:
            keep(_listener(one, watching.logs.directory))
        health = None
        if watching.health is not None:
            machine = Machine(watched.root)
            health = Health(watching.health, machine, facts, lock_step=watched.lock_step)
            keep(health)
        if watching.metrics_port:
            keep(_metrics(watching.metrics_port, facts, health, watched.inputs))
        started.pop_all()
        return Hub(watchers, heard, health={} if health is None else health.states)


def _facts(watched: Watched, heard: Heard) -> SessionFacts:
    world = watched.world
    assert world.gate is not None, "a live session has a gate"
    return SessionFacts(
        gate=world.gate,
        state=world.risk_state(watched.currency),
        calendar=world.sessions,
        account=watched.account,
        limits=watched.limits,
        instruments=watched.instruments,
        data_ts=lambda: heard.data_ts,
        troubles=watched.troubles,
    )


def _check_names(listeners: Sequence[ListenerSettings | Listener]) -> None:
    names = [one.name for one in listeners if isinstance(one, ListenerSettings)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"[[live.listener]]: {', '.join(twice)} is there twice; give each a name of its own")


def _listener(one: ListenerSettings | Listener, directory: Path | None) -> Sink:
    if isinstance(one, Listener):
        return SinkThread.listening(type(one).__name__, one, queue_max=_CLASS_QUEUE, errors_max=_CLASS_ERRORS)
    output = None
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        output = directory / f"listener-{one.name}.txt"
    return ListenerProcess(one.name, one.path, queue_max=one.queue, errors_max=one.errors_max, output=output)


def _metrics(port: int, facts: SessionFacts, health: Health | None, inputs: Callable[[], int]) -> Metrics:
    def figures() -> dict[str, float | None]:
        measured = Measures() if health is None else health.measures
        state, account = facts.state, facts.account
        equity = state.account.equity(account, state.currency)
        day = state.history.day_pnl(account, state.currency)
        held = [one for one in state.positions.open_positions() if one.account == account]
        return {
            "connected": float(facts.gate.link == "up"),
            "open_positions": float(len(held)),
            "working_orders": float(len(state.orders.working())),
            "equity": None if equity is None else float(equity),
            "day_pnl": None if day is None else float(day),
            "inputs_total": float(inputs()),
            "connection_down_seconds": measured.connection_down_s,
            "data_age_seconds": measured.data_age_s,
            "memory_megabytes": measured.memory_mb,
            "cpu_percent": measured.cpu_pct,
            "disk_free_megabytes": measured.disk_free_mb,
            "log_megabytes": measured.log_mb,
            "position_risk_ratio": measured.position_risk,
        }

    return Metrics(port, figures, lambda: {} if health is None else health.states)
