"""What strategies are fed before a replay begins, so that their indicators are right from its first event.

Orders are refused while warming; the exact ranges are part of the run. Reads the log, writes nothing.
"""

from collections.abc import Sequence

from adapters.replay.source import LogSource
from app.replay.period import Period
from app.replay.planning import Plan, Planner
from core.errors import DataMissing
from core.ports import EntryReader
from core.strategy import Subscription, WarmUp


def plan_warm_up(
    planner: Planner,
    reader: EntryReader,
    period: Period,
    subscriptions: Sequence[Subscription],
    needs: Sequence[WarmUp],
) -> Plan | None:
    """Return the sessions before `period` that satisfy every need, or `None` if there is none.

    Raises `DataMissing` if the log holds too little.
    """
    sessions, events = max(need.sessions for need in needs), max(need.events for need in needs)
    if not sessions and not events:
        return None
    days = [day for day in planner.feeds.dates(s.instrument for s in subscriptions) if day < period.first]
    held = 0
    for count, day in enumerate(reversed(days), 1):
        if held < events:
            held += _events(reader, planner.plan(Period(day, day), subscriptions))
        if count >= sessions and held >= events:
            return planner.plan(Period(day, days[-1]), subscriptions)
    need = f"{sessions} sessions" if sessions else f"{events:,} events"
    have = f"{len(days)} sessions" if sessions else f"{held:,} events in {len(days)} sessions"
    raise DataMissing(
        f"the strategy needs {need} before {period.first} to warm up; the log holds {have}; next: import "
        f"them, or start later"
    )


def _events(reader: EntryReader, plan: Plan) -> int:
    source = LogSource(reader, plan.slices)
    for _ in source.batches():
        pass
    return source.inputs
