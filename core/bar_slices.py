"""Slices of bars: all bars with the same end are one moment, however many instruments they are of.

Their prices are folded before any of them meets an order or a strategy. A slice ends with the first event
that does not belong to it, so the last one waits until then.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from core.acting import Acting
from core.agenda import AFTER_SCAN, BEFORE_PRICES, Agenda
from core.events import Bar, Event, QuoteBar
from core.inputs import Inputs
from core.lanes import BarEvent, Lanes
from core.step import Step

_REAL_BARS = frozenset[type[Event]]({Bar, QuoteBar})


class BarSlices:
    """Takes bars. `waiting` is the slice, with its seqs, whose end has not been seen yet."""

    def __init__(self, acting: Acting, step: Step, agenda: Agenda, lanes: Lanes) -> None:
        self.waiting: list[tuple[int, BarEvent]] = []
        self._acting = acting
        self._present = step.present
        self._decisions = step.decisions
        self._agenda = agenda
        self._lanes = lanes

    def add(self, seq: int, bar: BarEvent) -> None:
        """Take one bar: of the slice that waits, or the first of another."""
        if self.waiting and bar.ts != self.waiting[0][1].ts:
            self.flush()
        self.waiting.append((seq, bar))

    def begins(self, event: Event) -> bool:
        """Return whether an event is a trade bar, and the first of its slice."""
        return type(event) is Bar and not (self.waiting and self.waiting[0][1].ts == event.ts)

    def take(self, bar: Bar, events: Iterator[Any], inputs: Inputs) -> Event | None:
        """Take trade bars up to an event of another type, and return that; the last slice is left waiting."""
        # The hot path of bars: a slice of one of them while nothing is due and nothing rests, as the loop has
        # one for ticks. `bar` is the first of a slice, `others` the rest of it: empty for one instrument.
        lanes, present, agenda = self._lanes, self._present, self._agenda
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
                    self._acting.advance(ts, seq, BEFORE_PRICES)
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
                            self._acting.name(told, inputs)
                            told = None
                            self._acting.settle(present.seq)
                        due = agenda.due  # the handler may have set a timer
                bar, ts = event, following
        finally:
            self._acting.name(told, inputs)
        self.waiting = inputs.pairs([bar, *others])
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
            self._acting.name(told, inputs)
            self.waiting = inputs.pairs_before(bars)
            self.flush()
            return None
        for bar, lane in zip(bars, lanes, strict=True):
            lane.book.bar = bar
        present, requests = self._present, decisions.requests
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
                        decisions.settle(present.seq, self._acting.record)
        except BaseException:
            present.seq = inputs.seq(len(bars) - place)
            raise
        if decisions.effects:
            self._acting.name(told, inputs)
            told = None
            pairs = inputs.pairs_before(bars)
            self._acting.accept(pairs[-1][0])
            self._scan(pairs)
        return told

    def flush(self) -> None:
        """Take the slice that waits, if one does: its end has been seen."""
        if not self.waiting:
            return
        bars, self.waiting = self.waiting, []
        ts, last = bars[0][1].ts, bars[-1][0]
        present, decisions, agenda = self._present, self._decisions, self._agenda
        if agenda.due <= ts:
            self._acting.advance(ts, bars[0][0], BEFORE_PRICES)
        self._fold(bars)
        self._scan(bars)
        if agenda.due <= ts:
            self._acting.advance(ts, last, AFTER_SCAN)
        for seq, bar in bars:
            handler = self._lanes[bar.instrument].hears(bar)
            if handler is not None:
                present.seq, present.ts = seq, ts
                handler(bar)
                if decisions.requests:
                    decisions.settle(seq, self._acting.record)
        if decisions.effects:
            self._acting.accept(last)
        self._scan(bars)

    def _fold(self, bars: Sequence[tuple[int, BarEvent]]) -> None:
        for _, bar in bars:
            if type(bar) is Bar:
                self._lanes[bar.instrument].book.bar = bar
            elif type(bar) is QuoteBar:
                self._lanes[bar.instrument].book.on_quote_bar(bar)
            # A bar that was filled forward, or made, says nothing new: prices know the real ones.

    def _scan(self, bars: Sequence[tuple[int, BarEvent]]) -> None:
        """Let resting orders meet the slice, once an instrument: trade and quote bars are folded already."""
        met: set[str] | None = None
        for seq, bar in bars:
            name = bar.instrument
            if not self._lanes[name].resting or type(bar) not in _REAL_BARS:
                continue
            met = set() if met is None else met
            if name not in met:
                met.add(name)
                self._acting.scan(seq, bar)
