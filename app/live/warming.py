"""What strategies are fed before a live session begins, and before its proof: the same entries, by seq.

Planned over the log as for a replay, from the sessions before today. The ranges of seqs are recorded with the
session, so that a proof feeds exactly these, whatever the log holds by then. Reads the log, writes nothing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from adapters.ibkr.data.barmaking import live_feed
from adapters.replay.source import LogSource, Slice
from adapters.replay.streams import Stream
from app.composition.seating import Seated
from app.data.definitions import day_of
from app.replay.period import Period
from app.replay.planning import Plan, Planner
from app.replay.warming import plan_warm_up
from core.events import Bar, Quote, QuoteBar, Trade
from core.ports import EntryReader, Selection
from core.strategy import AnyStrategy, Subscription, handles
from projections.sessions import Sessions


class Range(msgspec.Struct, frozen=True):
    """Entries of one feed between two times, in the seqs that held them."""

    feed: str
    instruments: tuple[str, ...]
    begin_ts: int
    end_ts: int
    streams: tuple[Stream, ...]

    def slice(self) -> Slice:
        """Return what a source reads."""
        selection = Selection(
            feeds=frozenset({self.feed}),
            instruments=frozenset(self.instruments),
            begin_ts=self.begin_ts,
            end_ts=self.end_ts,
        )
        return Slice(selection=selection, streams=self.streams)


def plan_live(
    reader: EntryReader, sessions: Sessions, seated: Sequence[Seated], ts: int
) -> tuple[Range, ...]:
    """Return what to feed before a session that begins at `ts`; nothing if no strategy asks for it.

    Raises `DataMissing` if the log holds too little.
    """
    needing = [one.strategy for one in seated if one.strategy.warm_up.sessions or one.strategy.warm_up.events]
    subscriptions = [s for strategy in needing for s in fitting(strategy)]
    if not subscriptions:
        return ()
    today = date_of(sessions, subscriptions[0].instrument, ts)
    planner, needs = Planner(reader, sessions), [strategy.warm_up for strategy in needing]
    plan = plan_warm_up(planner, reader, Period(today, today), subscriptions, needs)
    return () if plan is None else _ranges(plan, reader.last_seq())


def fitting(strategy: AnyStrategy) -> Iterable[Subscription]:
    """Yield the subscriptions, asking for bars where the strategy hears of bars only."""
    for subscription in strategy.subscriptions():
        hears = {kind for kind in (Trade, Quote, Bar, QuoteBar) if handles(strategy, kind)}
        ticks = any(kind in hears and subscription.wants(kind) for kind in (Trade, Quote))
        free = subscription.feed is None and subscription.resolution is None
        if free and not ticks and hears:
            yield msgspec.structs.replace(subscription, resolution="minute")
        else:
            yield subscription


def bars_wanted(seated: Sequence[Seated]) -> dict[str, list[str]]:
    """Return of which instruments a live session makes bars, and of which resolutions.

    For strategies that ask for a resolution, or that hear of bars only: minutes, if they do not say.
    """
    found: dict[str, list[str]] = {}
    for one in seated:
        for asked in fitting(one.strategy):
            wants = handles(one.strategy, Bar) and asked.wants(Bar)
            if wants and asked.resolution not in (None, "tick"):
                found.setdefault(asked.instrument, []).append(asked.resolution)
    return {name: list(dict.fromkeys(resolutions)) for name, resolutions in found.items()}


def bar_feeds(seated: Sequence[Seated]) -> dict[tuple[str, str | None], str]:
    """Return which feed of live bars each subscription to bars is told of, by instrument and resolution."""
    return {
        (subscription.instrument, subscription.resolution): live_feed(asked.resolution)
        for one in seated
        if handles(one.strategy, Bar)
        for subscription, asked in zip(one.strategy.subscriptions(), fitting(one.strategy), strict=True)
        if asked.wants(Bar) and asked.resolution not in (None, "tick")
    }


def date_of(sessions: Sessions, instrument: str, ts: int) -> str:
    """Return the session date of a time: the session at hand, else the next one, else the date in UTC."""
    exchange = sessions.instrument(instrument).exchange
    now = sessions.session(exchange, ts)
    if now is None:
        now = next((s for s in sessions.sessions(exchange) if s.begin >= ts), None)
    return now.date if now is not None else day_of(ts).isoformat()


def source_of(reader: EntryReader, ranges: Sequence[Range]) -> LogSource | None:
    """Return the ranges as a source, or `None` if there are none."""
    return LogSource(reader, [each.slice() for each in ranges]) if ranges else None


def _ranges(plan: Plan, last_seq: int) -> tuple[Range, ...]:
    return tuple(
        Range(part.feed, part.instruments, part.begin_ts, part.end_ts, _bounded(piece.streams, last_seq))
        for part, piece in zip(plan.parts, plan.slices, strict=True)
    )


def _bounded(streams: Sequence[Stream], last_seq: int) -> tuple[Stream, ...]:
    # The last span is open: what this session records must not belong to it when it is read again.
    return tuple(
        msgspec.structs.replace(
            stream,
            spans=tuple(
                msgspec.structs.replace(span, last_seq=min(span.last_seq, last_seq)) for span in stream.spans
            ),
        )
        for stream in streams
    )
