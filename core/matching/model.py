"""The assumptions of a simulation, named: latency, sizes, slippage, what triggers stops, where bars fill."""

import re
from typing import Literal

import msgspec

from core.errors import UsageError
from core.matching.restating import ActionOrders
from core.price_steps import PriceSteps

Trigger = Literal["trades", "quotes"]
"""What triggers stops in tick mode: trades, or the best quote of the side that the order would take."""
BarFill = Literal["close", "next_open"]
"""Where a market order fills in bar mode: at the close at which it is given, or at the next bar's open."""

_SLIPPAGE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ticks?|bps|spread)")


class Slippage(msgspec.Struct, frozen=True):
    """How much worse than the market a market order fills: `amount` of `unit`.

    `ticks` of the instrument, `bps` (hundredths of a per cent) of the price, or a fraction of the `spread`,
    which is 0 where there are no quotes.
    """

    unit: Literal["ticks", "bps", "spread"] = "ticks"
    amount: float = 0.0

    def worse(self, price: float, steps: PriceSteps, spread: float, *, up: bool) -> float:
        """Return what becomes of `price`, slid `up` or down."""
        if self.unit == "ticks":
            return steps.moved(price, self.amount, up=up)
        away = self.amount * (price / 10_000 if self.unit == "bps" else max(spread, 0.0))
        return price + away if up else price - away

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}" if self.amount else "none"


def parse_slippage(text: str) -> Slippage:
    """Return what `1 tick`, `2 bps` or `0.5 spread` means (empty or `none`: nothing); raises `UsageError`."""
    if text in ("", "none", "0"):
        return Slippage()
    found = _SLIPPAGE.fullmatch(text)
    if found is None:
        raise UsageError(f"slippage {text!r}: expected an amount and its unit: 1 tick, 2 bps or 0.5 spread")
    unit = found[2].removesuffix("s") + "s" if found[2].startswith("tick") else found[2]
    return Slippage(unit, float(found[1]))  # type: ignore[arg-type]  # the pattern allows these units only


def check_slippage(text: str) -> None:
    """Raise `ValueError` for a slippage that is none: a key's check in a configuration."""
    try:
        parse_slippage(text)
    except UsageError as error:
        raise ValueError(str(error).partition(": ")[2]) from error


class FillModel(msgspec.Struct, frozen=True):
    """The assumptions of a simulation, named and logged.

    `latency_ms` of event time passes before a new order, modify or cancel arrives. With
    `partial_fills` an order takes no more than the size displayed at the best opposite quote (or, without
    quotes, printed), and the rest waits for the next update. With `volume_share` it takes at most that
    share of what a trade or bar traded. `slippage` makes market orders fill worse than the market.
    `action_orders` says what splits and dividends do to resting orders where prices are raw.
    """

    latency_ms: float = 0.0
    partial_fills: bool = False
    slippage: Slippage = Slippage()
    volume_share: float | None = None
    trigger: Trigger = "trades"
    bar_fill: BarFill = "close"
    action_orders: ActionOrders = "cancel"

    @property
    def bar_rules(self) -> str:
        """What is not as usual in bar mode, as text; empty if all of it is."""
        return ", ".join(self._unusual())

    def _unusual(self) -> list[str]:
        said = []
        if self.slippage.amount:
            said.append(f"slippage {self.slippage}")
        if self.volume_share is not None:
            said.append(f"at most {self.volume_share:g} of the volume")
        if self.bar_fill != "close":
            said.append("market orders at the next bar's open")
        if self.action_orders == "adjust":
            said.append("orders adjusted for splits and dividends")
        return said

    @property
    def name(self) -> str:
        """The model as text, for the log and the report; what is not as usual comes last."""
        size = "displayed size" if self.partial_fills else "full size"
        said = [f"quotes, {size}, latency {self.latency_ms:g} ms"]
        if self.trigger != "trades":
            said.append("stops trigger on quotes")
        return ", ".join([*said, *self._unusual()])
