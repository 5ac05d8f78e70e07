"""LEAN's CustomBuyingPowerModel: ten times what the account allows, in hundreds, as nothing limits it."""

from truetape import LEAN, Bar, Parameters, Strategy


class CustomBuyingPowerParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "hour"


class CustomBuyingPower(Strategy[CustomBuyingPowerParameters]):
    """Buy once; a run without limits refuses nothing."""

    def on_bar(self, bar: Bar) -> None:
        if not self.position(bar.instrument):
            hundreds = self.quantity_for(bar.instrument, 1, sizing=LEAN) // 100
            self.buy(bar.instrument, hundreds * 1000, tif="GTC", reason="ten times all in")
