"""Which client id a connection has while another program has ours."""

import pytest

from adapters.ibkr.link.takeover import Takeover
from app.configuration.settings import IbkrSection
from app.live.linking import link_of
from core.errors import ConfigError


def ids(takeover: Takeover, *ends: bool) -> list[int]:
    """Return the ids of the connections that end so, one after the other: true for an id in use."""
    found = []
    for in_use in ends:
        found.append(takeover.client_id)
        takeover.failed(in_use=in_use)
    return found


def test_the_other_id_is_taken_after_so_many_attempts_and_ours_is_tried_in_between() -> None:
    takeover = Takeover(1, 99, 3)
    assert ids(takeover, True, True, True, False, True, False) == [1, 1, 1, 99, 1, 99]


def test_without_another_id_ours_is_tried_for_ever() -> None:
    assert ids(Takeover(1, None, 2), True, True, True, True) == [1, 1, 1, 1]


def test_a_connection_that_breaks_for_another_reason_counts_for_nothing() -> None:
    assert ids(Takeover(1, 99, 2), True, False, False, True, False) == [1, 1, 1, 1, 99]


def test_the_other_id_may_be_in_use_too() -> None:
    assert ids(Takeover(1, 99, 1), True, True, True, True) == [1, 99, 1, 99]


def test_a_usable_connection_sets_the_count_back() -> None:
    takeover = Takeover(1, 99, 2)
    ids(takeover, True)
    takeover.succeeded()
    assert ids(takeover, True, True, False) == [1, 1, 99]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"takeover_client_id": 1}, r"\[ibkr\] takeover_client_id = 1: expected another id than client_id"),
        (
            {"takeover_client_id": 9, "takeover_after": 10},
            r"\[ibkr\] takeover_after = 10: expected less than max_reconnect_attempts \(10\)",
        ),
    ],
)
def test_ids_and_counts_that_make_no_sense_are_refused(section: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        link_of(IbkrSection(**section))
