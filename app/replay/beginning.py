"""What a replay begins with: that it started, its cash or what it carries, last prices, open orders."""

from collections.abc import Sequence

from adapters.replay.broker import SimulatedBroker
from adapters.replay.corporate import CorporateActions
from app.composition.world import World
from app.replay.carrying import Carried
from app.replay.identity import ACCOUNT, Identity
from core.events import CashAdjusted, CorporateAction, Entry
from core.loop import Loop
from core.money import ZERO, money


def open_books(loop: Loop, identity: Identity) -> None:
    """Record what the session starts from: its whole configuration, and the cash or what is carried."""
    options, ts = identity.options, identity.plan.begin_ts
    loop.record(identity.started(), 0, None)
    if options.carried is not None:
        for event in options.carried.events(ts, ACCOUNT):
            loop.record(event, 0, None)
        return
    cash = money(options.cash)
    loop.record(CashAdjusted(ts, ACCOUNT, options.currency, cash, "starting cash"), 0, None)


def bring_up(
    carried: Carried,
    since: Sequence[CorporateAction],
    begin_ts: int,
    loop: Loop,
    world: World,
    broker: SimulatedBroker,
    actions: CorporateActions,
) -> None:
    """Take what is carried to the beginning: last prices, orders, and what happened to them `since`."""
    for bar in carried.marks():
        world.quotes.on_bar(bar)
    broker.resume([(order, 1, ZERO, False) for order in carried.orders], begin_ts)
    for action in since:
        world.quotes.apply(Entry(0, None, 0, None, action))
        for fact in actions.carry_out(action, begin_ts):
            loop.record(fact, 0, None)
