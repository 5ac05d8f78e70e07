"""Ids that end in a running number are marks in a row; none is taken for another."""

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.idset import Ids

NAMES = st.one_of(
    st.tuples(st.sampled_from(("sma-1-", "sma-2-", "", "-")), st.integers(-3, 70)).map(
        lambda p: f"{p[0]}{p[1]}"
    ),
    st.sampled_from(("sma-1-007", "sma-1-", "sma-1-1_0", "sma-1-+5", "sma-1- 5", "sma-1-٣", "-", "0", "x")),
    st.integers(10**6, 10**12).map(lambda n: f"sma-1-{n}"),
)


@settings(deadline=None, database=None)
@given(st.lists(NAMES, max_size=30), st.lists(NAMES, max_size=30))
def test_ids_hold_what_a_set_would(added, asked):
    ids = Ids()
    ids.update(added)
    restored = Ids(ids.state())
    for name in added + asked:
        assert (name in ids) == (name in restored) == (name in set(added))


def test_a_running_number_takes_a_byte():
    ids = Ids()
    ids.update([f"sma-1-{number}" for number in range(10_000)])
    state = ids.state()
    assert (sum(map(len, state.numbered.values())), state.others) == (10_000, [])


def test_a_number_out_of_the_row_does_not_fill_the_row_up_to_it():
    ids = Ids()
    ids.update(["sma-1-999999999"])
    assert ids.state().numbered == {}
    assert "sma-1-999999999" in ids
