"""Health checks: what is measured, the thresholds, and an event for each change of state.

Read from the session's folds and from `app.machine` by the loop's shell, once a second. A check only tells:
what stops trading is the gate and the risk rules, which never read any of this.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from app.machine import Machine
from core.errors import ConfigError
from core.events import Entry, Event, HealthChanged, HealthState, InstrumentDefined, SessionScheduled
from core.risk import Limits
from core.views import OrdersView, Position

Check = Literal["connection", "data_age", "memory", "cpu", "disk", "log_size", "position_risk"]
Pair = tuple[float, float]
"""The values from which on a check is a warning, and critical; 0 is never."""

_RECOVERED = 0.9
"""A check is better only when it is a tenth away from its threshold, so that it does not flicker."""


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Warning and critical values of each check. Raises `ConfigError` if they are the wrong way round."""

    connection_down_s: Pair = (10.0, 60.0)
    data_age_s: Pair = (30.0, 300.0)
    memory_mb: Pair = (1500.0, 3000.0)
    cpu_pct: Pair = (90.0, 98.0)
    disk_free_mb: Pair = (5000.0, 1000.0)
    log_mb: Pair = (50_000.0, 200_000.0)
    position_risk: Pair = (0.8, 1.0)

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            warning, critical = getattr(self, name)
            low, high = (critical, warning) if name == "disk_free_mb" else (warning, critical)
            if high and low > high:
                raise ConfigError(
                    f"[health] {name} = [{warning:g}, {critical:g}]: expected the warning, then what is worse"
                )


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; `None` is unknown, and changes nothing."""

    connection_down_s: float | None = None
    data_age_s: float | None = None
    memory_mb: float | None = None
    cpu_pct: float | None = None
    disk_free_mb: float | None = None
    log_mb: float | None = None
    position_risk: float | None = None


class _Rule(msgspec.Struct, frozen=True):
    check: Check
    unit: str
    text: str
    falling: bool = False

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
}


class Checks:
    """The state of each check; pure."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.states: dict[str, HealthState] = {rule.check: "ok" for rule in _RULES.values()}

    def evaluate(self, ts: int, measures: Measures) -> list[Event]:
        """Return an event for each check whose state these measures change."""
        changed: list[Event] = []
        for name, rule in _RULES.items():
            value: float | None = getattr(measures, name)
            if value is None:
                continue
            warning, critical = getattr(self._thresholds, name)
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


class BookFacts(Protocol):
    """What is asked of positions."""

    def open_positions(self) -> Sequence[Position]:
        """Return the open positions."""


class RiskFacts(Protocol):
    """What is asked of the risk projection."""

    def day_pnl(self, account: str, currency: str) -> Decimal | None:
        """Return the day's result."""


class MoneyFacts(Protocol):
    """What is asked of the account."""

    def equity(self, account: str, currency: str) -> Decimal | None:
        """Return the equity."""

    def market_value(self, position: Position, currency: str) -> Decimal | None:
        """Return the value of a position."""


class CalendarFacts(Protocol):
    """What is asked of the calendar."""

    def session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the session at a time."""


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The folds of a live session that its health is read from; read by the loop's thread only."""

    gate: GateFacts
    orders: OrdersView
    positions: BookFacts
    risk: RiskFacts
    money: MoneyFacts
    calendar: CalendarFacts
    account: str
    currency: str
    limits: Limits
    instruments: Callable[[], Sequence[InstrumentDefined]]
    data_ts: Callable[[], int]

    def risk_used(self) -> float | None:
        """Return the largest share of a limit that is used; `None` without limits, or if unknown."""
        equity = self.money.equity(self.account, self.currency)
        if equity is None or equity <= 0:
            return None
        held = [p for p in self.positions.open_positions() if p.account == self.account]
        values = [self.money.market_value(position, self.currency) for position in held]
        known = [abs(value) for value in values if value is not None]
        day = self.risk.day_pnl(self.account, self.currency)
        before = equity if day is None else equity - day
        limits = self.limits
        used = [
            float(amount / base) / limit
            for limit, amount, base in (
                (limits.max_position_size, max(known, default=Decimal(0)), equity),
                (limits.max_portfolio_risk, sum(known, Decimal(0)), equity),
                (limits.max_daily_loss, Decimal(0) if day is None else -day, before),
            )
            if limit and base > 0
        ]
        return max(0.0, *used) if used else None

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
        thresholds: Thresholds,
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
            position_risk=facts.risk_used(),
        )
