"""Trade a composite of received and computed signals over several instruments.

What the sources weigh and the threshold are `[signals]` and `trading.signal_threshold`, how large an entry is
`[sizing]`, its stop and its target `[risk_management]` of the configuration: see docs/composite.md.
"""

from collections import deque
from collections.abc import Iterable
from math import sqrt
from typing import Annotated

from msgspec import Meta

from core.errors import UsageError
from core.events import Bar, SignalReceived, Trade
from core.indicators import Volatility
from core.order_rules import is_exit
from core.signals.sources import ComputedSignals
from core.strategy import Parameters, Strategy, Subscription

STEPS = 60
"""The volatility is that of so many steps."""
SECONDS_A_YEAR = 252 * 6.5 * 3600
"""Of regular trading hours."""


class CompositeParameters(Parameters, frozen=True):
    """`instruments` is a list, or names with commas; the watchlist if it is left out.

    `every` is how many trades make one step of the indicators; a bar is always one. `short` lets it sell
    what it does not hold.
    """

    instruments: str | list[str] = ""
    every: Annotated[int, Meta(ge=1)] = 50
    short: bool = False

    @property
    def names(self) -> list[str]:
        """The instruments, each once."""
        given = self.instruments
        parts = given.split(",") if isinstance(given, str) else given
        return list(dict.fromkeys(name.strip() for name in parts if name.strip()))


class _Watched:
    """What is followed of one instrument."""

    def __init__(self, weights: Iterable[str], *, restored: bool) -> None:
        """`restored`: an earlier session of the log left a stance."""
        self.computed = ComputedSignals(weights)
        self.trades = 0
        self.restored = restored
        self._volatility = Volatility(STEPS)
        self._times: deque[int] = deque(maxlen=STEPS + 1)

    @property
    def ready(self) -> bool:
        """Whether every computed source has had the prices it needs."""
        return None not in self.computed.readings.values()

    def step(self, price: float, ts: int) -> None:
        """Take the price of a step."""
        self.computed.update(price, ts)
        if price > 0:
            self._volatility.update(price)
            self._times.append(ts)

    def yearly_volatility(self) -> float | None:
        """Return the volatility of the last steps, scaled by the time they took; `None` if too few."""
        if not self._volatility.ready or self._times[-1] <= self._times[0]:
            return None
        seconds = (self._times[-1] - self._times[0]) / 1e9 / (len(self._times) - 1)
        return self._volatility.value * sqrt(SECONDS_A_YEAR / seconds)


class CompositeTrader(Strategy[CompositeParameters]):
    """Buy once the composite turns to buy, sell the holding once it turns to sell.

    The stance that it acted on is the one that it recorded last: it is read from the log's fold, so a restart
    knows it. After one it waits until its indicators have the prices they need.
    """

    def __init__(self, params: CompositeParameters) -> None:
        super().__init__(params)
        if not params.names:
            raise UsageError(
                "composite: nothing to trade: give --set instruments=A,B, or a [trading] watchlist in the "
                "configuration"
            )
        self._watched: dict[str, _Watched] = {}

    def subscriptions(self) -> list[Subscription]:
        """Return one of each instrument."""
        return [Subscription(name) for name in self.params.names]

    def on_start(self) -> None:
        """Begin to follow the instruments."""
        weights = self.signal_rules.weights
        self._watched = {
            name: _Watched(weights, restored=self.stance(name) != "hold") for name in self.params.names
        }

    def on_trade(self, trade: Trade) -> None:
        """Take every n-th trade as a step; a suspicious print is no price."""
        watched = self._watched[trade.instrument]
        if trade.suspicious:
            return
        watched.trades += 1
        if watched.trades % self.params.every == 0:
            watched.step(trade.price, trade.ts)
            self._judge(trade.instrument, watched)

    def on_bar(self, bar: Bar) -> None:
        """Take each close as a step."""
        watched = self._watched[bar.instrument]
        watched.step(bar.close, bar.ts)
        self._judge(bar.instrument, watched)

    def on_signal(self, signal: SignalReceived) -> None:
        """Judge anew when a source has spoken."""
        self._judge(signal.instrument, self._watched[signal.instrument])

    def _judge(self, instrument: str, watched: _Watched) -> None:
        if any(not is_exit(order.id) for order in self.working_orders(instrument)):
            return  # what was asked for is still on its way: a turn is looked at, and recorded, after it
        known = self.stance(instrument)
        if watched.restored and not watched.ready:
            return  # half of the sources would undo a stance that all of them had made
        found = self.composite(instrument, watched.computed.readings)
        if found.stance == known:
            self.resize(instrument, watched.yearly_volatility())
            return
        held = self.position(instrument)
        reason = f"composite {found.value:+.3f}: {found.stance}"
        if found.stance == "buy" and held < 0:
            self.buy(instrument, -held, reason=reason)
        elif found.stance == "sell" and held > 0:
            self.sell(instrument, held, reason=reason)
        elif not held:
            self._enter(instrument, watched, found.stance, reason)

    def _enter(self, instrument: str, watched: _Watched, stance: str, reason: str) -> None:
        if stance == "hold" or (stance == "sell" and not self.params.short):
            return
        quantity = self.size(instrument, watched.yearly_volatility())
        if quantity and stance == "buy":
            self.buy(instrument, quantity, reason=reason)
        elif quantity:
            self.sell(instrument, quantity, reason=reason)
