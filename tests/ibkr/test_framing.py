"""Frames come out whole however the network cuts the stream."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.wire.framing import FRAME_BYTES_MAX, FrameBuffer, frame
from core.errors import StreamOutOfStep

PAYLOADS = [b"9\x001\x00683\x00", b"", b"x" * 5000, b"4\x002\x00"]
STREAM = b"".join(map(frame, PAYLOADS))


def fed(pieces, buffer=None):
    buffer = buffer or FrameBuffer()
    return [payload for piece in pieces for payload in buffer.feed(piece)]


def test_a_frame_has_its_length_in_four_bytes_in_front():
    assert frame(b"abc") == b"\x00\x00\x00\x03abc"


def test_a_stream_split_at_any_byte_gives_the_same_frames():
    for cut in range(len(STREAM) + 1):
        assert fed([STREAM[:cut], STREAM[cut:]]) == PAYLOADS


def test_a_stream_that_comes_byte_by_byte_gives_the_same_frames():
    assert fed([STREAM[i : i + 1] for i in range(len(STREAM))]) == PAYLOADS


@given(
    st.lists(st.binary(max_size=60), max_size=20),
    st.lists(st.integers(min_value=1, max_value=50), min_size=1),
)
def test_any_cut_of_any_stream_gives_the_same_frames(payloads, sizes):
    stream, pieces, start = b"".join(map(frame, payloads)), [], 0
    for turn in range(len(stream)):
        size = sizes[turn % len(sizes)]
        pieces.append(stream[start : start + size])
        start += size
    assert fed(pieces) == payloads


def test_the_tests_of_cuts_catch_a_reader_that_forgets_its_tail():
    class Forgetful(FrameBuffer):
        def feed(self, data):
            self._tail.clear()
            return super().feed(data)

    assert fed([STREAM[:7], STREAM[7:12]], Forgetful()) != PAYLOADS[:1]
    assert fed([STREAM[:7], STREAM[7:12]], FrameBuffer()) == PAYLOADS[:1]


def test_an_incomplete_frame_waits_and_is_counted():
    buffer = FrameBuffer()
    assert buffer.feed(STREAM[:10]) == []
    assert buffer.tail_bytes == 10


def test_a_length_above_the_limit_is_a_fault_that_gives_the_frames_before_it():
    buffer = FrameBuffer()
    with pytest.raises(StreamOutOfStep, match="16,777,216 bytes") as caught:
        buffer.feed(STREAM + struct.pack(">I", FRAME_BYTES_MAX + 1) + b"rest")
    assert list(caught.value.frames) == PAYLOADS


def test_a_stream_out_of_step_stays_so():
    buffer = FrameBuffer()
    for data in (b"HTTP/1.1 400 Bad Request", b"", frame(b"fine")):
        with pytest.raises(StreamOutOfStep):
            buffer.feed(data)


def test_a_frame_of_the_greatest_length_is_taken():
    payload = bytes(FRAME_BYTES_MAX)
    stream = frame(payload)
    assert fed([stream[i : i + 16_384] for i in range(0, len(stream), 16_384)]) == [payload]
