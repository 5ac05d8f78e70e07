"""A strategy to search, with faults that parameters switch on."""

import os
import time
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from truetape import Parameters, Strategy, Trade


class Given(Parameters, frozen=True):
    instrument: str = "ABC"
    below: Annotated[float, Meta(ge=40, le=60)] = 51.0
    hold: Annotated[int, Meta(ge=1, le=50)] = 5
    fault: str = ""


class Searched(Strategy[Given]):
    """Buys below a level and sells some trades later."""

    def __init__(self, params: Given) -> None:
        super().__init__(params)
        self.left = 0

    def on_trade(self, trade: Trade) -> None:
        self._fail()
        self.left -= 1
        held = self.position(trade.instrument)
        if not self.working_orders():
            if held == 0 and trade.price < self.params.below:
                self.buy(trade.instrument, 100, reason="low")
                self.left = self.params.hold
            elif held > 0 and self.left <= 0:
                self.sell(trade.instrument, 100, reason="held long enough")

    def _fail(self) -> None:
        match self.params.fault:
            case "print":
                print("noise")
            case "raise":
                raise ValueError("as planted <b>")
            case "exit":
                os._exit(3)
            case "stay" if self.params.hold in {5, 6}:
                self._stay()

    def _stay(self) -> None:
        """Go on only when the file `stay` is gone; with `hold` at 6 as one whom nothing can end meanwhile."""
        if Path("stay").exists():
            if self.params.hold == 6:
                os._exit = lambda code: None
            Path(f"stays-{self.params.hold}").write_text(str(os.getpid()))
            Path(f"stays-{self.params.hold}").rename(f"stuck-{self.params.hold}")
        while Path("stay").exists():
            time.sleep(0.01)
