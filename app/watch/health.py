"""Health checks: what is measured, the thresholds, and an event for each change of state.

Read from the session's folds and from `app.watch.machine` by the loop's shell, once a second. A check only
tells: what stops trading is the gate and the risk rules, which never read any of this.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from app.configuration.settings import HealthSection
from app.signals.troubles import Troubles
from app.watch.machine import Machine
from core.events import Entry, Event, HealthChanged, HealthState, InstrumentDefined, SessionScheduled
from core.risk import Limits, RiskState
from core.risk.standing import standings

Check = Literal["connection", "data_age", "memory", "cpu", "disk", "log_size", "position_risk", "signals"]

_RECOVERED = 0.9
"""A check is better only when it is a tenth away from its threshold, so that it does not flicker."""
_RISKS = frozenset(("max_position_size", "max_portfolio_risk", "max_daily_loss"))


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; `None` is unknown, and changes nothing."""

    connection_down_s: float | None = None
    data_age_s: float | None = None
    memory_mb: float | None = None
    cpu_pct: float | None = None
    disk_free_mb: float | None = None
    log_mb: float | None = None
    position_risk: float | None = None
    troubles: float | None = None


class _Rule(msgspec.Struct, frozen=True):
    check: Check
    unit: str
    text: str
    falling: bool = False
    fixed: tuple[float, float] | None = None
    """Thresholds that nobody would want otherwise; the others are configured."""

    def passed(self, value: float, threshold: float) -> bool:
        """Return whether a value is as bad as a threshold; a threshold of 0 is never reached."""
        return threshold > 0 and (value <= threshold if self.falling else value >= threshold)


_RULES: dict[str, _Rule] = {
    "connection_down_s": _Rule("connection", "s", "no usable connection to the broker for {:.0f} s"),
    "data_age_s": _Rule("data_age", "s", "no market data for {:.0f} s of an open session"),
    "memory_mb": _Rule("memory", "MB", "the process holds {:.0f} MB"),
    "cpu_pct": _Rule("cpu", "%", "the process used {:.0f} % of a core over the last minute"),
    "disk_free_mb": _Rule("disk", "MB", "{:.0f} MB are free where the log lies", falling=True),
    "log_mb": _Rule("log_size", "MB", "the log takes {:.0f} MB"),
    "position_risk": _Rule("position_risk", "of the limit", "{:.0%} of a risk limit is used"),
    "troubles": _Rule("signals", "sources", "sources of signals in trouble: {:.0f}", fixed=(1.0, 0.0)),
}


class Checks:
    """The state of each check; pure."""

    def __init__(self, thresholds: HealthSection) -> None:
        self._thresholds = thresholds
        self.states: dict[str, HealthState] = {rule.check: "ok" for rule in _RULES.values()}

    def evaluate(self, ts: int, measures: Measures) -> list[Event]:
        """Return an event for each check whose state these measures change."""
        changed: list[Event] = []
        for name, rule in _RULES.items():
            value: float | None = getattr(measures, name)
            if value is None:
                continue
            warning, critical = rule.fixed or getattr(self._thresholds, name)
            before = self.states[rule.check]
            state, threshold = _state(rule, value, warning, critical, before)
            if state != before:
                self.states[rule.check] = state
                text = rule.text.format(value) + (": fine again" if state == "ok" else "")
                changed.append(HealthChanged(ts, rule.check, state, float(value), threshold, rule.unit, text))
        return changed


def _state(
    rule: _Rule, value: float, warning: float, critical: float, before: HealthState
) -> tuple[HealthState, float]:
    ease = 1 / _RECOVERED if rule.falling else _RECOVERED
    if rule.passed(value, critical * (ease if before == "critical" else 1)):
        return "critical", critical
    if rule.passed(value, warning * (1 if before == "ok" else ease)):
        return "warning", warning
    return "ok", warning


class GateFacts(Protocol):
    """What is asked of the gate."""

    @property
    def link(self) -> str:
        """`up` if the connection can be used."""


class CalendarFacts(Protocol):
    """What is asked of the calendar."""

    def session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the session at a time."""


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The folds of a live session that its health is read from; read by the loop's thread only."""

    gate: GateFacts
    state: RiskState
    calendar: CalendarFacts
    account: str
    limits: Limits
    instruments: Callable[[], Sequence[InstrumentDefined]]
    data_ts: Callable[[], int]
    troubles: Troubles

    def risk_used(self, ts: int) -> float | None:
        """Return the largest share of a limit that is used; `None` without limits, or if unknown."""
        used = [
            float(one.value / one.limit)
            for one in standings(self.account, self.state, self.limits, ts)
            if one.rule in _RISKS and one.value is not None and one.limit > 0
        ]
        return max(used, default=None)

    def data_age_s(self, ts: int) -> float | None:
        """Return how old the youngest market data are while a session is open; `None` otherwise."""
        heard = self.data_ts()
        for instrument in self.instruments():
            session = self.calendar.session(instrument.exchange, ts)
            if session is not None and session.open <= ts < session.close:
                return (ts - max(heard, session.open)) / 1e9
        return None


class Health:
    """A watcher of `app.watch.hub`: once a second, what is wrong now and was not before, or the reverse.

    In lock step the session's clock is not the machine's, and silence is impossible: neither CPU nor the age
    of data is judged.
    """

    name = "health"
    types: frozenset[type[Event]] = frozenset()

    def __init__(
        self,
        thresholds: HealthSection,
        machine: Machine,
        facts: SessionFacts,
        *,
        lock_step: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checks = Checks(thresholds)
        self._machine = machine
        self._facts = facts
        self._lock_step = lock_step
        self._monotonic = monotonic
        self._up_s = monotonic()
        self.measures = Measures()

    def offer(self, entries: Sequence[Entry]) -> None:
        """Take nothing: the folds know."""

    def reports(self, ts: int) -> list[Event]:
        """Measure, and return what changed."""
        self.measures = self._measured(ts)
        return self.checks.evaluate(ts, self.measures)

    def close(self, timeout_s: float) -> None:  # noqa: ARG002
        """End the measuring."""
        self._machine.close()

    @property
    def states(self) -> Mapping[str, HealthState]:
        """The state of each check."""
        return self.checks.states

    def _measured(self, ts: int) -> Measures:
        now, facts, reading = self._monotonic(), self._facts, self._machine.reading
        is_up = facts.gate.link == "up"
        if is_up:
            self._up_s = now
        return Measures(
            connection_down_s=now - self._up_s,
            data_age_s=facts.data_age_s(ts) if is_up and not self._lock_step else None,
            memory_mb=reading.memory_mb,
            cpu_pct=None if self._lock_step else reading.cpu_pct,
            disk_free_mb=reading.disk_free_mb,
            log_mb=reading.log_mb,
            position_risk=facts.risk_used(ts),
            troubles=float(len(facts.troubles)),
        )
