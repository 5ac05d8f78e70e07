"""What folding costs: microseconds an order of seven events. Run: `python -m tests.properties.cost`.

Not a test: the figure depends on the machine. It prints the best of a few rounds, in processor time.
"""

from collections.abc import Sequence
from time import process_time_ns

from app.composition.world import MOVEMENTS_KEPT, ORDERS_KEPT
from core.events import Entry, OrderSendStarted, OrderSent, RiskApproved
from projections.account import Account
from projections.base import Projection
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from tests.projections.build import ACCOUNT, STRATEGY, D, charge, entries, fill, intent, status, stock

ORDERS = 5_000


def life(number: int) -> list:
    """Return the seven events of one order, alternately a purchase and a sale."""
    order, ts, side = f"sma-1-{number}", number * 10_000_000_000, ("BUY", "SELL")[number % 2]
    who = (ACCOUNT, STRATEGY, "ACME")
    return [
        intent(order, 100, side, ts=ts),
        RiskApproved(ts, order, 1, *who, "none"),
        OrderSendStarted(ts, order, 1, *who),
        OrderSent(ts, order, 1),
        status("Submitted", order, ts=ts),
        fill(f"F-{number}", side, 100, D("144.78") + D(number % 97) / 100, ts=ts + 1, order=order),
        charge(f"F-{number}", 1, ts=ts + 1, order=order),
    ]


def timed(projection: Projection, history: Sequence[Entry]) -> float:
    """Return microseconds an order, as the loop dispatches: by type, to the handler."""
    handlers, start = projection.handlers, process_time_ns()
    for entry in history:
        handler = handlers.get(type(entry.event))
        if handler is not None:
            handler(entry.event, entry.seq)
    return (process_time_ns() - start) / ORDERS / 1000


def main() -> None:
    """Print the cost by projection and in all."""
    history = entries(stock(), *(event for number in range(ORDERS) for event in life(number)))
    best: dict[str, float] = {}
    for _ in range(7):
        quotes, positions = Quotes(), Positions(MOVEMENTS_KEPT)
        for projection in (Orders(ORDERS_KEPT), positions, Account(quotes, positions)):
            cost = timed(projection, history)
            best[projection.name] = min(best.get(projection.name, cost), cost)
    for name, cost in best.items():
        print(f"{name:10} {cost:6.2f} us an order")
    print(f"{'in all':10} {sum(best.values()):6.2f} us an order")


if __name__ == "__main__":
    main()
