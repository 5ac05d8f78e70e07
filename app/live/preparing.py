"""What a session needs in the log before it begins: contracts, the hours of their exchanges.

Asked for on a connection of its own, before the session begins. What is found is durable before anybody
refers to it. A name that leads to no contract is an event; whether it ends the session is told by `needed`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date

import msgspec

from adapters.ibkr.data.bars import size_of
from adapters.ibkr.data.inquiry import Inquiry, Place, inquire
from adapters.ibkr.data.resolving import Unresolved, name_of
from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.definitions import definitions_of
from app.composition.seating import Seated, seat
from app.data.definitions import around, definition, resolve, scheduled, untraceable
from app.data.fetching import FetchRequest, fetch
from app.live.request import LiveRequest
from app.live.warming import date_of, plan_live
from app.operation.writing import Writer
from core.errors import BrokerUnreachable, DataMissing, UsageError
from core.events import InstrumentDefined
from eventstore.reading.reader import LogReader
from projections.sessions import Sessions

INQUIRY_CLIENT = 50
"""Questions are asked as another client, so many above the session's: the broker frees an id slowly."""
_DAYS_BEFORE, _DAYS_AFTER = 5, 10
_WARM_UP_BAR = "1min"
_MINUTES_LEAST = 200
"""Bars that even a short session has."""


class Prepared(msgspec.Struct, frozen=True):
    """What `prepare` found, in the order asked for; `missing` says why a name leads to no contract."""

    instruments: list[InstrumentDefined]
    missing: dict[str, str]
    now: int


def place_of(link: LinkSettings) -> Place:
    """Return where to ask what a session over this link needs."""
    return Place(
        host=link.host, port=link.port, client_id=link.client_id + INQUIRY_CLIENT, limits=link.limits
    )


def prepare(writer: Writer, inquiry: Inquiry, texts: Iterable[str], needed: frozenset[str]) -> Prepared:
    """Put what the log lacks of these instruments into it, durably.

    `texts` are names as users write them; raises `UsageError` for one of `needed` that cannot be resolved.
    """
    journal, now = writer.journal, inquiry.now()
    sessions = definitions_of(LogReader(journal.root))
    found: list[InstrumentDefined] = []
    missing: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        answer = resolve(inquiry, sessions, text, now)
        if isinstance(answer, Unresolved):
            journal.append(untraceable(answer, now))
            journal.commit(sync=True)
            if name_of(text) in needed:
                raise UsageError(answer.text)
            missing[answer.name] = answer.text
            continue
        if answer != definition(sessions, answer.instrument):
            journal.append(answer)
        found.append(answer)
    for session in scheduled(sessions, found, *around(now, _DAYS_BEFORE, _DAYS_AFTER)):
        journal.append(session)
    journal.commit(sync=True)
    return Prepared(found, missing, now)


def prepare_session(writer: Writer, request: LiveRequest) -> None:
    """Put into the log what a session at a broker needs: contracts, hours, and data to warm up with.

    Warm-up comes from what the log holds; if that is too little, minute bars are fetched. Raises `UsageError`
    for a name of a strategy that leads to no contract, and `BrokerUnreachable` after the last attempt if
    the log does not know every name.
    """
    seated = seat(request.strategies)
    asked = [s.instrument for one in seated for s in one.strategy.subscriptions()]
    names = [*request.watchlist, *asked]
    if not names:
        return
    try:
        with patiently(request.link, writer.serve, _attempts(writer, request, names)) as inquiry:
            prepared = prepare(writer, inquiry, names, frozenset(asked))
            _fetch_warm_up(writer, inquiry, seated, prepared.now)
    except BrokerUnreachable:
        if _unknown(writer, names):
            raise
        # The log knows enough to begin: the session tells of the connection, and is patient, itself.


def _attempts(writer: Writer, request: LiveRequest, names: Sequence[str]) -> int:
    return request.link.max_reconnect_attempts if _unknown(writer, names) else 1


def _unknown(writer: Writer, names: Sequence[str]) -> bool:
    sessions = definitions_of(LogReader(writer.journal.root))
    return any(definition(sessions, name_of(name)) is None for name in names)


def _fetch_warm_up(writer: Writer, inquiry: Inquiry, seated: Sequence[Seated], now: int) -> None:
    reader = LogReader(writer.journal.root)
    sessions = definitions_of(reader)
    try:
        plan_live(reader, sessions, seated, now)
    except DataMissing:
        for one in seated:
            need = one.strategy.warm_up
            count = max(need.sessions, -(-need.events // _MINUTES_LEAST) + 1 if need.events else 0)
            for name in dict.fromkeys(s.instrument for s in one.strategy.subscriptions()) if count else ():
                _fetch_before(writer, inquiry, sessions, name, count, now)


def _fetch_before(
    writer: Writer, inquiry: Inquiry, sessions: Sessions, name: str, count: int, now: int
) -> None:
    """Fetch the last `count` sessions of an instrument that had ended before today's."""
    instrument, today = sessions.instrument(name), date_of(sessions, name, now)
    known = sessions.sessions(instrument.exchange)
    new = scheduled(sessions, [instrument], *around(now, count * 2 + _DAYS_BEFORE, 0))
    dates = sorted({day.date for day in [*known, *new] if day.date < today and day.end <= now})[-count:]
    if dates:
        first, last = date.fromisoformat(dates[0]), date.fromisoformat(dates[-1])
        request = FetchRequest(symbol=name, first=first, last=last, bar=_WARM_UP_BAR)
        reader = LogReader(writer.journal.root)
        fetch(writer.journal, reader, inquiry, request, size_of(_WARM_UP_BAR))


@contextmanager
def patiently(
    link: LinkSettings, serve: Callable[[], None], attempts: int | None = None
) -> Iterator[Inquiry]:
    """Connect to ask, with the patience of the link; raises `BrokerUnreachable` after its last attempt."""
    attempts = attempts or link.max_reconnect_attempts
    with ExitStack() as stack:
        for attempt in range(1, attempts + 1):
            try:
                inquiry = stack.enter_context(inquire(place_of(link), serve))
                break
            except BrokerUnreachable:
                if attempt == attempts:
                    raise
            _wait(link.reconnect_interval_s, serve)
        yield inquiry


def _wait(seconds: float, serve: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        serve()
        time.sleep(0.1)
