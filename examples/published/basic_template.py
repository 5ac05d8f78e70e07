"""LEAN's BasicTemplateAlgorithm, and with `resolution=daily` its BasicTemplateDaily: if flat, all in."""

from truetape import LEAN, Bar, Parameters, Strategy


class BasicTemplateParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    share: float = 1.0


class BasicTemplate(Strategy[BasicTemplateParameters]):
    """Put all of the account, or a share of it, into one instrument, once."""

    def on_bar(self, bar: Bar) -> None:
        if not self.position(bar.instrument) and not self.working_orders():
            self.target_pct(bar.instrument, self.params.share, sizing=LEAN, reason="all in")
