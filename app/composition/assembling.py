"""A session from its parts: world, risk gate, step, loop; the same for a replay, a proof and live trading."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from app.composition.ranging import ranges_of
from app.composition.seating import Seated
from app.composition.trading_rules import TradingRules
from app.composition.world import World
from app.plugins.rules import load_rules
from core.agenda import Agenda
from core.clock import MINUTE_NS, NEVER
from core.day_stop import DayStop
from core.exits.protection import Protection
from core.exits.ranges import TrueRanges
from core.halting import KillSwitch
from core.loop import Loop
from core.ports import Broker, SessionRecorder
from core.risk import RiskGate
from core.sampling import EquitySampler
from core.step import Step


def assemble(
    recorder: SessionRecorder,
    world: World,
    broker: Broker,
    agenda: Agenda,
    seated: Sequence[Seated],
    rules: TradingRules,
    *,
    session: int,
    account: str,
    priced: frozenset[str] | None,
    ranges: TrueRanges | None = None,
    sample_ns: int = MINUTE_NS,
    made: Mapping[tuple[str, str | None], str] = MappingProxyType({}),
    late_ns: int = NEVER,
) -> Loop:
    """Return a loop with the strategies seated; orders pass the world's gate, if it has one.

    `priced` are the instruments that will have prices, `ranges` what is known of those that exits go by.
    `made`: which subscriptions are told of bars that are made from finer data (`core.strategy.derived_keys`).
    `late_ns`: from when on what is overdue happens now, see `core.loop.Loop`.
    """
    limits, exits, currency = rules.limits, rules.exits, rules.currency
    if exits.by_range and ranges is None:
        ranges = ranges_of(exits)
    gate = RiskGate(limits, world.risk_state(currency), priced, world.gate, load_rules(limits.rules))
    views = world.views(rules.signals, rules.sizing, ranges)
    step = Step(gate, views, agenda, session, account, currency, rules.retry, rules.hold)
    parts = (world.orders, world.positions, world.sessions)
    if world.gate is not None:
        step.kill_switch = KillSwitch(world.gate, world.reported, *parts, account, session)
    for one in seated:
        step.seat(one.id, one.strategy)
    if exits.active:
        step.protect(Protection(exits, *parts, account, session, ranges, world.decided))
    if exits.by_range and ranges is not None:
        step.watching = {"on_trade": ranges.on_trade, "on_bar": ranges.on_bar}
    if exits.flatten_day_at is not None:
        step.stop_days(DayStop(exits.flatten_day_at, world.risk, world.orders, world.positions, session))
    sampler = EquitySampler(agenda, world.account, account, currency, sample_ns)
    return Loop(recorder, broker, step, agenda, world.quotes.book, world.folds(), sampler, made, late_ns)
