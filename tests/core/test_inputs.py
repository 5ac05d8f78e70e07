"""Batches of inputs: seqs are looked up late, and are those of the events that were taken."""

import numpy as np
from msgspec.structs import replace

from core.events import Trade
from core.inputs import Arriving, Batch, Inputs, Table

EVENTS = [Trade(n, "feed", "ZVXA", 1.0, 1.0, "V") for n in range(5)]
SEQS = np.array([3, 4, 9, 10, 40], dtype=np.int64)


def batches():
    return Inputs(SEQS, EVENTS), Arriving(iter(zip(SEQS.tolist(), EVENTS, strict=True)))


def test_the_seq_is_that_of_the_event_taken_last():
    for inputs in batches():
        assert [(inputs.seq(), event.ts) for event in inputs.events()] == list(
            zip(SEQS.tolist(), range(5), strict=True)
        )
        assert (inputs.seq(), type(inputs.seq())) == (40, int)


def test_an_event_taken_before_keeps_its_seq():
    for inputs in batches():
        for event in inputs.events():
            if event.ts == 3:
                break
        assert [inputs.seq_of(EVENTS[n]) for n in (0, 2, 3)] == [3, 9, 10]
        assert [inputs.seq(n) for n in (0, 1, 3)] == [10, 9, 3]


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


class Ticks(Table):
    """The events of this module as a table that tells which of them were built."""

    def __init__(self, events):
        self.events, self.built = events, []

    def __len__(self):
        return len(self.events)

    def __getitem__(self, place):
        return self.events[place]

    def build(self, start, stop):
        counted = iter(self.events[start:stop])
        return map(self.make, counted), counted.__length_hint__

    def make(self, event):
        self.built.append(event.ts)
        return replace(event)

    def place_of(self, event, stop):
        return stop - 1 - self.events[:stop][::-1].index(event)


def test_a_batch_of_a_list_begins_where_it_is_told_to():
    inputs = Batch(SEQS[1:], EVENTS, 1).inputs()
    assert [(inputs.seq(), event) for event in inputs.events()] == list(
        zip(SEQS[1:].tolist(), EVENTS[1:], strict=True)
    )
    assert list(Batch(SEQS[:0], []).inputs().events()) == []


def test_an_event_of_a_table_is_built_when_its_turn_comes_and_keeps_its_seq():
    table = Ticks([Trade(10**18 + n // 2, "feed", "ZVXA", 1.0 + n, 1.0, "V") for n in range(7)])
    inputs = Batch(SEQS, table, 1).inputs()
    taken = []
    for event in inputs.events():
        taken.append((inputs.seq(), event))
        assert len(table.built) == len(taken)
    assert taken == list(zip(SEQS.tolist(), table[1:6], strict=True))
    assert [inputs.seq_of(event) for _, event in taken] == SEQS.tolist()  # times repeat, prices do not
    assert inputs.pairs([event for _, event in taken[1:4]]) == taken[1:4]
    assert inputs.pairs_before([event for _, event in taken[2:4]]) == taken[2:4]


def test_a_batch_of_a_table_gives_pairs_more_than_once():
    batch = Batch(SEQS[:2], Ticks(EVENTS))
    assert list(batch) == list(batch) == list(zip([3, 4], EVENTS[:2], strict=True))


def test_of_rows_alike_in_everything_the_last_taken_counts():
    same = Trade(1, "feed", "ZVXA", 1.0, 1.0, "V")
    inputs = Batch(SEQS, Ticks([same] * 5)).inputs()
    assert [(inputs.seq(), inputs.seq_of(event)) for event in inputs.events()] == [
        (n, n) for n in SEQS.tolist()
    ]
    assert inputs.pairs([same] * 3) == [(9, same), (10, same), (40, same)]
