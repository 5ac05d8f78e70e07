"""Breaks that the operator accepted as they stand: a look that finds them again has no news of them.

Pure. What was accepted is in the gate's fold, so that it holds over sessions.
"""

from collections.abc import Sequence

from adapters.ibkr.trading.folds import Folds
from core.events import BreakFound, BreakResolved, Event
from projections.gate import STANDING

_PASSING = STANDING - {"overfilled"}
"""The kinds that are over once a look does not find them: another one of the same words is news."""


def without_accepted(found: Sequence[Event], folds: Folds, ts: int, whole: str = "") -> list[Event]:
    """Return what a look found but breaks that were accepted as they are, and which of those are over.

    `whole` is the account that the look was about, if it was a whole one.
    """
    standing = folds.breaks.accepted() if folds.breaks is not None else []
    if not standing:
        return list(found)
    known = {(each.account, each.message) for each in standing}
    left = [e for e in found if not isinstance(e, BreakFound) or (e.account, e.message) not in known]
    seen = {(e.account, e.instrument, e.kind) for e in found if isinstance(e, BreakFound)}
    gone = dict.fromkeys((each.account, each.instrument, each.kind) for each in standing)
    left += [
        BreakResolved(ts, *at, "accepted, and not found by a later comparison")
        for at in gone
        if at[0] == whole and at[2] in _PASSING and at not in seen
    ]
    return left
