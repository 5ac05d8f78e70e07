"""Batches of inputs: seqs are looked up late, and are those of the events that were taken."""

import numpy as np

import core.inputs as inputs_module
from core.events import Bar, Trade
from core.inputs import Arriving, Batch, Inputs

EVENTS = [Trade(n, "feed", "ZVXA", 1.0, 1.0, "V") for n in range(5)]
SEQS = np.array([3, 4, 9, 10, 40], dtype=np.int64)


def batches():
    return Inputs(SEQS, EVENTS), Arriving(iter(zip(SEQS.tolist(), EVENTS, strict=True)))


def test_the_seq_is_that_of_the_event_taken_last():
    for inputs in batches():
        assert [(inputs.seq, event.ts) for event in inputs.events()] == list(
            zip(SEQS.tolist(), range(5), strict=True)
        )
        assert (inputs.seq, type(inputs.seq)) == (40, int)


def test_an_event_taken_before_keeps_its_seq():
    for inputs in batches():
        for event in inputs.events():
            if event.ts == 3:
                break
        assert [inputs.seq_of(EVENTS[n]) for n in (0, 2, 3)] == [3, 9, 10]


def test_pairs_are_plain_numbers_and_events():
    pairs = list(Inputs(SEQS, EVENTS))
    assert pairs == list(zip(SEQS.tolist(), EVENTS, strict=True))
    assert {type(seq) for seq, _ in pairs} == {int}


def test_events_taken_one_after_another_get_their_seqs_together():
    for inputs in batches():
        for event in inputs.events():
            if event.ts == 4:
                break
        assert inputs.pairs(EVENTS[1:4]) == [(4, EVENTS[1]), (9, EVENTS[2]), (10, EVENTS[3])]
        assert type(inputs.pairs(EVENTS[4:])[0][0]) is int


def test_what_arrives_is_numbered_when_it_is_taken_and_not_before():
    taken = []

    def pairs():
        for seq, event in zip(SEQS.tolist(), EVENTS, strict=True):
            taken.append(seq)
            yield seq, event

    left = Arriving(pairs()).events()
    next(left)
    assert taken == [3]


def test_a_batch_of_ticks_comes_in_pieces_that_are_let_go(monkeypatch):
    monkeypatch.setattr(inputs_module, "TICKS_AT_ONCE", 2)
    batch = Batch(SEQS[1:], EVENTS, 1)
    pieces, taken = [], []
    for inputs in batch.pieces():
        taken.append([(inputs.seq, event) for event in inputs.events()])
        pieces.append(inputs)
    assert taken == [list(zip(SEQS[a:b].tolist(), EVENTS[a:b], strict=True)) for a, b in ((1, 3), (3, 5))]
    assert [list(inputs.events()) for inputs in pieces] == [[], []]
    assert list(batch) == list(zip(SEQS[1:].tolist(), EVENTS[1:], strict=True))


def test_a_batch_of_bars_stays_whole_so_that_no_slice_is_cut(monkeypatch):
    monkeypatch.setattr(inputs_module, "TICKS_AT_ONCE", 2)
    bars = [Bar(n, n - 1, "feed", "ZVXA", 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(5)]
    assert [list(inputs.events()) for inputs in Batch(SEQS, bars).pieces()] == [bars]
    assert list(Batch(SEQS[:0], []).pieces()) == []
