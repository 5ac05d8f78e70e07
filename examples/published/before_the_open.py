"""LEAN's TradeStationBrokerageTradeWithOutsideRegularMarketHoursParameter: each night a limit far above."""

from truetape import Parameters, Strategy, TimerFired

DAY_S = 86_400


class BeforeTheOpenParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class BeforeTheOpen(Strategy[BeforeTheOpenParameters]):
    """Needs bars of all hours: `--extended-hours`. Fills at the open of the first bar of the morning."""

    def on_start(self) -> None:
        self.set_timer("night", at=self.now)

    def on_timer(self, timer: TimerFired) -> None:
        why = "outside regular hours"
        self.buy(self.params.instrument, 5, limit=200, tif="GTC", outside_rth=True, reason=why)
        self.set_timer(timer.name, after_s=DAY_S)
