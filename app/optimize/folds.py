"""Walk-forward: sessions in order, in parts to choose parameters in and parts to try them in. Pure."""

from collections.abc import Sequence

import msgspec

from app.replay.period import Period
from core.errors import UsageError


class Fold(msgspec.Struct, frozen=True):
    """Where parameters are chosen, and where the chosen ones are tried, if anywhere."""

    train: Period
    test: Period | None


def folds(dates: Sequence[str], count: int | None, *, rolling: bool) -> list[Fold]:
    """Return `count` folds over session dates, the whole period as one if `count` is `None`.

    The dates are cut into `count + 1` parts, as equal as can be, the longer ones first. Fold k is tried in
    part k + 1, and chosen in all parts before (anchored) or in part k (rolling).
    """
    if count is None:
        return [Fold(Period(dates[0], dates[-1]), None)]
    if len(dates) <= count:
        raise UsageError(
            f"--walk-forward {count} needs at least {count + 1} sessions; the period has {len(dates)}; "
            f"next: a longer period, or --walk-forward {max(len(dates) - 1, 1)}"
        )
    size, longer = divmod(len(dates), count + 1)
    starts = [part * size + min(part, longer) for part in range(count + 2)]
    return [
        Fold(
            Period(dates[starts[part] if rolling else 0], dates[starts[part + 1] - 1]),
            Period(dates[starts[part + 1]], dates[starts[part + 2] - 1]),
        )
        for part in range(count)
    ]
