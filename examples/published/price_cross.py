"""backtrader's usual strategy: in when the close crosses its average, by any kind of order, and out."""

from typing import Any

from core.indicators import Sma
from truetape import Bar, Parameters, Strategy


class PriceCrossParameters(Parameters, frozen=True):
    """Limits lie `below` and stops `above` the close, in per cent; an entry is good for so many `days`."""

    instrument: str = "ESX"
    resolution: str = "daily"
    length: int = 15
    exits: bool = True
    kind: str = "MKT"
    below: float = 1.0
    above: float = 1.0
    days: int = 0


class PriceCross(Strategy[PriceCrossParameters]):
    """Decide at a close, with one order at a time; one at market fills at the next open."""

    def on_start(self) -> None:
        self.average, self.before = Sma(self.params.length), 0.0

    def on_bar(self, bar: Bar) -> None:
        name, p, before = bar.instrument, self.params, self.before
        self.average.update(bar.close)
        gap = bar.close - self.average.value if self.average.ready else 0.0
        self.before = gap or before
        terms: dict[str, Any] = {"tif": "GTD", "good_till": bar.ts + p.days * 86_400_000_000_000}
        terms = terms if p.days else {"at_close": True} if p.kind == "MOC" else {"tif": "GTC"}
        limit = bar.close * (1 - p.below / 100) if "LMT" in p.kind else None
        stop = bar.close * (1 + p.above / 100) if "STP" in p.kind else None
        if before < 0 < gap and not self.position(name) and not self.working_orders():
            self.buy(name, 1, limit=limit, stop=stop, reason="crossed upwards", **terms)
        elif before > 0 > gap and self.position(name) and p.exits:
            self.sell(name, 1, tif="GTC", reason="crossed downwards")
