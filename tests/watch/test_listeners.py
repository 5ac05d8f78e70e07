"""Listeners: told in order after the fact, and whatever they do, offering an event never waits."""

import select
import sys
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import psutil
import pytest

from app.watch.loading import load_listener
from app.watch.processes import ListenerProcess
from app.watch.sinks import Sink, SinkThread
from core.errors import UsageError
from core.events import Filled, Quote, SinkReported, TimerFired, Trade
from core.listener import Delivery, Interest, Listener, on
from tests.watch.events import TS, entry, filled, link, trade

LISTENERS = Path(__file__).with_name("listeners.py")


@pytest.fixture
def start():
    """Start listeners of the file as processes; end them after the test."""
    running = []

    def one(name, **more):
        options = {"queue_max": 1000, "errors_max": 3, **more}
        running.append(ListenerProcess(name, f"{LISTENERS}:{name}", **options))
        return running[-1]

    yield one
    for sink in running:
        sink.close(0)


def reported(sink, state, patience_s=60):
    """Wait for a report of a kind; return all that came up to it."""
    found: list[SinkReported] = []
    while not any(one.state == state for one in found):
        ready, _, _ = select.select([sink._socket], [], [], patience_s)
        assert ready, f"no report {state!r} of {sink.name}, only {found}"
        found += sink.reports(TS)
    return found


def returns_in_time(work, patience_s=60):
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(patience_s)
    return not thread.is_alive()


def test_a_listener_hears_what_it_asked_for_in_log_order_and_is_told_when_it_ends(
    start, tmp_path, monkeypatch
):
    told = tmp_path / "told.txt"
    monkeypatch.setenv("LISTENER_FILE", str(told))
    sink = start("Writer")
    sink.offer([filled("SPY", 5), trade(), filled("IBM", 6), link("up", 7), filled("SPY", 9)])
    sink.close(60)
    assert told.read_text().splitlines() == [
        "start",
        "filled SPY 10 at 5",
        "link up",
        "filled SPY 10 at 9",
        "stop",
    ]


def test_the_loop_knows_what_a_listener_wants_without_loading_it(start):
    before = {name for name in sys.modules if name.startswith("tape_strategy")}
    sink = start("Blocking")
    assert sink.types == {Filled, Quote, Trade}
    assert {name for name in sys.modules if name.startswith("tape_strategy")} == before


def test_a_listener_that_raises_is_named_and_after_so_many_errors_switched_off(start):
    sink = start("Raising", errors_max=2)
    sink.offer([filled(seq=n) for n in range(1, 6)])
    found = reported(sink, "switched_off")
    assert [(one.sink, one.state, one.count) for one in found] == [
        ("Raising", "error", 1),
        ("Raising", "error", 2),
        ("Raising", "switched_off", 2),
    ]
    assert "ValueError in filled at" in found[0].reason
    assert "listeners.py:" in found[0].reason
    assert "no SPY please" in found[0].reason


@pytest.mark.parametrize("name", ["Blocking", "Computing"])
def test_a_listener_that_never_returns_delays_no_offer_and_its_losses_are_counted(start, name):
    sink = start(name, queue_max=500)
    entries = [filled(seq=n) for n in range(1, 40_001)]
    assert returns_in_time(lambda: sink.offer(entries))
    (lost,) = sink.reports(TS)
    assert (lost.sink, lost.state) == (name, "overflow")
    assert lost.count == sink.losses.total > 0
    assert returns_in_time(lambda: sink.close(0.2))
    assert not psutil.pid_exists(sink.pid)


class Inline:
    """How not to do it: the listener is called where the event is offered."""

    def __init__(self, listener):
        self._delivery = Delivery(listener, 3)

    def offer(self, entries):
        for one in entries:
            self._delivery.deliver(one)


def test_a_listener_that_is_called_inline_is_caught_delaying():
    release = Flag()

    class Slow(Listener):
        @on(Filled)
        def filled(self, event):
            release.wait()

    assert not returns_in_time(lambda: Inline(Slow()).offer([filled()]), patience_s=0.2)
    sink = SinkThread.listening("slow", Slow(), queue_max=2, errors_max=3)
    assert returns_in_time(lambda: sink.offer([filled(seq=n) for n in range(1, 10)]))
    assert [one.state for one in sink.reports(TS)] == ["overflow"]
    release.set()
    sink.close(60)


@pytest.mark.parametrize(("name", "how"), [("Dying", "ended with 7"), ("Leaving", "ended with 1")])
def test_a_listener_whose_process_ends_is_reported_once_and_told_nothing_more(start, name, how):
    sink = start(name)
    sink.offer([filled()])
    sink._process.wait(60)
    (ended,) = [one for one in reported(sink, "ended") if one.state == "ended"]
    assert how in ended.reason
    sink.offer([filled(seq=2)])
    assert sink.reports(TS) == []


def test_what_the_listener_of_a_killed_session_still_prints_is_not_in_the_next_ones_file(start, tmp_path):
    output = tmp_path / "listener-Writer.txt"
    with output.open("w") as before:
        start("Raising", output=output)
        before.write("late")
    assert "late" not in output.read_text()


def test_losses_are_reported_at_most_once_a_second():
    sink = SinkThread("s", Interest(all_fills()), lambda _: (), queue_max=0)
    sink.offer([filled(seq=1), filled(seq=2)])
    assert [one.count for one in sink.reports(TS)] == [2]
    sink.offer([filled(seq=3)])
    assert sink.reports(TS) == []
    sink.close(60)


def all_fills():
    return type("All", (Listener,), {"told_of": on(Filled)(lambda self, event: None)}).told


def test_a_listener_made_in_python_is_told_in_a_thread():
    heard = []

    class Hearing(Listener):
        @on(Filled, TimerFired)
        def told_of(self, event):
            heard.append((self.entry.seq, event.instrument))
            if event.instrument == "IBM":
                raise RuntimeError("not IBM")

    sink: Sink = SinkThread.listening("hearing", Hearing(), queue_max=10, errors_max=1)
    sink.offer([filled("SPY", 1), filled("IBM", 2), filled("SPY", 3)])
    sink.close(60)
    assert heard == [(1, "SPY"), (2, "IBM")]
    assert [(one.state, one.count) for one in sink.reports(TS)] == [("error", 1), ("switched_off", 1)]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere.py:X", "nowhere.py: no such file; expected path/file.py:Class"),
        ("Phone", "no listener 'Phone'; expected path/file.py:Class"),
        (f"{LISTENERS}:Nobody", "no listener 'Nobody'; it has"),
        (f"{LISTENERS}", "name one listener: "),
        (f"{LISTENERS}:Deaf", "Deaf is told of nothing; mark its methods with @on"),
        (f"{LISTENERS}:Unmade", "Unmade() raised RuntimeError: no licence"),
    ],
)
def test_a_listener_that_cannot_be_made_is_refused_with_the_reason(spec, message):
    with pytest.raises(UsageError) as caught:
        load_listener(spec)
    assert message in str(caught.value)


def test_a_listener_that_cannot_be_made_in_its_process_is_refused_before_trading(start):
    with pytest.raises(UsageError, match=r"listener Unmade: .*no licence"):
        start("Unmade")


def test_what_is_no_event_cannot_be_asked_for():
    with pytest.raises(UsageError, match="expected event types"):
        on(int)  # type: ignore[type-var]
    with pytest.raises(UsageError, match="names no instrument"):
        on(TimerFired, instruments=["SPY"])
    with pytest.raises(UsageError, match=r"expected a list such as \['SPY'\]"):
        on(Filled, instruments="SPY")


def test_interest_in_all_instruments_wins_over_interest_in_one():
    class Both(Listener):
        @on(Filled, instruments=["SPY"])
        def some(self, event): ...

        @on(Filled)
        def all_of_them(self, event): ...

    class One(Listener):
        @on(Filled, instruments=["SPY"])
        def some(self, event): ...

    assert Interest(Both.told).wants(filled("IBM").event)
    assert not Interest(One.told).wants(filled("IBM").event)
    assert Interest(One.told).wants(filled("SPY").event)
    assert not Interest(One.told).wants(entry(trade().event).event)
