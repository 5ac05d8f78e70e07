"""Prices as a run saw them: those of the log, times the factors for splits and dividends that the run used.

The log holds raw prices, and fills of a run at adjusted prices are adjusted: what is compared with them has
to be so too. Text and arithmetic only: no SQL is run here.
"""

from collections.abc import Iterable, Mapping

from projections.actions import Factors

_DIGITS = 8
"""To how many a replay rounds adjusted prices."""


def factor_sql(factors: Factors | None) -> str:
    """Return what a price at `ts` is multiplied by, as an SQL expression."""
    if not factors:
        return "1"
    when = (
        f"WHEN ts < {until} THEN {price!r}" for until, price in zip(factors.until, factors.price, strict=True)
    )
    return f"CASE {' '.join(when)} ELSE 1 END"


def adjusted_arrivals(
    raw: Mapping[str, float], intents: Iterable[tuple[str, str, int]], factors: Mapping[str, Factors]
) -> dict[str, float]:
    """Return arrival prices by order as the run saw them; `intents` are (order, instrument, ts)."""
    found = dict(raw)
    for order, instrument, ts in intents:
        if order in found and instrument in factors:
            found[order] = round(found[order] * factors[instrument].at(ts)[0], _DIGITS)
    return found
