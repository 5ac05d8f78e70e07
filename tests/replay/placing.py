"""Orders that are placed at some events of a bench, and what they come to: the frame of tests of fills."""

from core.events import OrderStatusChanged
from tests.core.bench import MIN, OPEN, Bench, S, Script, instrument, session

DAY = 24 * 3600 * S


def at(n):
    """Return the time so many seconds after the open."""
    return OPEN + n * S


def end(n):
    """Return the end of the n-th minute of the session."""
    return OPEN + n * MIN


def two_days():
    return [instrument(), session(), session("2025-07-03", DAY)]


def ask(side, quantity=10, **terms):
    """Return the request of an order, for a plan."""
    return lambda s: (s.buy if side == "BUY" else s.sell)("ACME", quantity, reason="r", **terms)


def run(plan, *events, **given):
    """Feed the events to a bench; what is planned is asked for at their numbers, one request at the first."""
    bench = Bench(Script(plan if isinstance(plan, dict) else {1: plan}), **given)
    bench.run(events)
    return bench


def last_word(bench):
    """Return the last status of an order that was told, and why."""
    status = bench.recorded(OrderStatusChanged)[-1]
    return status.status, status.message
