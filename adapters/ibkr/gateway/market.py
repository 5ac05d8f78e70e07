"""The recorded day: its clock, and events in order, each met by resting orders before clients hear of it.

The clock is the day's, not the machine's. It stands at the day's start until somebody needs it, then runs
at `speed` times real time, or as fast as events are taken (`max`), or one event at a time when a client asks
for the time (`step`). Owns the order: what is due → prices → fills → timers → listeners. Knows no socket.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

from core.agenda import AFTER_SCAN, BEFORE_PRICES, Agenda
from core.clock import MINUTE_NS, SECOND_NS
from core.events import Bar, Event, HaltChanged, Quote, QuoteBar, Trade
from core.ports import Broker, Source
from projections.quotes import Quotes

Speed: TypeAlias = float | Literal["max", "step"]
Facts: TypeAlias = Callable[[Iterable[Event]], None]
Listener: TypeAlias = Callable[[Event], None]


class Market:
    """The day as it unfolds. `take` gets the engine's facts, `listen` each event after its fills."""

    def __init__(
        self,
        source: Source,
        broker: Broker,
        agenda: Agenda,
        quotes: Quotes,
        *,
        start_ts: int,
        end_ts: int,
        speed: Speed,
        monotonic: Callable[[], float],
        take: Facts,
        listen: Listener,
    ) -> None:
        self.speed = speed
        self.end_ts = end_ts
        self.running = False
        self.over = False
        self.events = 0
        self.minute: Callable[[int], None] = lambda _ts: None
        self._events = _flat(source)
        self._next: Event | None = next(self._events, None)
        self._broker = broker
        self._agenda = agenda
        self._quotes = quotes
        self._monotonic = monotonic
        self._take = take
        self._listen = listen
        self._ts = start_ts
        self._began_s = 0.0
        self._began_ts = start_ts
        self._minute = start_ts // MINUTE_NS

    # -- the clock -----------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The day's time in ns; it never goes back."""
        if isinstance(self.speed, str) or not self.running or self.over:
            return self._ts
        passed = (self._monotonic() - self._began_s) * float(self.speed) * SECOND_NS
        return max(self._ts, min(self._began_ts + int(passed), self.end_ts))

    def start(self) -> None:
        """Let the clock run, if it stands."""
        if not self.running:
            self.running = True
            self._began_s, self._began_ts = self._monotonic(), self._ts

    def wait_s(self) -> float | None:
        """Return how long nothing will happen, in seconds of the machine; `None` if it is not time's turn."""
        if not self.running or self.over or self.speed == "step":
            return None
        if self.speed == "max":
            return 0.0
        due = min(self._next.ts if self._next is not None else self.end_ts, self._agenda.due)
        return max(0.0, (due - self.now) / SECOND_NS / float(self.speed))

    # -- the day -------------------------------------------------------------------------------

    def skip_to(self, ts: int, meet: Callable[[Event], None] = lambda _event: None) -> None:
        """Fold what lies before `ts`, telling the listener alone; what was at work then may `meet` it."""
        while self._next is not None and self._next.ts < ts:
            for event in self._slice():
                self._fold(event)
                meet(event)
                self._listen(event)
        self._ts = max(self._ts, ts)
        self._minute = self._ts // MINUTE_NS

    def pump(self, limit: int) -> int:
        """Let happen what is due by now, at most `limit` slices; return how many there were."""
        if not self.running or self.over or self.speed == "step":
            return 0
        count = 0
        while count < limit and self._next is not None:
            if self.speed != "max" and self._next.ts > self.now:
                break
            self._happen()
            count += 1
        if self.speed != "max" and (self._next is None or self._next.ts > self.now):
            self._pass_time(self.now)
        if self._next is None and (self.speed == "max" or self.now >= self.end_ts):
            self.finish()
        return count

    def step(self, until: int | None = None) -> bool:
        """Let one slice happen, unless it is later than `until`: then time passes up to there and no further.

        Returns `False` when no slice happened: time is up, or the day is over.
        """
        self.start()
        if until is not None and until <= self._ts:
            return False
        if self._next is None:
            self.finish()
            return False
        if until is not None and self._next.ts > until:
            self._pass_time(until)
            return False
        self._happen()
        return True

    def advance(self, span_ns: int) -> None:
        """Let everything happen up to `span_ns` from now, whatever the speed."""
        until = self.now + span_ns
        while self._next is not None and self._next.ts <= until:
            self._happen()
        self._pass_time(until)
        self._began_s, self._began_ts = self._monotonic(), self._ts

    def finish(self) -> None:
        """End the day: what was still due comes due."""
        if not self.over:
            self._pass_time(self.end_ts)
            self.over = True

    def _happen(self) -> None:
        events = self._slice()
        ts = events[0].ts
        self._due(ts, BEFORE_PRICES)
        self._ts = max(self._ts, ts)
        for event in events:
            self._fold(event)
        for event in events:
            if isinstance(event, Trade | Quote | Bar | QuoteBar) and self._broker.resting(event.instrument):
                self._take(self._broker.scan(event))
        self._due(ts, AFTER_SCAN)
        for event in events:
            self.events += 1
            self._listen(event)
        self._tick_minute()

    def _slice(self) -> list[Event]:
        """Return the next event, with all bars of the same end if it is a bar."""
        first = self._next
        assert first is not None
        events = [first]
        self._next = next(self._events, None)
        while (
            isinstance(first, Bar | QuoteBar)
            and isinstance(self._next, Bar | QuoteBar)
            and self._next.ts == first.ts
        ):
            events.append(self._next)
            self._next = next(self._events, None)
        return events

    def _fold(self, event: Event) -> None:
        handler = self._quotes.handlers.get(type(event))
        if handler is not None:
            handler(event, 0)

    def halt(self, event: HaltChanged) -> None:
        """Fold a halt that is not of the recorded day."""
        self._fold(event)
        self._listen(event)

    def _due(self, ts: int, phase: int) -> None:
        agenda = self._agenda
        agenda.horizon = ts
        while agenda.due <= ts and (item := agenda.pop(ts, phase)) is not None:
            due, action = item
            self._ts = max(self._ts, due)
            self._take(action(due))

    def _pass_time(self, ts: int) -> None:
        self._due(ts, AFTER_SCAN)
        self._ts = max(self._ts, ts)
        self._tick_minute()

    def _tick_minute(self) -> None:
        minute = self._ts // MINUTE_NS
        if minute > self._minute:
            self._minute = minute
            self.minute(self._ts)


def _flat(source: Source) -> Iterator[Event]:
    for batch in source.batches():
        for _, event in batch:
            yield event
