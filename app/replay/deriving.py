"""Which bars a replay makes or fills forward: what strategies ask for, and no feed of the plan holds."""

from collections.abc import Sequence
from functools import partial

from adapters.replay.deriving import DerivedSource, Filled, Made
from adapters.replay.source import LogSource
from app.composition.seating import Seated
from app.replay.planning import DataOptions, Plan
from core.events import Bar, FilledBar, FilledQuoteBar, QuoteBar
from core.resolutions import RESOLUTIONS, resolution_of
from core.strategy import derived_keys, handles
from projections.sessions import Sessions

_FILLED = ("second", "minute")


def derived(
    source: LogSource, plan: Plan, seated: Sequence[Seated], sessions: Sessions, data: DataOptions
) -> DerivedSource | LogSource:
    """Return the source with the bars put in that strategies ask for; the source itself if there are none."""
    asked = dict.fromkeys(
        (subscription.instrument, kind, key)
        for one in seated
        for subscription in one.strategy.subscriptions()
        for kind in (Bar, QuoteBar)
        if handles(one.strategy, kind) and subscription.wants(kind)
        for key in derived_keys(kind, [subscription], dict.fromkeys(plan.made, ""))
    )
    made: list[Made] = []
    filled: list[Filled] = []
    for instrument, kind, (derived_kind, period) in asked:
        exchange = sessions.instrument(instrument).exchange
        mine = [part for part in plan.parts if instrument in part.instruments]
        if derived_kind not in (FilledBar, FilledQuoteBar):
            mine = sorted(mine, key=lambda part: RESOLUTIONS.index(part.resolution))[:1]  # the finest
        for part in mine:
            feed = sessions.feed(part.feed)
            if derived_kind in (FilledBar, FilledQuoteBar):
                if data.fill_forward and part.resolution in _FILLED:
                    held = [s for s in sessions.sessions(exchange) if part.begin_ts <= s.open < part.end_ts]
                    filled.append(Filled(instrument, kind, tuple((s.open, s.close) for s in held)))
            elif feed is not None:
                at = partial(sessions.session, exchange)
                made.append(Made(instrument, kind, resolution_of(period), feed, at))
    if not made and not filled:
        return source
    return DerivedSource(source, made, filled, extended=data.extended_hours)
