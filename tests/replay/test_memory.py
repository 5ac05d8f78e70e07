"""What a session's projections hold does not grow with the orders that came to their end."""

import tracemalloc

import pytest

from app.composition import world
from app.composition.world import World
from projections.sessions import Sessions
from tests.projections.build import entries, stock
from tests.properties.cost import life

ORDERS = 3000
BYTES_AN_ORDER_MAX = 130  # some 75 of a packed execution and an id, and a share of what is at hand


def grown(monkeypatch: pytest.MonkeyPatch, keep: int | None) -> float:
    """Return by how many bytes an order the projections grow, once their windows are full."""
    monkeypatch.setattr(world, "ORDERS_KEPT", keep)
    monkeypatch.setattr(world, "MOVEMENTS_KEPT", keep)
    folds = World(Sessions(), entries(stock()), "USD").folds()

    def trade(first: int) -> None:
        for number in range(first, first + ORDERS):
            for entry in entries(*life(number), first=number * 10 + 10):
                for fold in folds.get(type(entry.event), ()):
                    fold(entry.event, entry.seq)

    tracemalloc.start()
    try:
        trade(0)
        before = tracemalloc.get_traced_memory()[0]
        trade(ORDERS)
        return (tracemalloc.get_traced_memory()[0] - before) / ORDERS
    finally:
        tracemalloc.stop()


def test_a_finished_order_leaves_a_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert grown(monkeypatch, 100) < BYTES_AN_ORDER_MAX


def test_without_windows_the_same_measure_finds_what_each_order_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert grown(monkeypatch, None) > 10 * BYTES_AN_ORDER_MAX


def test_a_session_keeps_windows() -> None:
    assert (world.ORDERS_KEPT, world.MOVEMENTS_KEPT) == (1_000, 500)
