"""What the shell finds out about itself: its own health, and the sinks that it feeds.

Measured with a clock and the operating system, so each change is an input before anything depends on it.
Nothing in the core does: these events are for people, alerts and SQL.
"""

from typing import Literal

from core.events.base import Event, event

HealthState = Literal["ok", "warning", "critical"]
SinkState = Literal["overflow", "error", "switched_off", "ended"]


@event("health", "effect")
class HealthChanged(Event, frozen=True, gc=False):
    """A health check passed one of its thresholds, in either direction.

    `check` is `connection`, `data_age`, `memory`, `cpu`, `disk`, `log_size`, `position_risk` or `signals`;
    `value` is what was measured, in `unit`; `threshold` is what it was compared with.
    """

    check: str
    state: HealthState
    value: float
    threshold: float
    unit: str
    message: str


@event("sink", "effect")
class SinkReported(Event, frozen=True, gc=False):
    """A listener, the alerts or the metrics got into trouble; trading went on.

    `overflow`: `count` events were dropped since the last report, because the sink took them too slowly.
    `error`: it raised, `count` times so far. `switched_off`: it raised too often and is told nothing more.
    `ended`: its process ended by itself.
    """

    sink: str
    state: SinkState
    count: int
    reason: str = ""
