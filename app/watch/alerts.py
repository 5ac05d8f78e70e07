"""Which events a person is to be woken for, how urgent each is, and which say that it is over. Pure.

`alert_of` words an event; `Throttle` decides what is sent: each trouble once until it is over or time has
passed, and only so many a minute, critical ones counted apart. What is held back is counted and told later.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from app.signals.troubles import trouble_of
from core.clock import iso
from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    BrokerMessage,
    ClockSkewMeasured,
    ConnectionChanged,
    DataGapChanged,
    DataStateChanged,
    Event,
    FrameRejected,
    HaltRequested,
    HaltVerified,
    HealthChanged,
    OrderResolved,
    OrderStatusChanged,
    RiskRefused,
    SendFailed,
    SessionEnded,
    SessionStarted,
    SignalFileRead,
    SinkReported,
    StrategyFailed,
    TradingResumed,
)
from projections.gate import EXIT_REFUSED

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
OWN_NAME = "alerts"
_KEYS_MAX = 10_000
_MINUTE_S = 60.0


class Alert(msgspec.Struct, frozen=True):
    """One message. `key` names the trouble; `over` says that it has ended."""

    severity: Severity
    key: str
    text: str
    over: bool = False


_BACK = frozenset(("up", "upstream_up"))
_EXPECTED = frozenset(("connecting", "restart_window"))
_GRAVE = frozenset(("given_up", "wedged", "overdue", "read_only", "refused"))


def alert_of(event: Event) -> Alert | None:
    """Return what a person is told of an event, or `None`."""
    rule = _RULES.get(type(event))
    return rule(event) if rule is not None else None


def _connection(event: ConnectionChanged) -> Alert | None:
    state: str = event.state
    if state in _BACK:
        return Alert("info", "connection", "the connection to the broker is back", over=True)
    if state in _EXPECTED:
        return None
    severity: Severity = "critical" if state in _GRAVE else "warning"
    return Alert(severity, "connection", f"connection {state}: {event.reason}")


def _data(event: DataStateChanged) -> Alert | None:
    key = f"data {event.instrument}"
    if event.state in ("live", "delayed", "ended"):
        return Alert("info", key, f"market data of {event.instrument} are {event.state}", over=True)
    return Alert("warning", key, f"market data of {event.instrument} are {event.state}: {event.reason}")


def _gap(event: DataGapChanged) -> Alert | None:
    if event.state == "found":
        return None
    span = f"{event.instrument} from {iso(event.begin)} to {iso(event.end)} ({event.feed})"
    if event.state == "filled":
        return Alert("info", f"gap {event.instrument} {event.feed}", f"filled: {span}", over=True)
    text = f"what was missed of {span} could not be filled: {event.reason}"
    return Alert("warning", f"gap {event.instrument} {event.feed}", text)


def _health(event: HealthChanged) -> Alert | None:
    if event.check == "signals":
        return None  # each source in trouble is told of by itself
    key = f"health {event.check}"
    if event.state == "ok":
        return Alert("info", key, event.message, over=True)
    return Alert("critical" if event.state == "critical" else "warning", key, event.message)


def _sink(event: SinkReported) -> Alert | None:
    if event.sink == OWN_NAME:
        return None  # it cannot tell of its own trouble; the log does
    text = f"{event.sink}: {event.state}, {event.count}: {event.reason}"
    return Alert("warning", f"sink {event.sink} {event.state}", text)


def _signals(event: SignalFileRead) -> Alert:
    key, trouble = f"signals {event.source} {event.file}", trouble_of(event)
    if trouble:
        return Alert("warning", key, f"signals of {event.source}: {trouble}")
    return Alert("info", key, f"signals of {event.source}: {event.file} is well again", over=True)


def _verified(event: HaltVerified) -> Alert | None:
    if event.reached:
        return None
    text = (
        f"halt {event.level} not reached: {event.working_orders} working orders and "
        f"{event.open_positions} positions are left"
    )
    return Alert("critical", "halt not reached", text)


def _resolved(event: OrderResolved) -> Alert | None:
    if event.outcome not in ("unknown", "presumed_lost"):
        return None
    return Alert(
        "critical", f"order {event.order}", f"order {event.order} is {event.outcome}: {event.evidence}"
    )


def _status(event: OrderStatusChanged) -> Alert | None:
    if event.status not in ("Rejected", "Inactive"):
        return None
    text = f"order {event.order} in {event.instrument} is {event.status}: {event.message}"
    return Alert("warning", f"rejected {event.instrument}", text)


def _break(event: BreakFound) -> Alert:
    # A missing target costs no more than what its stop allows.
    severity: Severity = "warning" if event.kind == EXIT_REFUSED else "critical"
    return Alert(severity, f"break {event.instrument}", event.message)


def _refused(event: RiskRefused) -> Alert:
    severity: Severity = "critical" if event.rule == "max_daily_loss" else "info"
    return Alert(severity, f"refused {event.rule}", f"{event.order or event.strategy}: {event.message}")


def _message(event: BrokerMessage) -> Alert | None:
    if event.severity != "error":
        return None
    return Alert("warning", f"message {event.code}", f"broker, code {event.code}: {event.text}")


def _skew(event: ClockSkewMeasured) -> Alert:
    text = f"the broker's clock is {event.skew_ms} ms ahead of ours"
    return Alert("warning", "clock", text, over=not event.excessive)


def _ended(event: SessionEnded) -> Alert:
    severity: Severity = "critical" if event.reason in ("failed", "halted") else "info"
    return Alert(severity, "session ended", f"session {event.session} ended: {event.reason}")


def _failed(event: StrategyFailed) -> Alert:
    text = f"strategy {event.strategy} raised in {event.handler} at {event.file}:{event.line}: {event.error}"
    return Alert("critical", f"strategy {event.strategy}", text)


_RULES: dict[type[Event], Callable[[Any], Alert | None]] = {
    ConnectionChanged: _connection,
    DataStateChanged: _data,
    DataGapChanged: _gap,
    HealthChanged: _health,
    SinkReported: _sink,
    HaltRequested: lambda e: Alert("critical", "halt", f"halted ({e.level}) by {e.origin}: {e.reason}"),
    TradingResumed: lambda e: Alert("info", "halt", f"trading goes on: {e.reason}", over=True),
    HaltVerified: _verified,
    BreakFound: _break,
    BreakAccepted: lambda e: Alert("info", f"break {e.instrument}", f"accepted: {e.reason}", over=True),
    BreakResolved: lambda e: Alert("info", f"break {e.instrument}", f"explained: {e.evidence}", over=True),
    ClockSkewMeasured: _skew,
    OrderResolved: _resolved,
    OrderStatusChanged: _status,
    RiskRefused: _refused,
    SendFailed: lambda e: Alert("warning", "send failed", f"order {e.order} was not sent: {e.message}"),
    BrokerMessage: _message,
    FrameRejected: lambda e: Alert("warning", "frame rejected", f"an unreadable message: {e.reason}"),
    StrategyFailed: _failed,
    SignalFileRead: _signals,
    SessionStarted: lambda e: Alert("info", "session started", f"session {e.session} ({e.mode}) started"),
    SessionEnded: _ended,
}
ALERTING = frozenset(_RULES)
"""The event types that may be worth a message."""


class Throttle:
    """Decides which alerts are sent. Times are seconds of any clock that only goes forward."""

    def __init__(self, least: Severity, repeat_after_s: float, per_minute: int) -> None:
        self._least = SEVERITIES.index(least)
        self._repeat_after_s = repeat_after_s
        self._per_minute = per_minute
        self._active: dict[str, tuple[float, Severity]] = {}  # when last sent, and how urgent
        self._again: dict[str, int] = {}
        self._sent: dict[bool, deque[float]] = {True: deque(), False: deque()}
        self.held_back = 0

    def admit(self, alert: Alert, now_s: float) -> Alert | None:
        """Return the alert as it is to be sent now, or `None`."""
        known = self._active.get(alert.key)
        if alert.over:
            return self._over(alert, known, now_s)
        if SEVERITIES.index(alert.severity) < self._least:
            return None
        if known is not None and not self._news(alert, known, now_s):
            self._again[alert.key] = self._again.get(alert.key, 0) + 1
            return None
        if not self._within_rate(alert, now_s):
            return None
        self._remember(alert, now_s)
        again = self._again.pop(alert.key, 0)
        text = f"{alert.text} (and {again} more like it since the last message)" if again else alert.text
        return msgspec.structs.replace(alert, text=text)

    def summary(self, now_s: float) -> Alert | None:
        """Return one alert about those that the rate held back, as soon as the rate allows it."""
        if not self.held_back or not self._room(self._sent[False], now_s):
            return None
        count, self.held_back = self.held_back, 0
        self._sent[False].append(now_s)
        text = f"{count} alerts were held back: more than {self._per_minute} in a minute; see tape events"
        return Alert("warning", "held back", text)

    def _over(self, alert: Alert, known: tuple[float, Severity] | None, now_s: float) -> Alert | None:
        if known is None:
            return None  # nobody was told that it had begun
        if not self._within_rate(alert, now_s):
            return None
        del self._active[alert.key]
        self._again.pop(alert.key, None)
        return alert

    def _news(self, alert: Alert, known: tuple[float, Severity], now_s: float) -> bool:
        sent_s, severity = known
        worse = SEVERITIES.index(alert.severity) > SEVERITIES.index(severity)
        return worse or now_s - sent_s >= self._repeat_after_s

    def _within_rate(self, alert: Alert, now_s: float) -> bool:
        sent = self._sent[alert.severity == "critical"]
        if not self._room(sent, now_s):
            self.held_back += 1
            return False
        sent.append(now_s)
        return True

    def _room(self, sent: deque[float], now_s: float) -> bool:
        while sent and now_s - sent[0] >= _MINUTE_S:
            sent.popleft()
        return len(sent) < self._per_minute

    def _remember(self, alert: Alert, now_s: float) -> None:
        self._active.pop(alert.key, None)
        self._active[alert.key] = (now_s, alert.severity)
        if len(self._active) > _KEYS_MAX:
            oldest = next(iter(self._active))
            del self._active[oldest]
            self._again.pop(oldest, None)
