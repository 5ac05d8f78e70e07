"""What a reader should know before believing a figure: said in words, beside the figures.

Each caution follows from the figures alone. Owns no figure and hides none.
"""

from collections.abc import Iterator

from app.report.shape import Report

_DAYS_MIN = 30
_TRADES_MIN = 30


def cautions(report: Report) -> list[str]:
    """Return what to be careful with in a report, most important first."""
    return list(_cautions(report))


def opening(count: int) -> list[str]:
    """Return what to say of positions that a session began with."""
    if not count:
        return []
    which = "One position was" if count == 1 else f"{count} positions were"
    text = f"{which} held before: profit and equity at the start count from the cost, not from the last price"
    return [f"{text} before, so the profits of several sessions do not add up."]


def _cautions(report: Report) -> Iterator[str]:
    told = report.figures
    yield from _outcome(report)
    if told["end_equity"] is None:
        yield "Equity at the end is unknown: a price or an exchange rate is missing."
    if told["max_drawdown"] is not None and float(told["max_drawdown"]) >= 1:
        yield "Equity was not positive at times: ratios that divide by it are left out."
    if 0 < told["sessions"] < _DAYS_MIN:
        days = "one trading day" if told["sessions"] == 1 else f"{told['sessions']} trading days"
        yield f"Annual figures and ratios rest on {days}: they say next to nothing."
    if 0 < told["trades"] < _TRADES_MIN:
        trades = "one round trip" if told["trades"] == 1 else f"{told['trades']} round trips"
        yield f"The figures of trades rest on {trades}."
    if report.positions:
        count = len(report.positions)
        yield (
            f"{'One position is' if count == 1 else f'{count} positions are'} open at the end: in the equity "
            f"at the last price, in no round trip."
        )
    measured = told["slippage_measured"]
    if measured == 0:
        yield "Slippage is unknown: there was no price when the orders were decided."
    elif measured is not None and measured < 1:
        yield f"Slippage is that of {measured:.1%} of the fills; of the others no price was known."
    if told["fills"] and told["traded_value"] is None:
        yield "Instruments trade in several currencies: there are no sums over them."


def _outcome(report: "Report") -> Iterator[str]:
    told = report.figures
    asked = told["intents"]
    if report.failed:
        yield "The strategy failed: the figures end there."
    elif not told["fills"] and not asked:
        yield "Nothing was traded: the strategy asked for no order."
    elif not told["fills"]:
        ends = ", ".join(f"{told[name]} {name}" for name in ("refused", "rejected", "cancelled"))
        yield f"Nothing was traded: of {asked} {'order' if asked == 1 else 'orders'} none filled ({ends})."
