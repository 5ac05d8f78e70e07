"""Axes of charts: a time axis without nights and weekends, and round values to label. Pure."""

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_NS, HOUR_NS, SECOND_NS

WIDTH = 1000.0
_GAP_MIN_NS = 4 * HOUR_NS
_GAP_MEDIANS = 8
_GAP_SHARE = 0.006
_FLAT = 1e-9
_LABELS_MAX = 8
_APART = 0.07


class Label(msgspec.Struct, frozen=True):
    """A text at a place from 0 to 1 along an axis; `date` tells whether it names a day or more."""

    place: float
    text: str
    date: bool = True


class TimeAxis:
    """Maps times to 0…`WIDTH`. A stretch without any sample, much longer than usual, is closed up."""

    def __init__(self, samples: Iterable[NDArray[np.int64]], zone: str) -> None:
        parts = [part for part in samples if len(part)]
        times = np.unique(np.concatenate(parts)) if parts else np.array([0, 1], dtype=np.int64)
        self.zone = ZoneInfo(zone)
        steps = np.diff(times)
        limit = max(_GAP_MIN_NS, _GAP_MEDIANS * float(np.median(steps))) if len(steps) else _GAP_MIN_NS
        cuts = np.flatnonzero(steps > limit)
        begins = times[np.concatenate(([0], cuts + 1))]
        ends = times[np.concatenate((cuts, [len(times) - 1]))]
        self.segments = list(zip(begins.tolist(), ends.tolist(), strict=True))
        self._knots, self._places = self._scale(begins, ends)

    def _scale(
        self, begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lengths = np.maximum((ends - begins).astype(np.float64), 1.0)
        gap = _GAP_SHARE * WIDTH if len(begins) <= 40 else WIDTH / 8 / len(begins)
        room = WIDTH - gap * (len(begins) - 1)
        widths = lengths / lengths.sum() * room
        lefts = np.concatenate(([0.0], np.cumsum(widths + gap)[:-1]))
        knots = np.stack((begins, np.maximum(ends, begins + 1)), axis=1).ravel().astype(np.float64)
        places = np.stack((lefts, lefts + widths), axis=1).ravel()
        return knots, places

    def places(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return where times are, from 0 to `WIDTH`."""
        return np.interp(times.astype(np.float64), self._knots, self._places)

    def segment_of(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the unbroken stretch that each time is in."""
        begins = np.array([begin for begin, _ in self.segments], dtype=np.int64)
        return np.searchsorted(begins, times, side="right")

    def labels(self) -> list[Label]:
        """Return at most eight labels: years, months, days or hours in the axis's zone, as fits the span."""
        first, last = self.segments[0][0], self.segments[-1][1]
        shown = (last - first) / DAY_NS
        if shown > 900:
            moments, form = _by_month(self._at(first), self._at(last), 12), "%Y"
        elif shown > 75:
            moments, form = _by_month(self._at(first), self._at(last), 1), "%b %Y"
        else:
            return self._short_labels()
        inside = [m for m in moments if first <= int(m.timestamp() * SECOND_NS) <= last]
        return _fewer([Label(self._place(m), m.strftime(form)) for m in inside]) or self._short_labels()

    def _short_labels(self) -> list[Label]:
        """Label days where there are many; else hours, of which the first of a day is its date."""
        spans = [(self._at(begin), self._at(end)) for begin, end in self.segments if end > begin]
        days = {begin.date() for begin, _ in spans}
        whole = sum((end - begin).total_seconds() for begin, end in spans) / 3600
        found: list[Label] = []
        known: set[date] = set()
        for begin, end in spans:
            for moment in [
                begin,
                *(_by_hour(begin, end, whole) if len(days) <= 3 else _midnights(begin, end)),
            ]:
                if moment.date() in known:
                    found.append(Label(self._place(moment), moment.strftime("%H:%M"), date=False))
                else:
                    known.add(moment.date())
                    text = moment.strftime("%H:%M" if len(days) == 1 else "%d %b")
                    found.append(Label(self._place(moment), text))
        return _fewer(found)

    def _place(self, moment: datetime) -> float:
        return float(self.places(np.array([int(moment.timestamp() * SECOND_NS)]))[0]) / WIDTH

    def _at(self, ts: int) -> datetime:
        return datetime.fromtimestamp(ts // SECOND_NS, self.zone)


def _by_month(first: datetime, last: datetime, step: int) -> list[datetime]:
    found = []
    year, month = first.year, 1 if step == 12 else first.month
    while (year, month) <= (last.year, last.month):
        found.append(datetime(year, month, 1, tzinfo=first.tzinfo))
        year, month = (year + 1, month) if step == 12 else (year + month // 12, month % 12 + 1)
    return found


def _by_hour(first: datetime, last: datetime, hours: float) -> list[datetime]:
    minutes = next((s for s in (1, 5, 15, 30, 60, 120, 240) if hours * 60 / s <= _LABELS_MAX), 480)
    moment = first.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while moment <= last:
        if moment > first:
            found.append(moment)
        moment += timedelta(minutes=minutes)
    return found


def _midnights(first: datetime, last: datetime) -> list[datetime]:
    moment = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found = []
    while moment <= last:
        found.append(moment)
        moment += timedelta(days=1)
    return found


def _fewer(labels: Sequence[Label]) -> list[Label]:
    """Return labels that do not touch, dates before hours, evenly thinned."""
    kept: list[Label] = []
    for wanted in (True, False):
        chosen = [label for label in labels if label.date is wanted and label.place <= 0.92]
        step = max(-(-len(chosen) // _LABELS_MAX), 1)
        for label in chosen[::step]:
            if all(abs(label.place - other.place) > _APART for other in kept):
                kept.append(label)
    return sorted(kept, key=lambda label: label.place)


class ValueAxis:
    """Maps values to 0…1 from the top, with a little room above and below."""

    def __init__(self, low: float, high: float) -> None:
        size = max(abs(low), abs(high), 1.0)
        room = (high - low) * 0.06 if high - low > size * _FLAT else size * 0.001
        self.low, self.high = low - room, high + room

    def places(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where values are: 0 at the top, 1 at the bottom."""
        return (self.high - values) / (self.high - self.low)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the axis, about `count` of them."""
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(math.log(s / rough)))
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]

    def decimals(self) -> int:
        """Return how many decimals tell the ticks apart."""
        ticks = self.ticks()
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        return next((n for n in range(7) if abs(round(step, n) - step) < step * 1e-6), 7)
