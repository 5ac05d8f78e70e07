"""What trades come to: counts, sums and the figures that follow, one trade after another."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from core.money import CONTEXT, ZERO, money
from core.trips import RoundTrip


class Tally:
    """Counts and sums of trades, one after another."""

    def __init__(self) -> None:
        self.trades = self.wins = self.losses = 0
        self.gain = self.loss = ZERO
        self.best: Decimal | None = None
        self.worst: Decimal | None = None

    def add(self, profit: Decimal) -> None:
        """Count a trade by what it earned; one that earned nothing is neither a win nor a loss."""
        self.trades += 1
        self.best = profit if self.best is None else max(self.best, profit)
        self.worst = profit if self.worst is None else min(self.worst, profit)
        if profit > 0:
            self.wins, self.gain = self.wins + 1, CONTEXT.add(self.gain, profit)
        elif profit < 0:
            self.losses, self.loss = self.losses + 1, CONTEXT.add(self.loss, profit)

    def include(self, other: "Tally") -> None:
        """Count the trades of another tally too."""
        self.trades, self.wins, self.losses = (
            self.trades + other.trades,
            self.wins + other.wins,
            self.losses + other.losses,
        )
        self.gain, self.loss = CONTEXT.add(self.gain, other.gain), CONTEXT.add(self.loss, other.loss)
        found = [value for value in (self.best, other.best) if value is not None]
        self.best = max(found, default=None)
        found = [value for value in (self.worst, other.worst) if value is not None]
        self.worst = min(found, default=None)

    @property
    def profit(self) -> Decimal:
        """What all trades earned together."""
        return money(CONTEXT.add(self.gain, self.loss))

    def figures(self) -> dict[str, Any]:
        """Return counts, win rate, averages, profit factor and expectancy; `None` where nothing divides.

        Expectancy is the mean profit of a trade: win rate × average win + loss rate × average loss (Tharp,
        "Trade Your Way to Financial Freedom"). The profit factor is the sum of wins over that of losses.
        """
        return {
            "trades": self.trades,
            "win_rate": self.wins / self.trades if self.trades else None,
            "average_win": money(self.gain / self.wins) if self.wins else None,
            "average_loss": money(self.loss / self.losses) if self.losses else None,
            "largest_win": self.best if self.wins else None,
            "largest_loss": self.worst if self.losses else None,
            "profit_factor": float(self.gain / -self.loss) if self.losses else None,
            "expectancy": money(self.profit / self.trades) if self.trades else None,
        }


def statistics(trades: Iterable[RoundTrip]) -> dict[str, Any]:
    """Return the figures of `Tally` over trades."""
    tally = Tally()
    for trade in trades:
        tally.add(trade.profit)
    return tally.figures()
