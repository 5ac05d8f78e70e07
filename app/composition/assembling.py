"""A session from its parts: world, risk gate, step, loop; the same for a replay, a proof and live trading."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from app.composition.ranging import ranges_of
from app.composition.seating import Seated
from app.composition.world import World
from app.plugins.rules import load_rules
from core.agenda import Agenda
from core.clock import MINUTE_NS
from core.day_stop import DayStop
from core.exits.protection import Protection
from core.exits.rules import NO_EXITS, ExitRules
from core.halting import KillSwitch
from core.holds import HoldRule
from core.loop import Loop
from core.ports import Broker, SessionRecorder
from core.retry import RetryRule
from core.risk import Limits, RiskGate
from core.sampling import EquitySampler
from core.step import Step


def assemble(
    recorder: SessionRecorder,
    world: World,
    broker: Broker,
    agenda: Agenda,
    seated: Sequence[Seated],
    *,
    limits: Limits,
    session: int,
    account: str,
    currency: str,
    priced: frozenset[str] | None,
    exits: ExitRules = NO_EXITS,
    retry: RetryRule = RetryRule(),  # noqa: B008
    hold: HoldRule = HoldRule(),  # noqa: B008
    sample_ns: int = MINUTE_NS,
    made: Mapping[tuple[str, str | None], str] = MappingProxyType({}),
) -> Loop:
    """Return a loop with the strategies seated; orders pass the world's gate, if it has one.

    `made`: which subscriptions are told of bars that are made from finer data (`core.strategy.derived_keys`).
    """
    if exits.by_range and world.ranges is None:
        world.ranges = ranges_of(exits)
    gate = RiskGate(limits, world.risk_state(currency), priced, world.gate, load_rules(limits.rules))
    step = Step(gate, world.views, agenda, session, account, currency, retry, hold)
    if world.gate is not None:
        parts = (world.orders, world.positions, world.sessions)
        step.kill_switch = KillSwitch(world.gate, world.reported, *parts, account, session)
    for one in seated:
        step.seat(one.id, one.strategy)
    if exits.active:
        views = (world.orders, world.positions, world.sessions)
        step.protect(Protection(exits, *views, account, session, world.ranges, world.decided))
    if exits.by_range and world.ranges is not None:
        step.watching = {"on_trade": world.ranges.on_trade, "on_bar": world.ranges.on_bar}
    if exits.flatten_day_at is not None:
        step.stop_days(DayStop(exits.flatten_day_at, world.risk, world.orders, world.positions, session))
    sampler = EquitySampler(agenda, world.account, account, currency, sample_ns)
    return Loop(recorder, broker, step, agenda, world.quotes.book, world.folds(), sampler, made)
