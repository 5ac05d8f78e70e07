"""The sessions that a table's rows fall in: found as its times reach them, and what a row spans by them.

Owns whose dates these are and where a row is of no session. Calendars are adapters.replay.calendar's; knows
no file and no column but times.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from adapters.replay.calendar import UNLISTED, local_dates, sessions, zone
from adapters.replay.parsed import IntColumn, Parsed
from adapters.replay.tables.options import TableOptions
from adapters.replay.tables.plan import TablePlan
from adapters.replay.tables.rows import Spans
from core.clock import SECOND_NS
from core.events import SessionScheduled

RUN_DAYS = 31


class ReachedSessions:
    """The sessions that the rows so far reach, in order of time, each once."""

    def __init__(self, plan: TablePlan, options: TableOptions, clock: ZoneInfo | None) -> None:
        self._plan = plan
        self._options = options
        self._clock = zone("UTC") if plan.by_date or clock is None else clock
        self._found: list[SessionScheduled] = []

    @property
    def exchange(self) -> str:
        """Whose sessions these are."""
        return self._found[0].exchange if self._found else self._options.exchange or UNLISTED

    @property
    def timezone(self) -> str:
        """The clock of their exchange, whatever clock the file's times were written by."""
        return self._found[0].timezone if self._found else self._options.timezone or "UTC"

    def reach(self, ts: IntColumn) -> list[SessionScheduled]:
        """Return the sessions that these times reach and none before did."""
        dates = {held.date for held in self._found}
        new = [held for held in self._of(local_dates(ts, self._clock)) if held.date not in dates]
        self._found = sorted([*self._found, *new], key=lambda held: held.begin)
        return new

    def _of(self, days: Sequence[date]) -> list[SessionScheduled]:
        exchange, timezone = self._options.exchange, self._options.timezone or "UTC"
        if exchange is None:
            return [held for day in days for held in sessions(UNLISTED, day, day, timezone)]
        # A session may reach into the day before or after its date, unless dates are all there is.
        margin = timedelta(days=0 if self._plan.by_date else 1)
        return [
            held
            for first, last in _runs(days)
            for held in sessions(exchange, first - margin, last + margin, timezone)
        ]

    def spans(self, parsed: Parsed, ts: IntColumn) -> Spans:
        """Give each row its begin and end in ns UTC, and reject rows of no session."""
        spans, missing = self._whole(ts) if self._plan.by_date else self._within(ts)
        days = _dates(ts) if missing.any() else []
        parsed.reject(missing, lambda row: f"{days[row]} is not a session of {self._options.exchange}")
        return spans

    def _whole(self, ts: IntColumn) -> tuple[Spans, NDArray[np.bool_]]:
        """Return the sessions of rows that are told by date, and where there is none."""
        by_date = {held.date: held for held in self._found}
        held = [by_date.get(day.isoformat()) for day in _dates(ts)]
        begins = np.array([known.open if known else 0 for known in held], dtype=np.int64)
        ends = np.array([known.close if known else 0 for known in held], dtype=np.int64)
        return Spans(begins, ends), np.array([known is None for known in held], dtype=bool)

    def _within(self, ts: IntColumn) -> tuple[Spans, NDArray[np.bool_]]:
        """Return the time of each row, of bars with their length, and where it is in no session."""
        length = self._plan.length_ns
        begins = ts - length if self._options.bar_time == "end" else ts
        return Spans(begins, begins + length), self._outside(begins)

    def _outside(self, ts: IntColumn) -> NDArray[np.bool_]:
        """Return where a time is in no session of the exchange, if one was given."""
        if self._options.exchange is None or not self._found:
            return np.zeros(len(ts), dtype=bool)
        places = np.searchsorted([held.begin for held in self._found], ts, side="right") - 1
        ends = np.array([held.end for held in self._found], dtype=np.int64)
        return (places < 0) | (ts >= ends[places])


def _runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """Cut sorted days where more than `RUN_DAYS` are empty: one stray date must not schedule decades."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and (day - runs[-1][1]).days <= RUN_DAYS:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _dates(ts: IntColumn) -> list[date]:
    return [datetime.fromtimestamp(ns // SECOND_NS, UTC).date() for ns in ts.tolist()]
