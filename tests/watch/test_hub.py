"""What is passed on, and when: after the commit, never before, and never what failed to commit."""

from threading import Barrier

import pytest

from app.watch.hub import Hub
from core.errors import LogDead
from core.events import Filled, SinkReported
from eventstore.memory import MemoryLog
from tests.watch.events import TS, filled, trade


class Noting:
    name = "noting"
    types = frozenset({Filled})

    def __init__(self, said=()):
        self.heard = []
        self.said = list(said)
        self.closed = None

    def offer(self, entries):
        self.heard += entries

    def reports(self, ts):
        said, self.said = self.said, []
        return said

    def close(self, timeout_s):
        self.closed = timeout_s


class Quiet:
    now = TS

    def __init__(self):
        self.waits = []

    def inputs(self, timeout_s):
        self.waits.append(timeout_s)
        return [trade().event]

    def leave(self):
        return []


class Failing(MemoryLog):
    def commit(self, *, sync):
        raise LogDead("disk full")


def test_an_event_is_passed_on_at_the_look_after_its_commit_with_its_place_in_the_log():
    noting, log = Noting(), MemoryLog()
    hub = Hub([noting])
    recorder, link = hub.recorder(log), hub.link(Quiet())
    recorder.append(trade().event)
    seq = recorder.append(filled().event)
    link.inputs(0)
    assert noting.heard == []
    recorder.commit(sync=True)
    assert noting.heard == []
    link.inputs(0)
    assert [(one.seq, one.at, type(one.event)) for one in noting.heard] == [(seq, seq, Filled)]


def test_what_was_not_committed_is_never_passed_on():
    noting = Noting()
    hub = Hub([noting])
    recorder = hub.recorder(Failing())
    recorder.append(filled().event)
    with pytest.raises(LogDead):
        recorder.commit(sync=True)
    hub.close()
    assert noting.heard == []
    assert noting.closed is not None


def test_what_a_watcher_has_to_say_becomes_an_input_and_is_not_waited_for():
    said = SinkReported(TS, "noting", "error", 1, "x")
    hub, quiet = Hub([Noting([said])]), Quiet()
    assert hub.link(quiet).inputs(0.25) == [said, trade().event]
    assert hub.link(quiet).inputs(0.25) == [trade().event]
    assert quiet.waits == [0.0, 0.25]


def test_watchers_are_asked_once_more_when_the_session_leaves_though_a_second_is_not_over():
    first, late = (SinkReported(TS, "noting", "error", count) for count in (1, 2))
    noting = Noting([first])
    hub = Hub([noting], monotonic=lambda: 100.0)
    link = hub.link(Quiet())
    assert link.inputs(0)[0] == first
    noting.said = [late]
    assert late not in link.inputs(0)
    assert link.leave() == [late]


def test_watchers_are_asked_once_a_second():
    clock = [100.0]
    noting = Noting([SinkReported(TS, "noting", "error", 1)])
    hub = Hub([noting], monotonic=lambda: clock[0])
    assert len(hub.reports(TS)) == 1
    noting.said = [SinkReported(TS, "noting", "error", 2)]
    clock[0] += 0.9
    assert hub.reports(TS) == []
    clock[0] += 0.1
    assert [one.count for one in hub.reports(TS)] == [2]


def test_without_watchers_the_hot_path_is_untouched():
    log, quiet = MemoryLog(), Quiet()
    assert Hub().recorder(log) is log
    assert Hub().link(quiet) is quiet


def test_watchers_end_at_the_same_time_so_that_slow_ones_do_not_add_up():
    both = Barrier(2, timeout=60)

    class Slow(Noting):
        def close(self, timeout_s):
            both.wait()
            super().close(timeout_s)

    watchers = [Slow(), Slow()]
    Hub(watchers).close()
    assert [one.closed for one in watchers] == [5.0, 5.0]
