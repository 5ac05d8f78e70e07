"""The agenda against a sorted list."""

from hypothesis import given
from hypothesis import strategies as st

from core.agenda import AFTER_SCAN, BEFORE_PRICES, Agenda
from core.clock import NEVER

ENTRIES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 20), st.sampled_from([BEFORE_PRICES, AFTER_SCAN])),
    max_size=30,
)


def drained(agenda, until, phase):
    found = []
    while (item := agenda.pop(until, phase)) is not None:
        due, action = item
        found.append((due, *action(due)))
    return found


@given(ENTRIES, st.integers(0, 20), st.sampled_from([BEFORE_PRICES, AFTER_SCAN]))
def test_entries_come_by_time_then_phase_then_as_set_and_a_name_has_one(entries, until, phase):
    agenda, live = Agenda(), {}
    for n, (key, due, of) in enumerate(entries):
        agenda.set(key, due, lambda moment, key=key: [key], of)
        live[key] = (due, of, n)
        assert agenda.due <= min(due for due, _, _ in live.values())
    wanted = [
        (due, key)
        for (due, of, _), key in sorted((v, k) for k, v in live.items())
        if (due, of) <= (until, phase)
    ]
    assert drained(agenda, until, phase) == wanted
    left = {key: due for key, (due, of, _) in live.items() if (due, of) > (until, phase)}
    assert {key for key in "abcdef" if key in agenda} == set(left)
    assert agenda.due <= min(left.values(), default=NEVER)
    assert len(drained(agenda, NEVER, AFTER_SCAN)) == len(left)
    assert agenda.due == NEVER


def test_an_idle_agenda_is_never_due():
    assert Agenda().due == NEVER
    assert Agenda().pop(NEVER, AFTER_SCAN) is None
