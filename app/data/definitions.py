"""Instruments and sessions that a log does not know yet, from the broker and the exchange calendar.

What is found becomes events before anything refers to it. A contract that cannot be told for certain is an
event too, with what to do; whether that ends the command is for the caller to decide.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import msgspec

from adapters.ibkr.data.inquiry import Inquiry
from adapters.ibkr.data.resolving import Unresolved, chosen, confirmed, name_of, request_for
from adapters.replay import calendar
from core.clock import SECOND_NS
from core.errors import UnknownInstrument, UsageError
from core.events import DataStateChanged, Event, InstrumentDefined, SessionScheduled
from projections.sessions import Sessions

_CALENDARS = {"XCME": "CMES", "XCBT": "CMES", "XNYM": "CMES", "XCEC": "CMES", "IEXG": "XNYS"}
"""Exchanges that keep the hours of another one, whose calendar there is."""
_WEEKDAYS = 5


def definition(sessions: Sessions, name: str) -> InstrumentDefined | None:
    """Return the log's definition of an instrument, or `None`."""
    try:
        return sessions.instrument(name)
    except UnknownInstrument:
        return None


def resolve(inquiry: Inquiry, sessions: Sessions, text: str, ts: int) -> InstrumentDefined | Unresolved:
    """Return the instrument that a user's words mean, with the broker's id, from the log or by asking."""
    name = name_of(text)
    held = definition(sessions, name)
    if held is not None and held.con_id is not None:
        return held
    answers = inquiry.details(request_for(held, text))
    return chosen(name, answers, ts) if held is None else confirmed(held, answers, ts)


def untraceable(trouble: Unresolved, ts: int) -> Event:
    """Return the event that tells why a name leads to no data."""
    return DataStateChanged(ts, trouble.name, "refused", trouble.text)


def scheduled(
    sessions: Sessions, instruments: Iterable[InstrumentDefined], first: date, last: date
) -> list[SessionScheduled]:
    """Return the sessions of the instruments' exchanges in a span of dates that the log does not know.

    An exchange without a calendar is taken to be open on weekdays, midnight to midnight of its time zone.
    """
    found: dict[tuple[str, str], SessionScheduled] = {}
    for instrument in instruments:
        for session in hours(instrument, first, last):
            if sessions.session_on(session.exchange, session.date) is None:
                found.setdefault((session.exchange, session.date), session)
    return sorted(found.values(), key=lambda s: (s.begin, s.exchange))


def hours(instrument: InstrumentDefined, first: date, last: date) -> list[SessionScheduled]:
    """Return the sessions of an instrument's exchange in a span of dates; see `scheduled`."""
    exchange = instrument.exchange
    try:
        found = calendar.sessions(_CALENDARS.get(exchange, exchange), first, last)
    except UsageError:
        timezone = instrument.timezone or "UTC"
        whole = calendar.sessions(calendar.CONTINUOUS, first, last, timezone)
        found = [day for day in whole if date.fromisoformat(day.date).weekday() < _WEEKDAYS]
    return [msgspec.structs.replace(session, exchange=exchange) for session in found]


def day_of(ts: int) -> date:
    """Return the date of a time in UTC."""
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).date()


def around(ts: int, before: int, after: int) -> tuple[date, date]:
    """Return the first and the last of so many days before and after a time."""
    return day_of(ts) - timedelta(days=before), day_of(ts) + timedelta(days=after)
