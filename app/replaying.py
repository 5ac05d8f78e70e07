"""Replaying recorded days through strategies: composes core, projections, simulated broker and run.

The result is a run in the log's `runs/` directory, named by all it follows from. The log itself is
only read. Replaying a run by its id makes it again and proves that it comes out the same.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from adapters.replay.broker import FillModel, SimulatedBroker
from adapters.replay.source import LogSource
from app.discovery import FoundStrategy, find, parameters
from app.planning import Period, Plan, Planner
from app.version import VERSION
from core.agenda import Agenda
from core.commissions import commission_model
from core.desk import Views
from core.errors import DataMissing, StrategyRaised, UsageError
from core.events import (
    CashAdjusted,
    Entry,
    Event,
    FeedDefined,
    InstrumentDefined,
    SessionScheduled,
    SessionStarted,
)
from core.loop import Loop
from core.money import ZERO, money, plain
from core.ports import EntryReader, Selection
from core.risk import Limits, RiskGate, RiskState
from core.sampling import EquitySampler
from core.step import Step
from core.strategy import AnyStrategy, Subscription, WarmUp
from eventstore.runs import RunReader, RunWriter
from projections.account import Account
from projections.base import Projection
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from projections.risk import Risk
from projections.sessions import Sessions

ACCOUNT = "SIM"
SESSION = 1
"""A run is a session of its own, whatever its log holds: ids and hashes do not depend on the log's past."""

Progress = Callable[[int, int], None]
"""Called with the inputs taken and the inputs expected."""


class StrategySpec(msgspec.Struct, frozen=True):
    """A strategy to run: its name or `path.py:Class`, an optional instance id, and parameters as given."""

    name: str
    parameters: dict[str, Any] = {}
    id: str | None = None


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The assumptions of a replay. Everything here is part of the run's identity."""

    cash: Decimal = Decimal(100000)
    currency: str = "USD"
    commission: str = "ibkr_fixed"
    latency_ms: float = 0.0
    partial_fills: bool = False
    limits: Limits = Limits()
    feed: str | None = None
    seed: int = 0


class Seated(msgspec.Struct, frozen=True):
    """A loaded strategy with its instance id and checked parameters."""

    id: str
    found: FoundStrategy
    strategy: AnyStrategy

    def described(self) -> dict[str, Any]:
        """Return what a run records of it; a file is named without its folder, which proves nothing."""
        return {
            "id": self.id,
            "name": self.found.name.rpartition("/")[2],
            "source": self.found.source,
            "parameters": msgspec.to_builtins(self.strategy.params),
        }


class World:
    """The projections of a session, wired; every definition of the log is folded at the start."""

    def __init__(self, sessions: Sessions, definitions: Sequence[Entry], currency: str) -> None:
        self.quotes = Quotes()
        self.orders = Orders()
        self.positions = Positions()
        self.account = Account(self.quotes, self.positions, currency)
        self.risk = Risk(self.positions, self.account)
        self.sessions = sessions
        self._all: tuple[Projection, ...] = (
            self.quotes,
            self.orders,
            self.positions,
            self.account,
            self.risk,
        )
        for entry in definitions:
            for projection in self._all:
                projection.apply(entry)

    @property
    def views(self) -> Views:
        """What strategies see."""
        return Views(self.orders, self.positions, self.account, self.quotes, self.sessions)

    def folds(self) -> dict[type[Event], list[Callable[[Entry], None]]]:
        """Return the handlers by event type, in a fixed order."""
        routes: dict[type[Event], list[Callable[[Entry], None]]] = {}
        for projection in (self.sessions, *self._all):
            for event_type, handler in projection.handlers.items():
                routes.setdefault(event_type, []).append(handler)
        return routes


class WatchedSource:
    """A source that reports its progress after each batch."""

    def __init__(self, source: LogSource, expected: int, progress: Progress | None) -> None:
        self._source = source
        self._expected = expected
        self._progress = progress

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield the batches of the source."""
        for batch in self._source.batches():
            yield batch
            if self._progress is not None:
                self._progress(self._source.inputs, self._expected)


class Replay:
    """One replay, ready to go: everything is checked before the first event is read."""

    def __init__(
        self,
        root: Path,
        reader: EntryReader,
        period: Period,
        specs: Sequence[StrategySpec],
        options: ReplayOptions,
        *,
        config: str = "{}",
        config_hash: str = "",
    ) -> None:
        self._root = root
        self._reader = reader
        self._options = options
        self._config = (config, config_hash)
        wanted = frozenset[type[Event]]({InstrumentDefined, FeedDefined, SessionScheduled})
        self._definitions = [e for batch in reader.entries(Selection(types=wanted)) for e in batch]
        self._sessions = Sessions()
        for entry in self._definitions:
            self._sessions.apply(entry)
        self.seated = seat(specs)
        planner = Planner(reader, self._sessions)
        subscriptions = self._subscriptions()
        self.plan: Plan = planner.plan(period, subscriptions)
        self._warm_up, self._warm_plan = self._warm_up_source(planner, subscriptions)
        self._fills = FillModel(options.latency_ms, options.partial_fills)

    @property
    def plans(self) -> list[Plan]:
        """The plans of the warm-up, if there is one, and of the period: all that is read."""
        return [plan for plan in (self._warm_plan, self.plan) if plan is not None]

    @property
    def run_id(self) -> str:
        """The id that follows from content, configuration, strategies, fill model, code and seed."""
        identity = [
            VERSION,
            self.plan.content,
            self._warm_plan.content if self._warm_plan else "",
            [seated.described() for seated in self.seated],
            self._described_options(),
            self._config[1],
        ]
        return blake2b(msgspec.json.encode(identity, order="deterministic"), digest_size=6).hexdigest()

    @property
    def fill_rules(self) -> str:
        """How orders fill, in words: by feed, ticks or bars."""
        bars = self.plan.bar_instruments
        ticks = any(set(part.instruments) - bars for part in self.plan.parts)
        rules = [self._fills.name] if ticks or not bars else []
        if bars:
            rules.append(f"{', '.join(sorted(bars))} by bar rules")
        return "; ".join(rules)

    def run(self, progress: Progress | None = None) -> RunReader:
        """Replay and publish; raises `StrategyRaised` (after publishing) or `DataMissing`."""
        started = time.perf_counter_ns()
        world = World(self._sessions, self._definitions, self._options.currency)
        source = LogSource(self._reader, self.plan.slices)
        writer = RunWriter(self._root, source.ordinals)
        failure: StrategyRaised | None = None
        try:
            broker = self._broker(agenda := Agenda(), world)
            loop = self._loop(writer, world, broker, agenda)
            try:
                loop.run(
                    WatchedSource(source, self.plan.rows, progress),
                    SESSION,
                    self.plan.begin_ts,
                    self._warm_up,
                )
            except StrategyRaised as error:
                failure = error
            if not source.inputs and failure is None:
                raise DataMissing(
                    f"the log covers {self.plan.period} but holds no data of it; next: tape import --help"
                )
            summary = self._summary(world, broker, writer, source)
            meta = {"published_ns": time.time_ns(), "seconds": (time.perf_counter_ns() - started) / 1e9}
            run = writer.publish(self.run_id, summary, meta)
        except BaseException:
            writer.abandon()
            raise
        if failure is not None:
            raise StrategyRaised(f"{failure}\nthe run up to there is kept as {run.id}") from failure
        return run

    def _broker(self, agenda: Agenda, world: World) -> SimulatedBroker:
        return SimulatedBroker(
            self._fills,
            commission_model(self._options.commission),
            world.quotes,
            world.sessions,
            agenda,
            self.plan.bar_instruments,
        )

    def _loop(self, writer: RunWriter, world: World, broker: SimulatedBroker, agenda: Agenda) -> Loop:
        options = self._options
        state = RiskState(
            world.account,
            world.positions,
            world.orders,
            world.quotes,
            world.sessions,
            world.risk,
            options.currency,
        )
        gate = RiskGate(options.limits, state)
        step = Step(gate, world.views, agenda, SESSION, ACCOUNT, options.currency)
        for seated in self.seated:
            step.seat(seated.id, seated.strategy)
        sampler = EquitySampler(agenda, world.account, ACCOUNT, options.currency)
        loop = Loop(writer, broker, step, agenda, world.quotes.book, world.folds(), sampler)
        self._open_books(loop)
        return loop

    def _open_books(self, loop: Loop) -> None:
        """Record what the session starts from: its whole configuration, and the cash."""
        options, ts = self._options, self.plan.begin_ts
        strategies = [seated.described() for seated in self.seated]
        if self._warm_plan is not None:
            strategies = [{**s, "warm_up": self._warm_plan.content} for s in strategies]
        loop.record(
            SessionStarted(
                ts,
                SESSION,
                "replay",
                ACCOUNT,
                VERSION,
                *self._config,
                msgspec.json.encode(strategies, order="deterministic").decode(),
                self.fill_rules,
                options.limits.profile,
                options.seed,
            ),
            0,
            None,
        )
        cash = money(options.cash)
        loop.record(CashAdjusted(ts, ACCOUNT, options.currency, cash, "starting cash"), 0, None)

    def _subscriptions(self) -> list[Subscription]:
        found = [s for seated in self.seated for s in seated.strategy.subscriptions()]
        if not found:
            names = ", ".join(seated.id for seated in self.seated)
            raise UsageError(f"{names}: subscribes to nothing; next: --set instrument=SYMBOL")
        if self._options.feed is None:
            return found
        return [msgspec.structs.replace(s, feed=self._options.feed) for s in found]

    def _warm_up_source(
        self, planner: Planner, subscriptions: Sequence[Subscription]
    ) -> tuple[LogSource | None, Plan | None]:
        need = WarmUp(max(seated.strategy.warm_up.sessions for seated in self.seated))
        if not need.sessions:
            return None, None
        days = [d for d in planner.dates(s.instrument for s in subscriptions) if d < self.plan.period.first]
        if len(days) < need.sessions:
            raise DataMissing(
                f"the strategy needs {need.sessions} sessions before {self.plan.period.first} to warm up; "
                f"the log holds {len(days)}; next: import them, or start later"
            )
        plan = planner.plan(Period(days[-need.sessions], days[-1]), subscriptions)
        return LogSource(self._reader, plan.slices), plan

    # -- what a run says of itself -------------------------------------------------------------

    def _described_options(self) -> dict[str, Any]:
        options = self._options
        return {
            "cash": plain(money(options.cash)),
            "currency": options.currency,
            "commission": options.commission,
            "latency_ms": options.latency_ms,
            "partial_fills": options.partial_fills,
            "limits": msgspec.to_builtins(options.limits),
            "feed": options.feed,
            "seed": options.seed,
        }

    def _summary(
        self, world: World, broker: SimulatedBroker, writer: RunWriter, source: LogSource
    ) -> dict[str, Any]:
        options, counts = self._options, writer.counts()
        equity = world.account.equity(ACCOUNT, options.currency)
        return {
            "period": str(self.plan.period),
            "parts": msgspec.to_builtins(self.plan.parts),
            "content": msgspec.json.decode(self.plan.content),
            "first_ts": source.first_ts,
            "last_ts": source.last_ts,
            "account": ACCOUNT,
            "strategies": [{**seated.described(), "spec": seated.found.name} for seated in self.seated],
            "options": self._described_options(),
            "config": msgspec.json.decode(self._config[0]),
            "config_hash": self._config[1],
            "code_version": VERSION,
            "fill_model": self.fill_rules,
            "risk_profile": options.limits.profile,
            "inputs": source.inputs,
            "intents": counts.get("order_intended", 0),
            "refused": counts.get("risk_refused", 0),
            "orders": broker.orders,
            "fills": broker.fills,
            "commissions": plain(world.account.commissions(ACCOUNT, options.currency)),
            "start_equity": plain(money(options.cash)),
            "end_equity": None if equity is None else plain(money(equity)),
            "max_drawdown": plain(world.risk.drawdown_max(ACCOUNT, options.currency) or ZERO),
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
        seated.append(Seated(instance, found, found.type(checked)))
    return seated


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


def again(root: Path, reader: EntryReader, run: RunReader) -> Replay:
    """Return a replay that must come out as `run` did: same period, strategies, options."""
    told: Mapping[str, Any] = run.summary
    first, _, last = str(told["period"]).partition("..")
    options = dict(told["options"])
    limits = msgspec.convert(options.pop("limits"), Limits)
    return Replay(
        root,
        reader,
        Period(first, last or first),
        [StrategySpec(s["spec"], dict(s["parameters"]), s["id"]) for s in told["strategies"]],
        ReplayOptions(**{**options, "cash": Decimal(options["cash"])}, limits=limits),
        config=msgspec.json.encode(told["config"]).decode(),
        config_hash=told["config_hash"],
    )


def result(run: RunReader) -> dict[str, Any]:
    """Return the figures of a run under the keys that `replay --json` prints."""
    told = run.summary
    keys = (
        "intents",
        "orders",
        "fills",
        "refused",
        "commissions",
        "start_equity",
        "end_equity",
        "max_drawdown",
        "run_hash",
        "decisions_hash",
    )
    return {"run": run.id, "events": told["inputs"], **{key: told.get(key) for key in keys}}
