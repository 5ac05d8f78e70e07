"""A listener: what a bot's `order_filled` and `connection_lost` callbacks did, as `@on(…)` methods.

    [[live.listener]]
    path = "examples/phone.py:Phone"

It runs in a process of its own and writes one line for each message to `phone.txt` in the directory that
`live` was started in.
"""

from decimal import Decimal
from pathlib import Path

from truetape import (
    ConnectionChanged,
    FillCorrected,
    Filled,
    Listener,
    OrderStatusChanged,
    PositionAdjusted,
    on,
)


class Phone(Listener):
    """Writes down fills, cancelled orders, positions and the state of the connection."""

    def on_start(self) -> None:
        self.held: dict[str, Decimal] = {}
        self.connected = False

    def say(self, text: str) -> None:
        with Path("phone.txt").open("a", encoding="utf-8") as file:
            file.write(f"{self.entry.seq} {text}\n")

    @on(ConnectionChanged)
    def connection(self, event: ConnectionChanged) -> None:
        if event.state in ("up", "upstream_up") and not self.connected:
            self.connected = True
            self.say("connection_restored")
        elif event.state not in ("up", "upstream_up") and self.connected:
            self.connected = False
            self.say(f"connection_lost {event.reason}")

    @on(Filled)
    def order_filled(self, event: Filled) -> None:
        signed = event.quantity if event.side == "BUY" else -event.quantity
        self.held[event.instrument] = self.held.get(event.instrument, Decimal(0)) + signed
        self.say(f"order_filled {event.side} {event.quantity} {event.instrument} at {event.price}")
        self.say(f"position_update {event.instrument} {self.held[event.instrument]}")

    @on(OrderStatusChanged)
    def order_cancelled(self, event: OrderStatusChanged) -> None:
        if event.status == "Cancelled":
            self.say(f"order_cancelled {event.order}")

    @on(FillCorrected, PositionAdjusted)
    def corrected(self, event: FillCorrected | PositionAdjusted) -> None:
        self.say(f"{event.instrument} was corrected: look at tape positions")
