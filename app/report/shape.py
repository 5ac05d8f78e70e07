"""What a report holds, whoever builds it and however it is shown: plain data. It computes nothing."""

from typing import Any

import msgspec

from app.report.days import DayResult, MonthResult
from app.report.dealing import Group, OpenRow


class Report(msgspec.Struct, frozen=True):
    """Everything that a report shows; money as exact decimals, shares as fractions, `None` is unknown."""

    run: str
    period: str
    strategies: list[dict[str, Any]]
    failed: str | None
    figures: dict[str, Any]
    refused_by_rule: dict[str, int]
    by_instrument: list[Group]
    by_strategy: list[Group]
    by_exit_reason: list[Group]
    monthly: list[MonthResult]
    daily: list[DayResult]
    positions: list[OpenRow]
    assumptions: dict[str, Any]
    cautions: list[str] = []
