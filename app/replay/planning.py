"""What a replay reads: dates and subscriptions in, slices of the log out.

A date is the session date of an instrument's exchange. Of each instrument one feed of a kind is read, which
`app.replay.feeds` chooses. Reads the log, writes nothing.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from adapters.replay.preparing import Preparation
from adapters.replay.source import Slice
from adapters.replay.streams import FRAMES, Span, Stream, join, spans_of
from app.replay.feeds import Feeds
from app.replay.period import Period
from core.clock import iso
from core.errors import UsageError
from core.events import (
    CorporateAction,
    Entry,
    Event,
    FxRateReported,
    HaltChanged,
    ImportFinished,
    ImportResumed,
    ImportStarted,
    SignalReceived,
)
from core.ports import Coverage, EntryReader, Selection, entries_of
from core.resolutions import resolution_of
from core.strategy import Subscription
from projections.actions import Actions
from projections.sessions import Sessions

Prices = Literal["auto", "adjusted", "raw"]
_ACTIONS = frozenset[type[Event]]({CorporateAction})


class DataOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How recorded data are prepared for a replay.

    `fill_forward`: whether strategies that ask for it are told of missing bars. `extended_hours`: bars of
    all hours, not of regular hours only (ticks are always all). `prices`: `adjusted` for splits and
    dividends, `raw`, or `auto`: adjusted where an instrument has bars only.
    """

    extended_hours: bool = False
    prices: Prices = "auto"
    fill_forward: bool = True


class Part(msgspec.Struct, frozen=True):
    """What one feed contributes: these instruments between `begin_ts` and `end_ts` (exclusive).

    `exchange` is that of all of them. `adjusted` names those whose prices are adjusted.
    """

    feed: str
    resolution: str
    instruments: tuple[str, ...]
    begin_ts: int
    end_ts: int
    exchange: str = ""
    regular_hours: bool = False
    adjusted: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """A replay's inputs: `slices` to stream, and `parts` and `content` that say what they are."""

    period: Period
    parts: tuple[Part, ...]
    slices: tuple[Slice, ...]
    content: str
    rows: int
    actions: tuple[CorporateAction, ...] = ()
    """Splits and dividends that positions go through, because prices are raw."""
    made: frozenset[tuple[str, str | None]] = frozenset()
    """Instruments and resolutions that subscriptions ask for and that are made from finer data."""
    signals_before: tuple[Entry, ...] = ()
    """Signals from before the period that may still hold when it begins, by time."""

    @property
    def begin_ts(self) -> int:
        """Where the earliest part begins."""
        return min(part.begin_ts for part in self.parts)

    @property
    def end_ts(self) -> int:
        """Where the latest part ends (exclusive)."""
        return max(part.end_ts for part in self.parts)

    @property
    def bar_instruments(self) -> frozenset[str]:
        """The instruments whose feed is of bars."""
        return frozenset(i for part in self.parts if part.resolution != "tick" for i in part.instruments)


class Planner:
    """Plans replays of one log, read once. Without `data` options everything is read as it was recorded.

    `feeds` tells what there is to read.
    """

    def __init__(self, reader: EntryReader, sessions: Sessions, data: DataOptions | None = None) -> None:
        self._reader = reader
        self._sessions = sessions
        self._data = data
        self._coverage = reader.coverage()
        found = list(entries_of(reader, FRAMES | _ACTIONS))
        self._actions = _actions(found) if data is not None else Actions()
        frames = [entry for entry in found if type(entry.event) in FRAMES]
        self._spans = spans_of([frames], reader.last_seq())
        self.feeds = Feeds(self._coverage, self._spans, sessions)
        self._digests = _digests(frames)

    def plan(self, period: Period, subscriptions: Sequence[Subscription]) -> Plan:
        """Return what to replay; raises `DataMissing` (naming the nearest dates) or `UnknownInstrument`."""
        parts = self._parts(period, subscriptions)
        before, during = self._signals(parts)
        slices = tuple(self._slice(part, during, rates=part is parts[0]) for part in parts)
        told = [self._identity(part) for part in parts]
        if before or during:
            told.append({"signals": _digest([*before, *during])})
        content = msgspec.json.encode(told).decode()
        rows = sum(c.count for part in parts for c in self._covering(part))
        made = frozenset((s.instrument, s.resolution) for s in subscriptions if self._is_made(s, parts))
        actions = {a: None for part in parts for a in self._raw_actions(part)}
        return Plan(period, tuple(parts), slices, content, rows, tuple(actions), made, tuple(before))

    def _is_made(self, subscription: Subscription, parts: Sequence[Part]) -> bool:
        if subscription.resolution in (None, "tick") or self._data is None:
            return False
        wanted = resolution_of(str(subscription.resolution)).length_ns
        mine = [part for part in parts if subscription.instrument in part.instruments]
        return all(self.feeds.length(part.feed) != wanted for part in mine)

    def actions(self, instruments: Iterable[str], since: int, plan: Plan) -> list[CorporateAction]:
        """Return what happened to instruments at raw prices between `since` and a plan's beginning."""
        adjusted = {name for part in plan.parts for name in part.adjusted}
        found = [
            action
            for name in instruments
            if name not in adjusted
            for action in self._actions.between(name, since, plan.begin_ts)
        ]
        return sorted(found, key=lambda action: (action.ts, action.instrument))

    def _parts(self, period: Period, subscriptions: Sequence[Subscription]) -> list[Part]:
        groups: dict[tuple[str, int, int, str], set[str]] = {}
        for subscription in subscriptions:
            exchange = self._sessions.instrument(subscription.instrument).exchange
            bounds = self._bounds(period, exchange)
            feed = self.feeds.choose(subscription, *bounds, makes=self._data is not None) if bounds else None
            if bounds is None or feed is None:
                raise self.feeds.missing(period, subscription)
            groups.setdefault((feed, *bounds, exchange), set()).add(subscription.instrument)
        self._refuse_two_of_a_kind(groups)
        ticks = {i for key, names in groups.items() if self.feeds.resolution(key[0]) == "tick" for i in names}
        return [
            self._part(feed, sorted(instruments), begin, end, exchange, ticks)
            for (feed, begin, end, exchange), instruments in sorted(groups.items())
        ]

    def _part(
        self,
        feed: str,
        instruments: Sequence[str],
        begin: int,
        end: int,
        exchange: str,
        ticks: set[str],
    ) -> Part:
        resolution, data = self.feeds.resolution(feed), self._data
        if data is None:
            return Part(feed, resolution, tuple(instruments), begin, end, exchange)
        known = self._sessions.feed(feed)
        unadjusted = data.prices != "raw" and not (known and known.adjusted)
        adjusted = [
            i
            for i in instruments
            if unadjusted and (data.prices == "adjusted" or i not in ticks) and self._actions.factors(i)
        ]
        regular = resolution != "tick" and not data.extended_hours
        return Part(feed, resolution, tuple(instruments), begin, end, exchange, regular, tuple(adjusted))

    def _refuse_two_of_a_kind(self, groups: dict[tuple[str, int, int, str], set[str]]) -> None:
        chosen: dict[tuple[str, bool], str] = {}
        for (feed, *_), instruments in sorted(groups.items()):
            for instrument in sorted(instruments):
                key = (instrument, self.feeds.resolution(feed) == "tick")
                if chosen.setdefault(key, feed) != feed:
                    raise UsageError(
                        f"{instrument}: subscribed to {chosen[key]} and {feed}: one feed of a kind at a time"
                    )

    def _bounds(self, period: Period, exchange: str) -> tuple[int, int] | None:
        days = [s for s in self._sessions.sessions(exchange) if period.first <= s.date <= period.last]
        return (days[0].begin, days[-1].end) if days else None

    def _covering(self, part: Part) -> list[Coverage]:
        return [
            c
            for c in self._coverage
            if c.feed == part.feed
            and c.instrument in part.instruments
            and c.first_ts < part.end_ts
            and c.last_ts >= part.begin_ts
        ]

    def _spans_of(self, part: Part) -> list[Span]:
        return [
            span
            for span in self._spans
            if span.feed in ("", part.feed)
            and any(
                c.first_seq <= span.last_seq and c.last_seq >= span.first_seq for c in self._covering(part)
            )
            and (span.first_ts is None or span.first_ts < part.end_ts)
            and (span.last_ts is None or span.last_ts >= part.begin_ts)
        ]

    def _signals(self, parts: Sequence[Part]) -> tuple[list[Entry], list[Entry]]:
        """Return the signals that hold when the parts begin, and those given until they end; by time."""
        names = frozenset(name for part in parts for name in part.instruments)
        begin, end = min(part.begin_ts for part in parts), max(part.end_ts for part in parts)
        chosen = Selection(types=frozenset({SignalReceived}), instruments=names)
        found = [
            entry
            for batch in self._reader.entries(chosen)
            for entry in batch
            if isinstance(entry.event, SignalReceived)
            and entry.event.instrument in names
            and entry.event.ts < end
            and entry.event.expires > begin
        ]
        found.sort(key=lambda entry: (entry.event.ts, entry.seq))
        before = [entry for entry in found if entry.event.ts < begin]
        return before, found[len(before) :]

    def _slice(self, part: Part, signals: Sequence[Entry], *, rates: bool) -> Slice:
        selection = Selection(
            feeds=frozenset({part.feed}),
            instruments=frozenset(part.instruments),
            begin_ts=part.begin_ts,
            end_ts=part.end_ts,
        )
        streams: list[Stream] = join(self._spans_of(part))
        return Slice(
            selection=selection,
            streams=tuple(streams),
            extra=tuple(self._extra(part, rates=rates)),
            preparation=self._preparation(part),
            signals=tuple((entry.seq, entry.event) for entry in signals if rates),
        )

    def _preparation(self, part: Part) -> Preparation:
        held = self._sessions.sessions(part.exchange) if part.regular_hours else ()
        hours = tuple((s.open, s.close) for s in held if s.begin < part.end_ts and s.end > part.begin_ts)
        factors = {i: self._actions.factors(i) for i in part.adjusted}
        return Preparation(hours, {i: known for i, known in factors.items() if known is not None})

    def _extra(self, part: Part, *, rates: bool) -> Iterable[tuple[int, Event]]:
        """Yield the part's halts, actions on raw prices, and exchange rates if they come with this part."""
        wanted = frozenset[type[Event]]({HaltChanged, FxRateReported} if rates else {HaltChanged})
        found: list[tuple[int, Event]] = []
        for entry in entries_of(self._reader, wanted):
            event = entry.event
            mine = not isinstance(event, HaltChanged) or (
                event.feed == part.feed and event.instrument in part.instruments
            )
            if mine and part.begin_ts <= event.ts < part.end_ts:
                found.append((entry.seq, event))
        actions = [(self._actions.seq(action), action) for action in self._raw_actions(part)]
        if not actions:
            return found
        return sorted([*found, *actions], key=lambda item: (item[1].ts, item[0]))

    def _raw_actions(self, part: Part) -> Iterable[CorporateAction]:
        """Yield what positions in the part's instruments go through: where its prices are raw."""
        known = self._sessions.feed(part.feed)
        if known is not None and known.adjusted:
            return
        for instrument in part.instruments:
            if instrument not in part.adjusted:
                yield from self._actions.between(instrument, part.begin_ts, part.end_ts)

    def _identity(self, part: Part) -> dict[str, object]:
        """Return what names a part's content: files in time order (or recorded seqs), and definitions."""
        # An import that was interrupted and went on has several spans, and is the same as one that was not.
        places: dict[str | tuple[int, int], tuple[int, int]] = {}
        for span in self._spans_of(part):
            name = self._digests.get(span.first_seq) or (span.first_seq, span.last_seq)
            begin, seq = places.get(name, (0, span.first_seq))
            places[name] = (max(begin, span.first_ts or 0), min(seq, span.first_seq))
        sources = sorted(places, key=lambda name: places[name])
        feed = self._sessions.feed(part.feed)
        instruments = [self._sessions.instrument(name) for name in part.instruments]
        return {
            "feed": part.feed if feed is None else _meaning(feed),
            "instruments": [_meaning(instrument) for instrument in instruments],
            "begin": iso(part.begin_ts),
            "end": iso(part.end_ts),
            "sources": sources,
            **self._prepared(part),
        }

    def _prepared(self, part: Part) -> dict[str, object]:
        """Return what was done to the data, where anything was."""
        told: dict[str, object] = {}
        if part.regular_hours:
            told["hours"] = "regular"
        if actions := [msgspec.to_builtins(action) for action in self._raw_actions(part)]:
            told["actions"] = actions
        if part.adjusted:
            told["adjusted"] = {
                i: [row for row in zip(f.until, f.price, f.split, strict=True) if row[0] > part.begin_ts]
                for i, f in self._preparation(part).factors.items()
            }
        return told


def _digest(signals: Sequence[Entry]) -> str:
    """Return what names signals, wherever in a log they are."""
    told = [msgspec.to_builtins(entry.event) for entry in signals]
    return blake2b(msgspec.json.encode(told, order="deterministic"), digest_size=16).hexdigest()


def _meaning(definition: Event) -> dict[str, Any]:
    """Return a definition without its time, which only says when it was imported, and its broker's number."""
    meaning = {k: v for k, v in msgspec.to_builtins(definition).items() if k != "ts"}
    if not meaning.get("price_steps"):  # content without any keeps its name of before
        meaning.pop("price_steps", None)
    return {**meaning, "con_id": None} if "con_id" in meaning else meaning


def _actions(entries: Iterable[Entry]) -> Actions:
    found = Actions()
    for entry in entries:
        if isinstance(entry.event, CorporateAction):
            found.take(entry.event, entry.seq)
    return found


def _digests(frames: Sequence[Entry]) -> dict[int, str]:
    """Return what imports are of, by the first seq of each of their spans; only those that came to an end."""
    ended = {entry.event.digest for entry in frames if isinstance(entry.event, ImportFinished)}
    return {
        entry.seq: entry.event.digest
        for entry in frames
        if isinstance(entry.event, ImportStarted | ImportResumed) and entry.event.digest in ended
    }
