"""The official reader loses bursts that end at 4096 bytes; ours must not. Theirs is the negative control."""

import threading

import pytest

from tests.ibkr.readers import LAST_WORD_S, read_officially, read_ours
from tests.ibkr.servers import frame, greet, hear_end, hear_frame, serving

TICK = frame(1, 6, 9001, 1, "100.25", "300", "0")
LAST_WORD = frame(49, 1, LAST_WORD_S)


def burst_at_a_boundary(size=4096):
    """Build ticks of exactly so many bytes; return their number too."""
    ticks = [TICK] * (size // len(TICK))
    missing = size - sum(map(len, ticks))
    ticks[-1] = frame(1, 6, 9001, 1, "100.25" + "0" * missing, "300", "0")
    assert sum(map(len, ticks)) == size
    return b"".join(ticks), len(ticks)


def burst_across_a_boundary():
    """Build ticks of which the first 4096 bytes end inside a frame."""
    burst = TICK * 300
    assert len(burst) > 4096
    assert 4096 % len(TICK)
    return burst[:4096], burst[4096:], 300


def session(read, first, rest=b""):
    """Send `first` in one piece; when the client has waited in vain for more, `rest` and the last word."""
    quiet = threading.Event()

    def script(conn):
        greet(conn)
        assert hear_frame(conn).startswith(b"71\0")
        conn.sendall(first)
        assert quiet.wait(60)
        conn.sendall(rest + LAST_WORD)
        hear_end(conn)

    with serving(script) as port:
        return read(port, quiet.set)


def test_a_burst_that_ends_at_4096_bytes_is_read_whole():
    burst, count = burst_at_a_boundary()
    assert session(read_ours, burst).count("tick") == count


def test_the_official_reader_loses_all_of_that_burst():
    burst, count = burst_at_a_boundary()
    assert count > 100
    assert session(read_officially, burst).count("tick") == 0


def test_a_pause_at_4096_bytes_inside_a_frame_leaves_the_stream_in_step():
    first, rest, count = burst_across_a_boundary()
    assert session(read_ours, first, rest).count("tick") == count


def test_the_official_reader_falls_out_of_step_there_for_ever():
    first, rest, _ = burst_across_a_boundary()
    assert session(read_officially, first, rest) == []


@pytest.mark.parametrize("read", [read_ours, read_officially])
def test_both_read_a_burst_that_ends_elsewhere(read):
    assert session(read, TICK * 20).count("tick") == 20
