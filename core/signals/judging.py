"""What changed since a strategy last asked for a composite: the decisions to be recorded.

Keeps the last stance and the last set of sources of each instrument; a function of what it was asked, and of
the stance that the log has from an earlier session.
"""

from collections.abc import Mapping

import msgspec

from core.events import CompositeSignal, Event, SignalSourcesChanged
from core.requests import Defect, moment, number, shown
from core.signals.composite import Composite, Reading, SignalRules, compose
from core.views import DecidedView, SignalsView

_MOST = 1.0 + 1e-9
"""The largest value, and what arithmetic with floats may add to it."""
_ENCODER = msgspec.json.Encoder(order="deterministic")


class Judge:
    """One strategy's composites."""

    def __init__(
        self, strategy: str, rules: SignalRules, received: SignalsView, decided: DecidedView
    ) -> None:
        self._strategy = strategy
        self._rules = rules
        self._received = received
        self._decided = decided
        self._used: dict[str, tuple[str, ...]] = {}
        self._stances: dict[str, str] = {}

    @property
    def rules(self) -> SignalRules:
        """The weights and what goes with them."""
        return self._rules

    def compose(self, instrument: str, computed: Mapping[str, Reading | None], now: int) -> Composite:
        """Return the composite of what was received and what the strategy computed (`None`: not ready)."""
        readings = {s: self._reading(s, instrument, computed, now) for s in self._rules.weights}
        return compose(self._rules, readings, now)

    def _reading(
        self, source: str, instrument: str, computed: Mapping[str, Reading | None], now: int
    ) -> Reading | str:
        if source in computed:
            reading = computed[source]
            return "not ready" if reading is None else _usable(source, reading)
        signal = self._received.current(source, instrument, now)
        if signal is not None:
            return Reading(signal.value, signal.confidence, signal.as_of)
        return "expired" if self._received.expired(source, instrument, now) else "missing"

    def news(self, instrument: str, found: Composite, now: int) -> list[Event]:
        """Return what is to be recorded of a composite: a changed set of sources, a changed stance."""
        news: list[Event] = []
        if self._used.get(instrument) != found.used:
            self._used[instrument] = found.used
            dropped = _ENCODER.encode(found.dropped).decode()
            news.append(SignalSourcesChanged(now, self._strategy, instrument, ",".join(found.used), dropped))
        # What this session has not spoken of stands as the session before left it.
        known = self._stances.get(instrument) or self._decided.stance(self._strategy, instrument)
        if known != found.stance:
            self._stances[instrument] = found.stance
            parts = _ENCODER.encode(found.contributions).decode()
            news.append(
                CompositeSignal(
                    now,
                    self._strategy,
                    instrument,
                    found.value,
                    found.stance,
                    self._rules.threshold,
                    parts,
                )
            )
        return news


def _usable(source: str, reading: Reading) -> Reading | str:
    """Return a computed reading in plain numbers; what is none, or out of range, is why it says nothing."""
    value = number(f"{source}: value", reading.value)
    confidence = number(f"{source}: confidence", reading.confidence)
    if not abs(value) <= _MOST:
        return f"value {shown(reading.value, str)}: expected a number from -1 to 1"
    if not 0.0 <= confidence <= _MOST:
        return f"confidence {shown(reading.confidence, str)}: expected a number from 0 to 1"
    try:
        return Reading(value, confidence, moment(f"{source}: as_of", reading.as_of))
    except Defect as defect:
        return str(defect)
