"""The loop: one thread, single writer. It takes inputs, lets the step decide, records, and acts.

Within a slice (a tick, or all bars with the same end) the order is fixed: what is due before → fold
prices → the broker scans resting orders → timers → handlers → the broker accepts new orders → scan
of orders older than the slice. Outputs are recorded and folded before the next input is taken, so
log order is processing order whatever the batch size. Effects are released after the commit only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import localcontext
from types import MappingProxyType
from typing import Any, TypeVar

from core.agenda import AFTER_SCAN, BEFORE_PRICES, Agenda
from core.deciding import Record
from core.effects import Effect
from core.errors import UsageError, is_termination
from core.events import (
    BY_TYPE,
    Bar,
    Entry,
    Event,
    LateBar,
    LateBarReported,
    Quote,
    QuoteBar,
    SessionEnded,
    Trade,
)
from core.failures import failure_of, raised
from core.inputs import Arriving, Batch, Inputs
from core.lanes import BarEvent, Book, Handler, Lane, Lanes
from core.money import SESSION_CONTEXT
from core.ports import Broker, Recorder, Source
from core.sampling import EquitySampler
from core.step import Step
from core.strategy import HANDLERS, derived_keys, handles

T = TypeVar("T")
Folds = Mapping[type[Event], Sequence[Callable[[Entry], None]]]
_BARS = (Bar, QuoteBar)
_TICKS = (Trade, Quote)
_REAL_BARS = frozenset[type[Event]]({Bar, QuoteBar})

MAX_FIRED_AT_ONCE = 10_000
"""More timers than this at one moment are taken for a timer that sets itself again without an end."""


class Loop:
    """Runs one session over a source. `ending` is the reason that its end is recorded with."""

    def __init__(
        self,
        recorder: Recorder,
        broker: Broker,
        step: Step,
        agenda: Agenda,
        books: Callable[[str], Book],
        folds: Folds,
        sampler: EquitySampler | None = None,
        made: Mapping[tuple[str, str | None], str] = MappingProxyType({}),
    ) -> None:
        """`made`: which subscriptions are told of made bars, see `core.strategy.derived_keys`."""
        self._made = made
        self._recorder = recorder
        self._append = recorder.append
        self.record: Record = self._output  # hot: a method that is bound once
        """Append an output, fold it, and return its seq."""
        self._broker = broker
        self._step = step
        self._decisions = step.decisions
        self._agenda = agenda
        self._books = books
        self._folds = {kind: _together(folds.get(kind, ())) for kind in (*BY_TYPE, *folds)}
        self._sampler = sampler
        self._lanes = Lanes(self._new_lane)
        self.ending = "finished"
        self._bars: list[tuple[int, BarEvent]] = []
        self._decided: list[Effect] = []  # accepted in this batch, to be released after its commit

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
                self._commit()
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

    def _output(self, event: Event, at: int, cause: int | None) -> int:
        append = self._append  # hot: to call what an attribute holds, and is no method, is slow
        seq = append(event, at, cause)
        fold = self._folds[type(event)]
        if fold is not None:
            fold(Entry(seq, None, at, cause, event))
        return seq

    def _start(self, ts: int, warm_up: Source | None) -> None:
        self._step.present.ts = ts
        for seat in self._step.seats.values():
            seat.strategy.on_start()
        self._decisions.lapse(self.record, "its session ended before it could leave")
        if warm_up is not None:
            for batch in warm_up.batches():
                self._take(batch)
            self._flush_bars()
        self._step.open(is_open=True)
        if self._sampler is not None:
            self._sampler.start(ts)
            self._process(self._sampler.sample(ts), self._step.present.seq)
        self._step.sweep()
        self._settle(self._step.present.seq)

    def _finish(self, session: int) -> None:
        self._flush_bars()
        self._step.open(is_open=False)
        for seat in self._step.seats.values():
            seat.strategy.on_stop()
        self._decisions.lapse(self.record, "the session ends")
        self._end(session, self.ending)

    def _end(self, session: int, reason: str) -> None:
        ts, at = self._step.present.ts, self._step.present.seq
        if self._sampler is not None:
            self._process(self._sampler.sample(ts), at)
        self.record(SessionEnded(ts, session, reason), at, None)
        self._commit()

    def _commit(self) -> None:
        decided = self._decided
        self._recorder.commit(sync=bool(decided))
        if decided:
            self._broker.release(decided)
            decided.clear()

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
                    self._name(told, inputs)
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
                    self._name(told, inputs)
                    told = None
                    self._scan(inputs.seq(), event)
                    due = 0 if self._bars else agenda.due
                if handler is not None:
                    told = event
                    present.ts = ts
                    handler(event)
                    if requests:
                        present.seq = seq = inputs.seq()
                        told = None
                        self._settle(seq)
                    due = agenda.due  # the handler may have set a timer
        finally:
            self._name(told, inputs)

    def _name(self, told: Event | None, inputs: Inputs) -> None:
        """Let `present` name the event that a strategy was told of, before anything may refer to it."""
        if told is not None:
            self._step.present.seq = inputs.seq_of(told)

    def _due(self) -> int:
        # While bars wait for the rest of their slice, any other event must look at them first.
        return 0 if self._bars else self._agenda.due

    def _take_other(self, event: Event | None, events: Iterator[Any], inputs: Inputs) -> None:
        """Take an event, and if it is the first bar of a slice, the bars behind it and what ends them."""
        if type(event) is Bar and not (self._bars and self._bars[0][1].ts == event.ts):
            self._flush_bars()
            event = self._take_bars(event, events, inputs)
        if event is not None:
            self._slice(inputs.seq(), event)

    def _take_bars(self, bar: Bar, events: Iterator[Any], inputs: Inputs) -> Event | None:
        """Take trade bars up to an event of another type, and return that; the last slice is left waiting."""
        # The hot path of bars: a slice of one of them while nothing is due and nothing rests, as in `_take`.
        # `bar` is the first of a slice, `others` the rest of it: empty for one instrument.
        lanes, present, agenda = self._lanes, self._step.present, self._agenda
        requests = self._decisions.requests
        others: list[Bar] = []
        other: Event | None = None
        due, ts = agenda.due, bar.ts
        name: str | None = None
        told: Bar | None = None
        try:
            for event in events:
                if type(event) is not Bar:
                    other = event
                    break
                following = event.ts
                if following == ts:
                    others.append(event)
                    continue
                late = False
                if ts >= due:  # as a rule a sample of equity, and nothing after the scan
                    seq = inputs.seq(1 + len(others))
                    self._advance(ts, seq, BEFORE_PRICES)
                    if present.seq == seq:  # something was due, and is what `present` names now
                        told = None
                    due = agenda.due
                    late = ts >= due
                if bar.instrument is not name:
                    name = bar.instrument
                    lane = lanes[name]
                    book, on_bar = lane.book, lane.on_bar
                    busy = lane.derived or lane.resting
                if busy or others or late:
                    before, told = told, None  # a failure in there has `present` name what failed
                    told = self._take_slice([bar, *others], inputs, before)
                    others.clear()
                    due = agenda.due
                else:
                    book.bar = bar
                    if on_bar is not None:
                        told = bar
                        present.ts = ts
                        on_bar(bar)
                        if requests:
                            self._name(told, inputs)
                            told = None
                            self._settle(present.seq)
                        due = agenda.due  # the handler may have set a timer
                bar, ts = event, following
        finally:
            self._name(told, inputs)
        self._bars = inputs.pairs([bar, *others])
        return other

    def _take_slice(self, bars: Sequence[Bar], inputs: Inputs, told: Bar | None) -> Bar | None:
        """Take a whole slice of trade bars: without their seqs, if they meet nothing that asks for them.

        They were taken just before the last event. `told` is the last bar told to a strategy, if `present`
        does not name it yet. Return which it is then.
        """
        ts, decisions = bars[0].ts, self._decisions
        lanes = [self._lanes[bar.instrument] for bar in bars]
        busy = [lane for lane in lanes if lane.resting or lane.derived]
        if busy or self._agenda.due <= ts:
            self._name(told, inputs)
            self._bars = inputs.pairs_before(bars)
            self._flush_bars()
            return None
        for bar, lane in zip(bars, lanes, strict=True):
            lane.book.bar = bar
        present, requests = self._step.present, decisions.requests
        try:
            for place, (bar, lane) in enumerate(zip(bars, lanes, strict=True)):
                handler = lane.on_bar
                if handler is not None:
                    told = bar
                    present.ts = ts
                    handler(bar)
                    if requests:
                        present.seq = inputs.seq(len(bars) - place)
                        told = None
                        decisions.settle(present.seq, self.record)
        except BaseException:
            present.seq = inputs.seq(len(bars) - place)
            raise
        if decisions.effects:
            self._name(told, inputs)
            told = None
            pairs = inputs.pairs_before(bars)
            self._accept(pairs[-1][0])
            self._scan_bars(pairs)
        return told

    def _slice(self, seq: int, event: Event) -> None:
        if isinstance(event, _BARS):
            if self._bars and event.ts != self._bars[0][1].ts:
                self._flush_bars()
            self._bars.append((seq, event))
            return
        self._flush_bars()
        if isinstance(event, LateBarReported):
            self._late(seq, event)
            return
        self._advance(event.ts, seq, BEFORE_PRICES)
        if isinstance(event, _TICKS):
            self._tick(seq, event)
        else:
            self._fold(Entry(seq, None, seq, None, event))
            self._step.feed(seq, event)
            self._settle(seq)
            self._advance(event.ts, seq, AFTER_SCAN)

    def _tick(self, seq: int, event: Trade | Quote) -> None:
        lane = self._lanes[event.instrument]
        if isinstance(event, Quote):
            lane.book.on_quote(event)
        elif not event.suspicious:
            lane.book.last = event
        if lane.resting:
            self._scan(seq, event)
        self._advance(event.ts, seq, AFTER_SCAN)
        self._handle(seq, event, lane.on_trade if isinstance(event, Trade) else lane.on_quote)
        self._settle(seq)

    def _late(self, seq: int, event: LateBarReported) -> None:
        """Tell of a bar that was missed: time does not follow from it, nor do prices."""
        self._fold(Entry(seq, None, seq, None, event))
        handler = self._lanes[event.instrument].derived.get((Bar, event.feed)) if event.told else None
        if handler is not None:
            prices = (event.open, event.high, event.low, event.close)
            bar = LateBar(event.ts, event.start, event.feed, event.instrument, *prices, event.volume)
            self._step.tell_late(seq, bar, handler)
            self._settle(seq)

    def _handle(self, seq: int, event: Event, handler: Handler | None) -> None:
        if handler is not None:
            self._step.present.seq, self._step.present.ts = seq, event.ts
            handler(event)

    def _flush_bars(self) -> None:
        if not self._bars:
            return
        bars, self._bars = self._bars, []
        ts, last = bars[0][1].ts, bars[-1][0]
        present, decisions, agenda = self._step.present, self._decisions, self._agenda
        if agenda.due <= ts:
            self._advance(ts, bars[0][0], BEFORE_PRICES)
        self._fold_bars(bars)
        self._scan_bars(bars)
        if agenda.due <= ts:
            self._advance(ts, last, AFTER_SCAN)
        for seq, bar in bars:
            handler = self._lanes[bar.instrument].hears(bar)
            if handler is not None:
                present.seq, present.ts = seq, ts
                handler(bar)
                if decisions.requests:
                    decisions.settle(seq, self.record)
        if decisions.effects:
            self._accept(last)
        self._scan_bars(bars)

    def _fold_bars(self, bars: Sequence[tuple[int, BarEvent]]) -> None:
        for _, bar in bars:
            if type(bar) is Bar:
                self._lanes[bar.instrument].book.bar = bar
            elif type(bar) is QuoteBar:
                self._lanes[bar.instrument].book.on_quote_bar(bar)
            # A bar that was filled forward, or made, says nothing new: prices know the real ones.

    def _scan_bars(self, bars: Sequence[tuple[int, BarEvent]]) -> None:
        """Let resting orders meet the slice, once an instrument: trade and quote bars are folded already."""
        met: set[str] | None = None
        for seq, bar in bars:
            name = bar.instrument
            if not self._lanes[name].resting or type(bar) not in _REAL_BARS:
                continue
            met = set() if met is None else met
            if name not in met:
                met.add(name)
                self._scan(seq, bar)

    def _scan(self, seq: int, event: Event) -> None:
        self._process(self._broker.scan(event), seq)
        if self._decisions.effects:
            self._accept(seq)

    def _advance(self, ts: int, seq: int, phase: int) -> None:
        """Fire what is due: all of it before `ts`, and at `ts` what belongs to `phase` or an earlier one."""
        agenda, present = self._agenda, self._step.present
        agenda.horizon = ts
        fired = 0
        while agenda.due <= ts and (item := agenda.pop(ts, phase)) is not None:
            due, action = item
            fired = fired + 1 if due == present.ts else 0
            if fired > MAX_FIRED_AT_ONCE:
                raise UsageError(
                    f"more than {MAX_FIRED_AT_ONCE} timers at one time: one sets itself again at once"
                )
            present.seq, present.ts = seq, due
            self._process(action(due), seq)
            self._accept(seq)

    def _new_lane(self, instrument: str) -> Lane:
        watching = self._step.watching
        routes = {name: [watching[name]] if name in watching else [] for name in HANDLERS.values()}
        derived: dict[tuple[type[Event], str], list[Handler]] = {}
        for seat in self._step.seats.values():
            wanted = [s for s in seat.strategy.subscriptions() if s.instrument == instrument]
            for event_type, name in HANDLERS.items():
                if not handles(seat.strategy, event_type):
                    continue
                heard = [s for s in wanted if s.wants(event_type)]
                for key in derived_keys(event_type, heard, self._made):
                    derived.setdefault(key, []).append(getattr(seat.strategy, name))
                if any(self._made.get((s.instrument, s.resolution)) != "" for s in heard):
                    routes[name].append(getattr(seat.strategy, name))
        handlers = {name: _together(found) for name, found in routes.items()}
        others = {key: _together(found) for key, found in derived.items()}
        return Lane(self._books(instrument), self._broker.resting(instrument), handlers, others)

    # -- facts, decisions, effects -------------------------------------------------------------

    def _process(self, facts: Iterable[Event], seq: int) -> None:
        """Process facts that the simulation made in the slice of the input `seq`: inputs themselves."""
        record, heard = self.record, self._step.heard
        for fact in facts:
            own = record(fact, seq, None)
            if type(fact) in heard:
                self._step.feed(own, fact)
                if self._decisions.requests:
                    self._decisions.settle(own, record)
        if self._step.sweeps:
            self._step.settle_sweeps(record)

    def _settle(self, seq: int) -> None:
        decisions = self._decisions
        if decisions.requests:
            decisions.settle(seq, self.record)
        if self._step.sweeps:
            self._step.settle_sweeps(self.record)
        if decisions.effects:
            self._accept(seq)

    def _accept(self, seq: int) -> None:
        decisions = self._decisions
        while decisions.effects:
            effects, decisions.effects = decisions.effects, []
            self._decided += effects
            self._process(self._broker.accept(effects, self._step.present.ts), seq)

    def _fold(self, entry: Entry) -> None:
        fold = self._folds.get(type(entry.event))
        if fold is not None:
            fold(entry)


def _together(takers: Sequence[Callable[[T], None]]) -> Callable[[T], None] | None:
    """Return one callable for all: the one itself where there is only one, `None` where there is none."""
    if len(takers) < 2:
        return takers[0] if takers else None
    first, second, *others = takers

    def call_both(it: T) -> None:  # hot: as a rule there are no more
        first(it)
        second(it)

    def call_each(it: T) -> None:
        for taker in takers:
            taker(it)

    return call_each if others else call_both
