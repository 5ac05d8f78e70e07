"""A session over several days keeps nothing of a tick; the check catches one that does."""

import pytest

from app.live.recording import LiveRecorder
from benchmarks import soak as soaking
from benchmarks.soak import GatewayEnded, growth, soak

DAYS, TICKS = 3, 2500
BLOCKS_AN_ORDER = 150
"""What the history of an order may take: its events' values in several folds."""


def silent(*_told, **_options):
    """Print nothing."""


def kept_for_ticks(samples):
    """Return the blocks kept for each input, once what orders may keep is taken off."""
    found = growth(samples)
    first, last = samples[len(samples) // 3], samples[-1]
    orders = last.orders - first.orders
    return found["blocks_an_input"] - BLOCKS_AN_ORDER * orders / (last.inputs - first.inputs)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_ticks_of_a_session(tmp_path):
    samples = soak(tmp_path, DAYS, TICKS, say=silent)
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
    assert kept_for_ticks(soak(tmp_path, DAYS, TICKS, say=silent)) > 1


@pytest.mark.slow
def test_a_gateway_that_ends_by_itself_ends_the_soak_with_its_words(tmp_path, monkeypatch):
    logs = soaking.make_logs
    monkeypatch.setattr(soaking, "make_logs", lambda place, dates, ticks: logs(place, dates[:1], ticks))
    with pytest.raises(GatewayEnded, match=r"2025-01-07 ended with code 7:[^$]*no market data of 2025-01-07"):
        soak(tmp_path, 2, 500, say=silent)
