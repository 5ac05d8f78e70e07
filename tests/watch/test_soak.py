"""A session over several days keeps nothing of a tick; the check catches one that does."""

import pytest

from app.live.recording import LiveRecorder
from benchmarks.soak import growth, soak

DAYS, TICKS = 3, 2500
BLOCKS_AN_ORDER = 150
"""What the history of an order may take: its events' values in several folds."""


def kept_for_ticks(samples):
    """Return the blocks kept for each input, once what orders may keep is taken off."""
    found = growth(samples)
    first, last = samples[len(samples) // 3], samples[-1]
    orders = last.orders - first.orders
    return found["blocks_an_input"] - BLOCKS_AN_ORDER * orders / (last.inputs - first.inputs)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_ticks_of_a_session(tmp_path):
    samples = soak(tmp_path, DAYS, TICKS, say=lambda *_, **__: None)
    assert [sample.day for sample in samples] == list(range(1, DAYS + 1))
    assert samples[-1].inputs > DAYS * TICKS
    assert samples[-1].orders > 10
    assert kept_for_ticks(samples) < 0.1


@pytest.mark.slow
def test_a_session_that_keeps_every_tick_is_caught(tmp_path, monkeypatch):
    kept = []
    append = LiveRecorder.append

    def keeping(self, event, at=None, cause=None):
        kept.append(event)
        return append(self, event, at, cause)

    monkeypatch.setattr(LiveRecorder, "append", keeping)
    assert kept_for_ticks(soak(tmp_path, DAYS, TICKS, say=lambda *_, **__: None)) > 1
