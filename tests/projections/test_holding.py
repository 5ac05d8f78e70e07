"""What is packed is found again, and what comes late for it is counted as if nothing had been packed."""

import pytest

from core.events import PositionAdjusted
from projections.holding import Holding
from projections.ledger import Movement
from projections.positions import Positions
from tests.projections.build import ACCOUNT, D, charge, corrected, feed, fill, stock

KEEP = 3
DAY = 20


def day():
    """Twenty trades at one to twenty: bought by twos, sold by ones."""
    for n in range(1, DAY + 1):
        side, quantity = ("BUY", 20) if n % 2 else ("SELL", 10)
        yield fill(f"F-{n}", side, quantity, f"10.{n:02d}", ts=n)
        yield charge(f"F-{n}", "0.35", ts=n)


def traded(keep, *late):
    positions = Positions(keep)
    feed(positions, stock(), *day(), *late)
    return positions


def figures(positions):
    return positions.position(ACCOUNT, "ACME"), dict(positions.paid), list(positions.proceeds())


PACKED = fill("F-2", "SELL", 10, "10.02", ts=2)

LATE = {
    "a fill between packed ones": fill("late", "BUY", 5, "9.5", ts=2),
    "a fill before all": fill("late", "SELL", 5, "9.5", ts=0),
    "a packed fill again": PACKED,
    "a correction of a packed fill": corrected("F-1", 1, "BUY", 30, "10.5", ts=1),
    "a bust of a packed fill": corrected("F-4", 1, "SELL", 0, "10.04", ts=4),
    "a correction that moves it in time": corrected("F-4", 1, "SELL", 10, "10.04", ts=DAY + 5),
    "a later commission of a packed fill": charge("F-3", "0.2", ts=99),
    "an earlier commission of a packed fill": charge("F-3", "9", ts=1),
    "the same commission, but dearer": charge("F-3", "0.5", ts=3),
    "an adjustment among packed fills": PositionAdjusted(7, ACCOUNT, "sma", "ACME", D(3), D(11), "x"),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_what_comes_late_counts_as_if_nothing_were_packed(late):
    packed, whole = traded(KEEP, late), traded(None, late)
    assert figures(packed) == figures(whole)
    assert packed.digest() == whole.digest()


def test_the_original_of_a_packed_correction_changes_nothing():
    events = (corrected("F-2", 1, "SELL", 7, "10.02", ts=2), PACKED)
    first_the_correction = Positions(KEEP)
    feed(first_the_correction, stock(), *(e for e in day() if e != PACKED), *events)
    assert figures(first_the_correction) == figures(traded(None, events[0]))


def test_a_holding_leaves_between_one_window_and_two_unpacked():
    holding = Holding(KEEP)
    for n in range(1, 50):
        holding.append(Movement(n, f"F-{n}", "sma", D(1), D(10)))
        if len(holding.movements) >= holding.due:
            holding.turn()
        assert min(n, KEEP) <= len(holding.movements) < 2 * KEEP
    assert [movement.ts for movement in holding] == list(range(1, 50))


def test_blocks_stay_small_however_many_movements_come_late():
    positions = Positions(KEEP)
    feed(positions, *(fill(f"F-{n}", "BUY", 1, 10, ts=n) for n in range(60, 0, -1)))
    (holding,) = positions._holdings.values()
    sizes = [len(block.unpack()) for block in holding.blocks]
    assert (sum(sizes) + len(holding.movements), positions.executions) == (60, 60)
    assert max(sizes) <= 2 * KEEP


def test_a_packed_execution_takes_about_sixty_bytes():
    positions, many = Positions(500), 20_000
    for n in range(many):
        price = D("144.78") + D(n * 7919 % 997) / 100
        feed(
            positions, fill(f"F-{n}", "BUY" if n % 2 else "SELL", 100, price, ts=10**18 + n * 40_123_457_001)
        )
        feed(positions, charge(f"F-{n}", 1, ts=10**18 + n * 40_123_457_001))
    (holding,) = positions._holdings.values()
    packed = sum(len(block.packed) for block in holding.blocks)
    assert packed / (many - len(holding.movements)) < 65
