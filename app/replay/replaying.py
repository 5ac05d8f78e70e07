"""Replaying recorded days through strategies: composes core, projections, simulated broker and run.

The result is a run in the log's `runs/` directory, named by all it follows from (app.replay.identity). The
log itself is only read. Replaying a run by its id makes it again and proves that it comes out the same.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from adapters.replay.broker import SimulatedBroker
from adapters.replay.corporate import CorporateActions
from adapters.replay.deriving import DerivedSource
from adapters.replay.source import LogSource
from app.composition.assembling import assemble
from app.composition.seating import StrategySpec, seat
from app.composition.world import World
from app.replay.beginning import bring_up, open_books
from app.replay.carrying import check_prices
from app.replay.deriving import derived
from app.replay.identity import ACCOUNT, SESSION, Identity
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.planning import Plan, Planner
from app.replay.summary import Played, summary
from app.replay.warming import plan_warm_up
from app.replay.watched import Progress, WatchedSource
from core.agenda import Agenda
from core.clock import DAY_NS, HOUR_NS, MINUTE_NS
from core.commissions import commission_model
from core.errors import DataMissing, StrategyRaised, UsageError
from core.events import (
    DEFINITIONS,
    Event,
    FxRateReported,
)
from core.loop import Loop
from core.ports import EntryReader, entries_of
from core.strategy import Subscription
from eventstore.runs.reader import RunReader
from eventstore.runs.writer import LightRunWriter, RunRecorder, RunWriter
from projections.base import fold
from projections.sessions import Sessions

LONG_NS = 31 * DAY_NS
"""Equity is sampled each minute of a period up to this length, and each hour of a longer one."""

_RATES = frozenset[type[Event]]({FxRateReported})


class LightRun(msgspec.Struct, frozen=True):
    """What a replay came to that left no run: the id, summary and hashes it would have, and some events."""

    id: str
    summary: dict[str, Any]
    events: list[Event]


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
        found = list(entries_of(reader, DEFINITIONS | _RATES))
        self._definitions = [entry for entry in found if type(entry.event) in DEFINITIONS]
        self._rates = [entry for entry in found if type(entry.event) in _RATES]
        self._sessions = Sessions()
        fold([self._sessions], [self._definitions])
        self.seated = seat(specs)
        planner = Planner(reader, self._sessions, options.data)
        subscriptions = self._subscriptions()
        self._carried = options.carried
        held = [Subscription(name) for name in self._carried.instruments] if self._carried else []
        self.plan: Plan = planner.plan(period, [*subscriptions, *self._unasked(held, subscriptions)])
        if self._carried is not None:
            check_prices(self._carried, self.plan)
            self._since = planner.actions(self._carried.instruments, self._carried.ts, self.plan)
        needs = [seated.strategy.warm_up for seated in self.seated]
        self._warm_plan = plan_warm_up(planner, reader, self.plan.period, subscriptions, needs)
        self._warm_up = LogSource(reader, self._warm_plan.slices) if self._warm_plan else None
        self._fills = options.fills
        self._identity = Identity(self.plan, self._warm_plan, self.seated, options, config, config_hash)

    @property
    def plans(self) -> list[Plan]:
        """The plans of the warm-up, if there is one, and of the period: all that is read."""
        return [plan for plan in (self._warm_plan, self.plan) if plan is not None]

    @property
    def run_id(self) -> str:
        """The id that follows from content, configuration, strategies, fill model, code and seed."""
        return self._identity.run_id

    @property
    def fill_rules(self) -> str:
        """How orders fill, in words: by feed, ticks or bars."""
        return self._identity.fill_rules

    @property
    def _sample_ns(self) -> int:
        """How often equity is sampled: a year of samples a minute would cost more than all the rest."""
        return HOUR_NS if self.plan.end_ts - self.plan.begin_ts > LONG_NS else MINUTE_NS

    def _adjusted(self) -> frozenset[str]:
        """Return the instruments whose prices are adjusted, by us or by the feed's source."""
        feeds = {part.feed: self._sessions.feed(part.feed) for part in self.plan.parts}
        return frozenset(
            instrument
            for part in self.plan.parts
            for instrument in part.instruments
            if instrument in part.adjusted or ((feed := feeds[part.feed]) is not None and feed.adjusted)
        )

    def run(self, progress: Progress | None = None) -> RunReader:
        """Replay and publish; raises `StrategyRaised` (after publishing) or `DataMissing`."""
        started = time.perf_counter_ns()
        source = LogSource(self._reader, self.plan.slices)
        writer = RunWriter(self._root, source.ordinals)
        try:
            summary, failure = self._play(writer, source, progress)
            meta = {"published_ns": time.time_ns(), "seconds": (time.perf_counter_ns() - started) / 1e9}
            run = writer.publish(self.run_id, summary, meta)
            self._refresh_views()
        except BaseException:
            writer.abandon()
            raise
        if failure is not None:
            raise StrategyRaised(
                f"{failure}\nthe run up to there is kept as {run.id}; next: tape state --run {run.id}"
            ) from failure
        return run

    def run_light(self, kept: frozenset[type[Event]]) -> "LightRun":
        """Replay without publishing a run; return its summary and hashes, and the events of the `kept` types.

        Raises `StrategyRaised` or `DataMissing`. `run` of the same replay has the same id and hashes.
        """
        source = LogSource(self._reader, self.plan.slices)
        writer = LightRunWriter(source.ordinals, kept)
        summary, failure = self._play(writer, source, None)
        if failure is not None:
            raise failure
        counted = {"run_events": writer.events, **writer.hashes()}
        return LightRun(self.run_id, {**summary, **counted}, writer.kept)

    def _play(
        self, writer: RunRecorder, source: LogSource, progress: Progress | None
    ) -> tuple[dict[str, Any], StrategyRaised | None]:
        """Replay into a recorder; return the summary, and what the strategy raised if it did."""
        earlier = [entry for entry in self._rates if entry.event.ts < self.plan.begin_ts]
        world = World(self._sessions, [*self._definitions, *earlier], self._options.currency)
        for entry in self.plan.signals_before:
            world.signals.apply(entry)
        inputs, warm_up = self._derived(source, self.plan), None
        if self._warm_up is not None and self._warm_plan is not None:
            warm_up = self._derived(self._warm_up, self._warm_plan)
        failure: StrategyRaised | None = None
        broker = self._broker(agenda := Agenda(), world)
        loop = self._loop(writer, world, broker, agenda)
        try:
            watched = WatchedSource(source, inputs, self.plan.rows, progress)
            loop.run(watched, SESSION, self.plan.begin_ts, warm_up)
        except StrategyRaised as error:
            failure = error
        if not source.inputs and failure is None:
            raise DataMissing(self._no_data(source.read))
        return summary(self._identity, Played(world, broker, writer, source, inputs)), failure

    def _no_data(self, read: int) -> str:
        if read:
            return (
                f"the log holds {read:,} bars of {self.plan.period}, none in regular hours; "
                f"next: --extended-hours"
            )
        return f"the log covers {self.plan.period} but holds no data of it; next: tape import --help"

    def _derived(self, source: LogSource, plan: Plan) -> DerivedSource | LogSource:
        return derived(source, plan, self.seated, self._sessions, self._options.data)

    def _refresh_views(self) -> None:
        from eventstore.sql.plain import refresh_views_sql  # noqa: PLC0415  # not needed to begin a replay

        refresh_views_sql(self._root)

    def _broker(self, agenda: Agenda, world: World) -> SimulatedBroker:
        return SimulatedBroker(
            self._fills,
            commission_model(self._options.commission),
            world.quotes.book,
            world.sessions,
            agenda,
            self.plan.bar_instruments,
            self._adjusted(),
        )

    def _loop(self, writer: RunRecorder, world: World, broker: SimulatedBroker, agenda: Agenda) -> Loop:
        loop = assemble(
            writer,
            world,
            broker,
            agenda,
            self.seated,
            self._options.rules,
            session=SESSION,
            account=ACCOUNT,
            made=dict.fromkeys(self.plan.made, ""),
            priced=frozenset(name for part in self.plan.parts for name in part.instruments),
            sample_ns=self._sample_ns,
        )
        open_books(loop, self._identity)
        actions = CorporateActions(world.positions, world.quotes, broker, ACCOUNT)
        if self._carried is not None:
            bring_up(self._carried, self._since, self.plan.begin_ts, loop, world, broker, actions)
        actions.schedule(agenda, self.plan.actions)
        return loop

    @staticmethod
    def _unasked(held: Sequence[Subscription], asked: Sequence[Subscription]) -> list[Subscription]:
        """Return what is held and no strategy asks for: it has a value all the same."""
        names = {subscription.instrument for subscription in asked}
        return [subscription for subscription in held if subscription.instrument not in names]

    def _subscriptions(self) -> list[Subscription]:
        found = [s for seated in self.seated for s in seated.subscriptions()]
        if not found:
            names = ", ".join(seated.id for seated in self.seated)
            raise UsageError(f"{names}: subscribes to nothing; next: --set instrument=SYMBOL")
        if self._options.feed is None:
            return found
        if self._sessions.feed(self._options.feed) is None:
            known = ", ".join(feed.feed for feed in self._sessions.feeds()) or "none"
            raise DataMissing(f"no feed {self._options.feed!r} in this log; it has {known}")
        return [msgspec.structs.replace(s, feed=self._options.feed) for s in found]


class Told(Protocol):
    """What says of itself what it followed from: a run, or a light one."""

    @property
    def summary(self) -> dict[str, Any]:
        """Everything a run states."""


def again(root: Path, reader: EntryReader, run: Told) -> Replay:
    """Return a replay that must come out as `run` did: same period, strategies, options."""
    told: Mapping[str, Any] = run.summary
    first, _, last = str(told["period"]).partition("..")
    return Replay(
        root,
        reader,
        Period(first, last or first),
        [StrategySpec(s["spec"], dict(s["parameters"]), s["id"]) for s in told["strategies"]],
        ReplayOptions.of(told["options"]),
        config=msgspec.json.encode(told["config"]).decode(),
        config_hash=told["config_hash"],
    )
