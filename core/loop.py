"""The loop: one thread, single writer. It takes inputs, lets the step decide, records, and acts.

Within a slice (a tick, or all bars with the same end) the order is fixed: what is due before → fold
prices → the broker scans resting orders → timers → handlers → the broker accepts new orders → scan
of orders older than the slice. Here are the session and its ticks; bars are in `core.bar_slices`, what
follows from an input in `core.acting`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import localcontext
from types import MappingProxyType
from typing import Any

from core.acting import Acting
from core.agenda import AFTER_SCAN, BEFORE_PRICES, Agenda
from core.bar_slices import BarSlices
from core.clock import NEVER
from core.errors import is_termination
from core.events import Bar, Event, LateBar, LateBarReported, Quote, QuoteBar, SessionEnded, Trade
from core.failures import failure_of, raised
from core.inputs import Arriving, Batch, Inputs
from core.lanes import Book, Handler, Lane, Lanes
from core.money import SESSION_CONTEXT
from core.ports import Broker, Folds, SessionRecorder, Source
from core.routing import lane_of
from core.sampling import EquitySampler
from core.step import Step

_BARS = (Bar, QuoteBar)
_TICKS = (Trade, Quote)


class Loop:
    """Runs one session over a source. `ending` is the reason that its end is recorded with."""

    def __init__(
        self,
        recorder: SessionRecorder,
        broker: Broker,
        step: Step,
        agenda: Agenda,
        books: Callable[[str], Book],
        folds: Folds,
        sampler: EquitySampler | None = None,
        made: Mapping[tuple[str, str | None], str] = MappingProxyType({}),
        late_ns: int = NEVER,
    ) -> None:
        """`made`: which subscriptions are told of made bars, see `core.strategy.derived_keys`.

        What is overdue by more than `late_ns` once the session is open happens when that is noticed: a live
        session that was suspended makes up for nothing. A replay is never late.
        """
        self._step = step
        self._decisions = step.decisions
        self._agenda = agenda
        self._sampler = sampler
        self._late_ns = late_ns
        self._acting = Acting(recorder, broker, step, agenda, folds)
        self.record = self._acting.record
        """Append an output, fold it, and return its seq."""

        def new_lane(instrument: str) -> Lane:
            return lane_of(instrument, step, books(instrument), broker.resting(instrument), made)

        self._lanes = Lanes(new_lane)
        self._bars = BarSlices(self._acting, step, agenda, self._lanes)
        self.ending = "finished"

    # -- a session -----------------------------------------------------------------------------

    def run(
        self, source: Source, session: int, start_ts: int, warm_up: Source | None = None, start_seq: int = 0
    ) -> None:
        """Start the strategies, feed `warm_up` with orders refused, then `source`; end the session.

        `start_seq` is the entry that what happens before the first input refers to: the session's start.
        Raises `StrategyRaised` if a handler raised: all up to and including the failing input is
        committed, ending in `StrategyFailed`.
        """
        self._step.present.seq = start_seq
        with localcontext(SESSION_CONTEXT):
            self._run(source, session, start_ts, warm_up)

    def _run(self, source: Source, session: int, start_ts: int, warm_up: Source | None) -> None:
        try:
            self._start(start_ts, warm_up)
            for batch in source.batches():
                self._take(batch)
                self._acting.commit()
            self._finish(session)
        except (Exception, SystemExit) as error:
            if is_termination(error):
                raise
            strategies = {name: seat.strategy for name, seat in self._step.seats.items()}
            failure = failure_of(error, strategies, self._step.present)
            if failure is None:
                raise
            self._decisions.requests.clear()
            self._step.open(is_open=False)
            self.record(failure, failure.input_seq, None)
            self._decisions.lapse(self.record, "the session ends", tell=False)
            self._end(session, "failed")
            raise raised(failure) from error

    def _start(self, ts: int, warm_up: Source | None) -> None:
        self._step.present.ts = ts
        for seat in self._step.seats.values():
            seat.strategy.on_start()
        self._decisions.lapse(self.record, "its session ended before it could leave")
        if warm_up is not None:
            for batch in warm_up.batches():
                self._take(batch)
            self._bars.flush()
        self._step.open(is_open=True)
        self._acting.late_ns = self._late_ns
        if self._sampler is not None:
            self._sampler.start(ts)
            self._acting.process(self._sampler.sample(ts), self._step.present.seq)
        self._step.sweep()
        self._acting.settle(self._step.present.seq)

    def _finish(self, session: int) -> None:
        self._bars.flush()
        self._step.open(is_open=False)
        for seat in self._step.seats.values():
            seat.strategy.on_stop()
        self._decisions.lapse(self.record, "the session ends")
        self._end(session, self.ending)

    def _end(self, session: int, reason: str) -> None:
        ts, at = self._step.present.ts, self._step.present.seq
        if self._sampler is not None:
            self._acting.process(self._sampler.sample(ts), at)
        self.record(SessionEnded(ts, session, reason), at, None)
        self._acting.commit()

    # -- inputs --------------------------------------------------------------------------------

    def _take(self, batch: Iterable[tuple[int, Any]]) -> None:
        self._take_in(batch.inputs() if isinstance(batch, Batch) else Arriving(batch))

    def _take_in(self, inputs: Inputs) -> None:
        # The hot path: a tick while nothing is due. Everything else goes through `_slice`. What a lane
        # holds is kept in locals: neighbouring ticks mostly are of one instrument, whose name is then
        # the same object.
        lanes, present, agenda = self._lanes, self._step.present, self._agenda
        requests = self._decisions.requests
        due = self._due()
        name: str | None = None
        told: Any = None  # the last event told to a strategy, where `present` does not name it yet
        events = inputs.events()
        try:
            for event in events:
                kind, ts = type(event), event.ts
                if ts >= due or (kind is not Trade and kind is not Quote):
                    self._acting.name(told, inputs)
                    told = None
                    self._take_other(event, events, inputs)
                    due = self._due()
                    continue
                if event.instrument is not name:
                    name = event.instrument
                    lane = lanes[name]
                    book, resting, on_trade, on_quote = lane.book, lane.resting, lane.on_trade, lane.on_quote
                if kind is Trade:
                    if not event.suspicious:
                        book.last = event
                    handler = on_trade
                else:
                    book.on_quote(event)
                    handler = on_quote
                if resting:
                    self._acting.name(told, inputs)
                    told = None
                    self._acting.scan(inputs.seq(), event)
                    due = 0 if self._bars.waiting else agenda.due
                if handler is not None:
                    told = event
                    present.ts = ts
                    handler(event)
                    if requests:
                        present.seq = seq = inputs.seq()
                        told = None
                        self._acting.settle(seq)
                    due = agenda.due  # the handler may have set a timer
        finally:
            self._acting.name(told, inputs)

    def _due(self) -> int:
        # While bars wait for the rest of their slice, any other event must look at them first.
        return 0 if self._bars.waiting else self._agenda.due

    def _take_other(self, event: Event | None, events: Iterator[Any], inputs: Inputs) -> None:
        """Take an event, and if it is the first bar of a slice, the bars behind it and what ends them."""
        if isinstance(event, Bar) and self._bars.begins(event):
            self._bars.flush()
            event = self._bars.take(event, events, inputs)
        if event is not None:
            self._slice(inputs.seq(), event)

    def _slice(self, seq: int, event: Event) -> None:
        if isinstance(event, _BARS):
            self._bars.add(seq, event)
            return
        self._bars.flush()
        if isinstance(event, LateBarReported):
            self._late(seq, event)
            return
        self._acting.advance(event.ts, seq, BEFORE_PRICES)
        if isinstance(event, _TICKS):
            self._tick(seq, event)
        else:
            self._acting.fold(seq, event)
            self._step.feed(seq, event)
            self._acting.settle(seq)
            self._acting.advance(event.ts, seq, AFTER_SCAN)

    def _tick(self, seq: int, event: Trade | Quote) -> None:
        lane = self._lanes[event.instrument]
        if isinstance(event, Quote):
            lane.book.on_quote(event)
        elif not event.suspicious:
            lane.book.last = event
        if lane.resting:
            self._acting.scan(seq, event)
        self._acting.advance(event.ts, seq, AFTER_SCAN)
        self._handle(seq, event, lane.on_trade if isinstance(event, Trade) else lane.on_quote)
        self._acting.settle(seq)

    def _late(self, seq: int, event: LateBarReported) -> None:
        """Tell of a bar that was missed: time does not follow from it, nor do prices."""
        self._acting.fold(seq, event)
        handler = self._lanes[event.instrument].derived.get((Bar, event.feed)) if event.told else None
        if handler is not None:
            prices = (event.open, event.high, event.low, event.close)
            bar = LateBar(event.ts, event.start, event.feed, event.instrument, *prices, event.volume)
            self._step.tell_late(seq, bar, handler)
            self._acting.settle(seq)

    def _handle(self, seq: int, event: Event, handler: Handler | None) -> None:
        if handler is not None:
            self._step.present.seq, self._step.present.ts = seq, event.ts
            handler(event)
