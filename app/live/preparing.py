"""What a session needs in the log before it begins: contracts, the hours of their exchanges.

Asked for on a connection of its own, before the session begins. What is found is durable before anybody
refers to it. A name that leads to no contract is an event; whether it ends the session is told by `needed`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import msgspec

from adapters.ibkr.inquiry import Inquiry, Place, inquire
from adapters.ibkr.link_settings import LinkSettings
from adapters.ibkr.resolving import Unresolved, name_of
from app.definitions import around, definitions_of, known, resolve, scheduled, untraceable
from app.writing import Writer
from core.errors import BrokerUnreachable, UsageError
from core.events import InstrumentDefined
from eventstore.reader import LogReader

INQUIRY_CLIENT = 50
"""Questions are asked as another client, so many above the session's: the broker frees an id slowly."""
_DAYS_BEFORE, _DAYS_AFTER = 5, 10


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
        if answer != known(sessions, answer.instrument):
            journal.append(answer)
        found.append(answer)
    for session in scheduled(sessions, found, *around(now, _DAYS_BEFORE, _DAYS_AFTER)):
        journal.append(session)
    journal.commit(sync=True)
    return Prepared(found, missing, now)


@contextmanager
def patiently(link: LinkSettings, serve: Callable[[], None]) -> Iterator[Inquiry]:
    """Connect to ask, with the patience of the link; raises `BrokerUnreachable` after its last attempt."""
    with ExitStack() as stack:
        for attempt in range(1, link.max_reconnect_attempts + 1):
            try:
                inquiry = stack.enter_context(inquire(place_of(link), serve))
                break
            except BrokerUnreachable:
                if attempt == link.max_reconnect_attempts:
                    raise
            _wait(link.reconnect_interval_s, serve)
        yield inquiry


def _wait(seconds: float, serve: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        serve()
        time.sleep(0.1)
