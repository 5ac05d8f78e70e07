"""The Kelly fraction: which share of equity grows it fastest, by how earlier trades came out.

Pure arithmetic on closed trades. What it is estimated from is kept beside it, so that a log can show it.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from core.money import CONTEXT, ZERO
from core.views import ClosedTrade

_divide = CONTEXT.divide
_multiply = CONTEXT.multiply


class Edge(msgspec.Struct, frozen=True):
    """How trades came out: counts, and the mean win and mean loss as fractions of what was invested.

    Trades that earned exactly nothing are neither. `average_loss` is positive.
    """

    wins: int
    losses: int
    average_win: Decimal
    average_loss: Decimal

    @property
    def win_rate(self) -> Decimal:
        """The share of wins among the trades that were won or lost; 0 without any."""
        decided = self.wins + self.losses
        return _divide(Decimal(self.wins), Decimal(decided)) if decided else ZERO

    @property
    def kelly(self) -> Decimal | None:
        """The share of equity to invest: `p / a - (1 - p) / b`; `None` unless there are wins and losses.

        p is the win rate, b the mean win and a the mean loss, each a fraction of what was invested. It
        maximises `p ln(1 + f b) + (1 - p) ln(1 - f a)`, the expected growth of the logarithm of equity; with
        a = 1 it is the original `p - (1 - p) / b`. Negative: the trades lost on the whole. Sources: J. L.
        Kelly, "A New Interpretation of Information Rate", 1956; E. O. Thorp, "The Kelly Criterion in
        Blackjack, Sports Betting and the Stock Market", 2006.
        """
        if not self.wins or not self.losses:
            return None
        won, rate = _divide(self.win_rate, self.average_loss), CONTEXT.subtract(Decimal(1), self.win_rate)
        return CONTEXT.subtract(won, _divide(rate, self.average_win))


def edge_of(trades: Iterable[ClosedTrade]) -> Edge:
    """Return how trades came out, after commissions; those without a value invested do not count."""
    results = [trade.result for trade in trades if trade.invested > ZERO]
    won = [result for result in results if result > ZERO]
    lost = [-result for result in results if result < ZERO]
    return Edge(len(won), len(lost), _mean(won), _mean(lost))


def _mean(values: list[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = CONTEXT.add(total, value)
    return _divide(total, Decimal(len(values))) if values else ZERO
