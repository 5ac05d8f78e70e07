"""No full garbage collection of a process's whole past while a session trades."""

import gc

import pytest

from tests.live.rig import Rig


@pytest.mark.extended
def test_what_was_there_before_is_set_aside_while_a_session_runs(start):
    found = []

    def look(rig: Rig) -> bool:
        found.append(gc.get_freeze_count())
        return rig.settled()

    begun = gc.get_freeze_count()
    rig, _ = start("", until=look, orders=1)
    gc.collect()
    tracked = len(gc.get_objects())
    rig.run()
    assert min(found) > tracked // 2
    assert gc.get_freeze_count() == begun == 0


def test_a_full_collection_in_a_session_visits_only_what_is_new(start):
    visited = []

    def look(rig: Rig) -> bool:
        visited.append(len(gc.get_objects()))  # frozen objects are not among them
        return rig.settled()

    rig, _ = start("", until=look, orders=2)
    gc.collect()
    tracked = len(gc.get_objects())
    rig.run()
    assert max(visited) < tracked // 4
