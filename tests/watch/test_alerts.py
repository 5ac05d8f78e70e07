"""Alerts: how urgent an event is, each trouble told once, so many a minute, and a webhook that fails."""

import pytest

from app.watch.alerts import ALERTING, Alert, Throttle, alert_of
from app.watch.webhook import ATTEMPTS_MAX, AlertSettings, Outbox, Webhook, alert_sink
from core.errors import UsageError
from core.events import (
    BY_TYPE,
    MARKET_DATA,
    ConnectionChanged,
    DataGapChanged,
    DataStateChanged,
    HaltRequested,
    HaltVerified,
    HealthChanged,
    OrderStatusChanged,
    SessionEnded,
    SignalFileRead,
    SinkReported,
)
from tests.watch.events import TS, entry, link
from tests.watch.receiver import Receiver, receiving

ERROR = Alert("warning", "k", "trouble")


def health(state, check="disk"):
    return HealthChanged(TS, check, state, 1.0, 2.0, "MB", f"{check} is {state}")


def signals(accepted=0, rejected=0, problem=""):
    return SignalFileRead(TS, "bma", "bma.xlsx", "d", accepted, rejected, problem)


def status(word):
    return OrderStatusChanged(TS, "o-1", 1, "DU1", "s", "SPY", word, "no margin")


def gap(state):
    return DataGapChanged(TS, "SPY", state, TS, TS + 1, "" if state == "found" else "ib/live/1min", 0, "why")


@pytest.mark.parametrize(
    ("event", "severity", "key", "over"),
    [
        (ConnectionChanged(TS, "down", None, "x"), "warning", "connection", False),
        (ConnectionChanged(TS, "given_up", None, "x"), "critical", "connection", False),
        (ConnectionChanged(TS, "up"), "info", "connection", True),
        (HaltRequested(TS, "cancel", "why", "operator"), "critical", "halt", False),
        (HaltVerified(TS, "flatten", 1, 0, reached=False), "critical", "halt not reached", False),
        (health("critical"), "critical", "health disk", False),
        (health("ok"), "info", "health disk", True),
        (DataStateChanged(TS, "SPY", "stale", "x"), "warning", "data SPY", False),
        (DataStateChanged(TS, "SPY", "live"), "info", "data SPY", True),
        (gap("failed"), "warning", "gap SPY ib/live/1min", False),
        (gap("filled"), "info", "gap SPY ib/live/1min", True),
        (status("Rejected"), "warning", "rejected SPY", False),
        (SessionEnded(TS, 1, "failed"), "critical", "session ended", False),
        (SessionEnded(TS, 1, "finished"), "info", "session ended", False),
        (signals(problem="bma.xlsx: is no zip"), "warning", "signals bma bma.xlsx", False),
        (signals(rejected=3), "warning", "signals bma bma.xlsx", False),
        (signals(accepted=1, rejected=3), "info", "signals bma bma.xlsx", True),
        (SinkReported(TS, "phone", "error", 1, "x"), "warning", "sink phone error", False),
    ],
)
def test_each_event_has_its_urgency(event, severity, key, over):
    alert = alert_of(event)
    assert alert is not None
    assert (alert.severity, alert.key, alert.over) == (severity, key, over)


def test_what_is_no_trouble_raises_no_alert():
    quiet = [
        health("warning", "signals"),  # each of them is told by itself
        ConnectionChanged(TS, "connecting"),
        HaltVerified(TS, "halt", 0, 0, reached=True),
        status("Filled"),
        gap("found"),
    ]
    assert [alert_of(one) for one in quiet] == [None] * len(quiet)


def test_the_alerts_own_trouble_raises_no_alert_or_it_would_feed_itself():
    assert alert_of(SinkReported(TS, "alerts", "error", 1, "webhook down")) is None


def test_alerts_are_about_registered_events_and_never_about_market_data():
    assert all(kind in BY_TYPE for kind in ALERTING)
    assert not ALERTING & set(MARKET_DATA)


def test_a_trouble_is_told_once_until_time_has_passed_and_then_how_often_it_came():
    throttle = Throttle("warning", repeat_after_s=60, per_minute=100)
    assert throttle.admit(ERROR, 0) == ERROR
    assert [throttle.admit(ERROR, n) for n in (1, 30, 59)] == [None, None, None]
    again = throttle.admit(ERROR, 60)
    assert again is not None
    assert again.text == "trouble (and 3 more like it since the last message)"


def test_a_trouble_that_is_over_is_told_if_its_beginning_was_and_may_begin_again():
    throttle = Throttle("warning", repeat_after_s=600, per_minute=100)
    over = Alert("info", "k", "fine", over=True)
    assert throttle.admit(over, 0) is None
    throttle.admit(ERROR, 1)
    assert throttle.admit(over, 2) == over
    assert throttle.admit(over, 3) is None
    assert throttle.admit(ERROR, 4) == ERROR


def test_a_trouble_that_gets_worse_is_told_again_at_once():
    throttle = Throttle("warning", repeat_after_s=600, per_minute=100)
    throttle.admit(ERROR, 0)
    worse = Alert("critical", "k", "worse")
    assert throttle.admit(worse, 1) is not None
    assert throttle.admit(ERROR, 2) is None


def test_less_than_the_least_severity_is_not_told():
    assert Throttle("critical", 1, 10).admit(ERROR, 0) is None


def test_more_than_the_rate_is_held_back_and_summed_up_and_a_critical_one_still_gets_through():
    throttle = Throttle("warning", repeat_after_s=600, per_minute=2)
    sent = [throttle.admit(Alert("warning", f"k{n}", "x"), 0.1 * n) for n in range(5)]
    assert [one is not None for one in sent] == [True, True, False, False, False]
    assert throttle.admit(Alert("critical", "halt", "x"), 1) is not None
    assert throttle.summary(30) is None
    told = throttle.summary(61)
    assert told is not None
    assert told.text.startswith("3 alerts were held back")
    assert throttle.summary(62) is None


def test_what_is_remembered_of_troubles_is_bounded():
    throttle = Throttle("warning", repeat_after_s=1e9, per_minute=10**9)
    for number in range(12_000):
        throttle.admit(Alert("warning", f"k{number}", "x"), 0)
    assert len(throttle._active) == 10_000


# -- the webhook -------------------------------------------------------------------------------


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


def test_an_alert_reaches_the_webhook_with_its_place_in_the_log(receiver):
    sink = alert_sink(AlertSettings(webhook=receiver.url))
    sink.offer([link("down", seq=7), link("down", seq=8)])
    sink.close(60)
    ((path, body),) = receiver.got
    assert path == "/hook?key=geheim"
    assert body["text"] == body["content"] == "[truetape] warning: connection down: the socket closed"
    assert (body["severity"], body["key"], body["seq"], body["over"]) == ("warning", "connection", 7, False)
    assert body["time"] == "2025-07-02T13:30:00.000Z"
    assert sink.reports(TS) == []


def test_a_webhook_that_fails_is_reported_once_and_tried_again_until_it_takes_the_alert(receiver):
    clock = [0.0]
    outbox = Outbox(AlertSettings(), Webhook(receiver.url, 5).post, lambda: clock[0])
    receiver.answer = 503
    (problem,) = outbox.handle(link("down"))
    assert problem == "the webhook does not take alerts: HTTP 503 Service Unavailable; they are tried again"
    assert outbox.work() == []
    assert len(receiver.got) == 1
    clock[0] += 2
    assert outbox.work() == []
    receiver.answer = 200
    clock[0] += 4
    assert outbox.work() == []
    assert [body["key"] for _, body in receiver.got] == ["connection"] * 3
    clock[0] += 1000
    assert outbox.work() == []
    assert len(receiver.got) == 3


def test_an_alert_that_nobody_takes_is_given_up_and_that_is_reported_without_the_address():
    clock = [0.0]
    with Receiver() as closed:
        url = closed.url
    outbox = Outbox(AlertSettings(), Webhook(url, 1).post, lambda: clock[0])
    problems = outbox.handle(link("down"))
    for _ in range(ATTEMPTS_MAX):
        clock[0] += 100
        problems += outbox.work()
    assert len(problems) == 2
    assert f"given up after {ATTEMPTS_MAX} attempts" in problems[1]
    assert "geheim" not in str(problems)


def test_what_waits_for_a_dead_webhook_is_bounded():
    outbox = Outbox(AlertSettings(per_minute=10**6), lambda _: "dead", lambda: 0.0)
    problems = []
    for number in range(250):
        problems += outbox.handle(entry(health("critical", f"c{number}"), number))
    assert len(outbox._waiting) == 100
    assert sum("given up" in one for one in problems) == 150


def test_an_address_that_is_none_is_refused_without_being_shown():
    with pytest.raises(UsageError) as caught:
        Webhook("ftp://host/secret", 1)
    assert "expected an address" in str(caught.value)
    assert "secret" not in str(caught.value)
