"""What a replay assumes, in the words of its summary and report."""

from adapters.replay.corporate import split_reason
from app.replay.planning import DataOptions, Plan
from core.events import CorporateAction
from core.matching import FillModel
from core.money import plain


def fill_rules(plan: Plan, fills: FillModel) -> str:
    """Return how orders fill: by feed, ticks or bars."""
    bars = plan.bar_instruments
    ticks = any(set(part.instruments) - bars for part in plan.parts)
    rules = [fills.name] if ticks or not bars else []
    if bars:
        said = fills.bar_rules
        rules.append(f"{', '.join(sorted(bars))} by bar rules{said and f' ({said})'}")
    return "; ".join(rules)


def hours(plan: Plan, data: DataOptions) -> str:
    """Return which hours of the day are read."""
    regular = [part.feed for part in plan.parts if part.regular_hours]
    if regular:
        return f"regular hours only in {', '.join(regular)}"
    made = bool(plan.made) and not data.extended_hours
    return "all; bars made of regular hours only" if made else "all"


def prices(plan: Plan) -> str:
    """Return how prices were prepared, and the splits and dividends that the period holds."""
    adjusted = sorted({instrument for part in plan.parts for instrument in part.adjusted})
    told = [f"adjusted for splits and dividends: {', '.join(adjusted)}"] if adjusted else ["raw"]
    told += [f"{action.instrument} {_told(action)}" for action in plan.actions]
    return "; ".join(told)


def _told(action: CorporateAction) -> str:
    split = [split_reason(action)] if action.ratio != 1 else []
    paid = [f"dividend of {plain(action.dividend)}, ex {action.date}"] if action.dividend else []
    return " and ".join([*paid, *split])
