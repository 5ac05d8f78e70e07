"""The built-in sample: two synthetic sessions that go through the ordinary importer.

2025-07-02 is a full day, 2025-07-03 a half-day that ends at 13:00 New York. Three shares and a future,
all fictional, from our own seeded generator (sample_market.py). Hours are written down here, so that a
newcomer's first command does not import the calendar package. Never reads a file or the network.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from adapters.replay.importing import (
    Definitions,
    FileSlice,
    ImportResult,
    ImportSet,
    ImportWriter,
    Progress,
    digest_of,
    import_sets,
)
from adapters.replay.merging import CHUNK_ROWS
from adapters.replay.sample_market import Hours, Incidents, Market, Profile, draws
from adapters.replay.sample_names import DAYS, FEED, INSTRUMENT
from core.errors import DataMissing
from core.events import Event, FeedDefined, InstrumentDefined, SessionScheduled
from core.ports import EntryReader

SEED = 20250702
VERSION = 1
"""Raised whenever the generator's output changes: the sample's identity."""
"""The instrument that a first example trades: the most active one."""

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_MS_NS = 1_000_000
_NEW_YORK_UTC_MS = 4 * _HOUR_MS
_SHARE_VENUES = ("VN", "VA", "VB", "VC", "VD")
_PROFILES = (
    Profile("ZVXA", 0.01, 8412, 12, _SHARE_VENUES, 100, 22_000, 400),
    Profile("ZVXB", 0.01, 23150, 30, _SHARE_VENUES[:4], 100, 10_000, 390),
    Profile("ZVXC", 0.01, 1768, 10, _SHARE_VENUES[:3], 100, 8_000, 380),
    Profile("ZVF-202509", 0.25, 20841, 12, ("VF",), 1, 26_000, 330),
)
_SECOND_OPENS = {"ZVXA": 8421, "ZVXB": 23118, "ZVXC": 1709, "ZVF-202509": 20961}
"""Ticks at which the second day begins, a little off the first day's last prices."""
_FUTURE = "ZVF-202509"
_INCIDENTS = {
    ("2025-07-02", "ZVXB"): Incidents(
        halt=11 * _HOUR_MS + 10 * _MINUTE_MS + 417, resume=11 * _HOUR_MS + 32 * _MINUTE_MS + 85
    ),
    ("2025-07-02", "ZVXA"): Incidents(bad_print=14 * _HOUR_MS + 21 * _MINUTE_MS + 7_350),
    ("2025-07-03", "ZVXC"): Incidents(bad_print=10 * _HOUR_MS + 48 * _MINUTE_MS + 31_902),
}
ROWS = {"2025-07-02": 115_070, "2025-07-03": 68_422}
"""Events of each day: pinned, so that a log that holds them needs no generation to know it."""


def import_sample(
    writer: ImportWriter,
    reader: EntryReader,
    days: Sequence[str] = DAYS,
    progress: Progress | None = None,
) -> ImportResult:
    """Import the sample's sessions; raises `DataMissing` for a date that is not among `DAYS`."""
    for day in days:
        if day not in DAYS:
            raise DataMissing(f"the built-in sample has no session on {day}; it holds {' and '.join(DAYS)}")
    return import_sets(writer, reader, [_day_set(day) for day in days], progress)


def _day_set(day: str) -> ImportSet:
    identity = msgspec.json.encode(["truetape sample", VERSION, SEED, day])

    def items(wanted: Sequence[FileSlice]) -> Iterator[list[Event] | Definitions]:
        events = sample_events(day)
        for piece in wanted:
            part = events[piece.first - 1 : piece.first - 1 + piece.rows]
            yield from (part[first : first + CHUNK_ROWS] for first in range(0, len(part), CHUNK_ROWS))

    return ImportSet(
        feed=FEED,
        format=f"sample version {VERSION} seed {SEED}",
        slices=(FileSlice(f"sample-{day}", digest_of(identity), 1, ROWS[day]),),
        definitions=lambda: _definitions(day),
        items=items,
    )


def sample_events(day: str) -> list[Event]:
    """Return all events of one session by time; at equal times in the order of the instruments."""
    events: list[Event] = []
    for first in _PROFILES:
        profile = first if day == DAYS[0] else first._replace(price=_SECOND_OPENS[first.instrument])
        incidents = _INCIDENTS.get((day, profile.instrument), Incidents())
        stream = draws(SEED + VERSION, day, profile.instrument)
        events += Market(FEED, profile, _hours(day, profile.instrument), incidents, stream).events()
    return sorted(events, key=lambda event: event.ts)


def _midnight_ms(day: str) -> int:
    """Return New York's midnight in ms since 1970 UTC (daylight saving time, UTC-4, on both days)."""
    begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    return int(begin.timestamp()) * 1000 + _NEW_YORK_UTC_MS


def _hours(day: str, instrument: str) -> Hours:
    close = 16 * _HOUR_MS if day == DAYS[0] else 13 * _HOUR_MS
    begin = 9 * _HOUR_MS + 30 * _MINUTE_MS
    if instrument == _FUTURE:
        close += 15 * _MINUTE_MS
        return Hours(_midnight_ms(day) * _MS_NS, begin, begin, close, close)
    return Hours(_midnight_ms(day) * _MS_NS, 8 * _HOUR_MS, begin, close, close + 10 * _MINUTE_MS)


def _session(day: str, exchange: str, timezone: str, instrument: str, behind_ms: int) -> SessionScheduled:
    """Schedule a day of an exchange whose clock is `behind_ms` behind New York's."""
    hours = _hours(day, instrument)
    begin = hours.midnight + behind_ms * _MS_NS
    return SessionScheduled(
        begin,
        exchange=exchange,
        date=day,
        timezone=timezone,
        begin=begin,
        open=hours.midnight + hours.open * _MS_NS,
        close=hours.midnight + hours.close * _MS_NS,
        end=begin + 24 * _HOUR_MS * _MS_NS,
    )


def _definitions(day: str) -> list[Event]:
    ts = _midnight_ms(day) * _MS_NS
    feed = FeedDefined(
        ts,
        feed=FEED,
        source="synthetic",
        resolution="tick",
        consolidated=False,
        description="made by a seeded generator: fictional instruments, no real prices",
    )
    return [
        feed,
        *(_instrument(profile, ts) for profile in _PROFILES),
        _session(day, "XNYS", "America/New_York", INSTRUMENT, 0),
        _session(day, "XCME", "America/Chicago", _FUTURE, _HOUR_MS),
    ]


def _instrument(profile: Profile, ts: int) -> InstrumentDefined:
    future = profile.instrument == _FUTURE
    return InstrumentDefined(
        ts,
        instrument=profile.instrument,
        symbol=profile.instrument.partition("-")[0],
        kind="FUT" if future else "STK",
        exchange="XCME" if future else "XNYS",
        currency="USD",
        multiplier=Decimal(50 if future else 1),
        tick_size=Decimal(repr(profile.tick_size)),
        timezone="America/Chicago" if future else "America/New_York",
        expiry="2025-09-19" if future else None,
        description="synthetic, does not exist",
    )
