"""A strategy that orders while nothing may leave, and that asks for what is missing and nothing else."""

from truetape import Parameters, Strategy, Trade


class WaitingParameters(Parameters, frozen=True):
    """Before `closed_s` after midnight UTC orders leave; from then on they do not, for a while."""

    instrument: str = "ZVXA"
    closed_s: int = (13 * 60 + 31) * 60


class Waiting(Strategy[WaitingParameters]):
    """Enter 100 and rest 50 more below the market; once closed, ask for a bracket of 200 and a far order.

    It remembers nothing: what is there already is read from its position and its orders, so that one that
    starts anew in the middle goes on with what is missing. It ends with 350.
    """

    def on_trade(self, trade: Trade) -> None:
        """Ask for what is missing."""
        name, working = trade.instrument, self.working_orders(trade.instrument)
        wanted = {order.reason for order in working}
        held = int(self.position(name))
        if trade.ts // 10**9 % 86_400 < self.params.closed_s:
            if not held and not working:
                self.buy(name, 100, reason="in")
                self.buy(name, 50, limit=round(trade.price - 0.05, 2), reason="below")
            return
        if held < 200 and "bracket" not in wanted:
            far = {"take_profit": round(trade.price * 1.2, 2), "stop_loss": round(trade.price * 0.8, 2)}
            self.bracket(name, "BUY", 200, reason="bracket", **far)
        if "far" not in wanted:
            self.buy(name, 30, limit=round(trade.price * 0.9, 2), reason="far")
