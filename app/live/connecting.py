"""The connection to a broker, put together over the folds of a log's past; nothing is dialled yet."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from adapters.ibkr.client import IbClient
from adapters.ibkr.data.marketdata import DataLimits, MarketData
from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import OrderChannel
from app.composition.world import World
from projections.sessions import Sessions

BROKER = "Interactive Brokers"
"""Who fills orders, as the start of a session records it."""


class InstrumentNames:
    """Names of instruments by what the broker calls them; one that was never defined is named by its id."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def instrument(self, con_id: int | None, symbol: str) -> str:
        """Return our name of a contract."""
        for known in self._sessions.instruments():
            if con_id and known.con_id == con_id:
                return known.instrument
        return f"{symbol}-{con_id}" if con_id else symbol


def client_of(
    link: LinkSettings,
    world: World,
    held: Callable[[], Iterable[str]] = lambda: (),
    bars: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> IbClient:
    """Return a client that knows what `world` has folded.

    `held` names the instruments of open positions, `bars` the resolutions to make bars in, by instrument.
    """
    names = InstrumentNames(world.sessions)
    channel = OrderChannel(
        link.client_id, _prefix(), world.routes, world.orders, world.sessions, names, gate=world.gate
    )
    data = MarketData(DataLimits.of(link), world.sessions, held, bars)
    folds = Folds(
        world.orders, world.positions, world.account, world.routes, names, world.gate, world.sessions
    )
    return IbClient(link, channel, data, folds)


def _prefix() -> str:
    """Return what the references of a session's orders begin with: no other session, of this log or of
    another one at the same account, ever has the same."""
    return f"T{time.time_ns() // 1_000_000:x}."
