"""What a replay reads: dates and subscriptions in, slices of the log out.

A date is the session date of an instrument's exchange. Of each instrument the finest feed with data is
taken unless a subscription names another; never two of one kind. Of two equally fine ones an imported feed
comes before one that sessions recorded, which may have gaps. Reads the log, writes nothing.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from adapters.replay.preparing import Preparation
from adapters.replay.source import Slice
from adapters.replay.streams import FRAMES, Span, Stream, join, spans_of
from core.clock import SECOND_NS, iso
from core.errors import DataMissing, UsageError
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
from core.ports import Coverage, EntryReader, Selection
from core.resolutions import RESOLUTIONS, Resolution, resolution_of
from core.strategy import Subscription
from projections.actions import Actions
from projections.sessions import Sessions

Prices = Literal["auto", "adjusted", "raw"]
_ACTIONS = frozenset[type[Event]]({CorporateAction})
_SIZED = re.compile(r"/(\d+)(sec|min|hour|day)(?:/|$)")
_SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86_400}


class Period(msgspec.Struct, frozen=True):
    """Session dates, first and last inclusive (`2025-07-02`)."""

    first: str
    last: str

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}..{self.last}"


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


def parse_period(text: str) -> Period:
    """Return `DATE` or `DATE..DATE`; raises `UsageError`."""
    first, dots, last = text.partition("..")
    try:
        days = [date.fromisoformat(day) for day in ([first, last] if dots else [first, first])]
    except ValueError as error:
        raise UsageError(f"{text!r} is no date: expected 2025-07-02 or 2025-07-02..2025-07-03") from error
    if days[0] > days[1]:
        raise UsageError(f"{text}: the first date is after the last one")
    return Period(days[0].isoformat(), days[1].isoformat())


class Planner:
    """Plans replays of one log, read once. Without `data` options everything is read as it was recorded."""

    def __init__(self, reader: EntryReader, sessions: Sessions, data: DataOptions | None = None) -> None:
        self._reader = reader
        self._sessions = sessions
        self._data = data
        self._coverage = reader.coverage()
        found = [entry for batch in reader.entries(Selection(types=FRAMES | _ACTIONS)) for entry in batch]
        self._actions = _actions(found) if data is not None else Actions()
        frames = [entry for entry in found if type(entry.event) in FRAMES]
        self._spans = spans_of([frames], reader.last_seq())
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
        return all(self._length(part.feed) != wanted for part in mine)

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

    def dates(self, instruments: Iterable[str], feed: str | None = None) -> list[str]:
        """Return the session dates for which there may be data of any of the instruments (in a feed)."""
        found = set()
        for instrument in instruments:
            mine = [c for c in self._coverage if c.instrument == instrument and feed in (None, c.feed)]
            for session in self._sessions.sessions(self._sessions.instrument(instrument).exchange):
                if any(c.first_ts < session.end and c.last_ts >= session.begin for c in mine):
                    found.add(session.date)
        return sorted(found)

    def _parts(self, period: Period, subscriptions: Sequence[Subscription]) -> list[Part]:
        groups: dict[tuple[str, int, int, str], set[str]] = {}
        for subscription in subscriptions:
            exchange = self._sessions.instrument(subscription.instrument).exchange
            bounds = self._bounds(period, exchange)
            feed = self._feed(subscription, bounds) if bounds else None
            if bounds is None or feed is None:
                raise self._missing(period, subscription)
            groups.setdefault((feed, *bounds, exchange), set()).add(subscription.instrument)
        self._refuse_two_of_a_kind(groups)
        ticks = {i for key, names in groups.items() if self._resolution(key[0]) == "tick" for i in names}
        return [
            self._part(feed, sorted(instruments), begin, end, exchange, ticks)
            for (feed, begin, end, exchange), instruments in sorted(groups.items())
        ]

    def _part(
        self, feed: str, instruments: Sequence[str], begin: int, end: int, exchange: str, ticks: set[str]
    ) -> Part:
        resolution, data = self._resolution(feed), self._data
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
                key = (instrument, self._resolution(feed) == "tick")
                if chosen.setdefault(key, feed) != feed:
                    raise UsageError(
                        f"{instrument}: subscribed to {chosen[key]} and {feed}: one feed of a kind at a time"
                    )

    def _bounds(self, period: Period, exchange: str) -> tuple[int, int] | None:
        days = [s for s in self._sessions.sessions(exchange) if period.first <= s.date <= period.last]
        return (days[0].begin, days[-1].end) if days else None

    def _feed(self, subscription: Subscription, bounds: tuple[int, int]) -> str | None:
        begin, end = bounds
        feeds = {
            c.feed
            for c in self._coverage
            if c.instrument == subscription.instrument
            and c.first_ts < end
            and c.last_ts >= begin
            and self._holds(c, begin, end)
        }
        if subscription.feed is not None:
            feeds &= {subscription.feed}
            if self._data is None or subscription.resolution is None:
                return subscription.feed if feeds else None
        imported = {span.feed for span in self._spans}
        ranked = sorted((RESOLUTIONS.index(self._resolution(f)), f not in imported, f) for f in feeds)
        wanted = subscription.resolution
        if wanted not in (None, *RESOLUTIONS) or (wanted in RESOLUTIONS[1:] and self._data is not None):
            return self._feed_for(resolution_of(str(wanted)), [f for _, _, f in ranked])
        found = [f for r, _, f in ranked if wanted in (None, RESOLUTIONS[r])]
        return found[0] if found else None

    def _feed_for(self, wanted: Resolution, feeds: Sequence[str]) -> str | None:
        """Return the feed of this resolution, or the finest of which its bars can be made."""
        lengths = {feed: self._length(feed) for feed in feeds}
        native = [feed for feed in feeds if lengths[feed] == wanted.length_ns]
        if native or self._data is None:
            return native[0] if native else None
        return next((f for f in feeds if not lengths[f] or wanted.length_ns % lengths[f] == 0), None)

    def _length(self, feed: str) -> int:
        """Return the length of a feed's bars in ns, 0 for ticks: by name (`ib/5min`), or resolution."""
        sized = _SIZED.search(feed)
        if sized is not None:
            return int(sized[1]) * _SECONDS[sized[2]] * SECOND_NS
        resolution = self._resolution(feed)
        return 0 if resolution == "tick" else resolution_of(resolution).length_ns

    def _holds(self, coverage: Coverage, begin: int, end: int) -> bool:
        # What a feed covers may have a hole of days; its imports tell where.
        return any(
            span.feed in ("", coverage.feed)
            and coverage.first_seq <= span.last_seq
            and coverage.last_seq >= span.first_seq
            and (span.first_ts is None or span.first_ts < end)
            and (span.last_ts is None or span.last_ts >= begin)
            for span in self._spans
        )

    def _resolution(self, feed: str) -> str:
        known = self._sessions.feed(feed)
        return known.resolution if known else RESOLUTIONS[0]

    def _missing(self, period: Period, subscription: Subscription) -> DataMissing:
        what = subscription.feed or subscription.resolution or ""
        label = f"{subscription.instrument} {what}".strip()
        days = self.dates([subscription.instrument], subscription.feed)
        if not days:
            return DataMissing(f"no data of {label} in this log; next: tape import --help")
        others = [day for day in days if not period.first <= day <= period.last] or days
        near = sorted(
            others, key=lambda day: abs((date.fromisoformat(day) - date.fromisoformat(period.first)).days)
        )
        return DataMissing(
            f"no data of {label} for {period}; the nearest dates are {', '.join(sorted(near[:4]))}"
        )

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
        for batch in self._reader.entries(Selection(types=wanted)):
            for entry in batch:
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
