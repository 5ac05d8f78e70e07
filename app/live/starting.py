"""What the start of a live session records, and what its proof reads there: all that events do not say.

The configuration of a `SessionStarted` is one JSON object: the rules of the session by name, the settings
that they come from, the instruments it subscribed to, and the ranges that its strategies were warmed up on.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.composition.seating import Seated
from app.live.connecting import BROKER
from app.live.request import LiveRequest
from app.live.warming import Range
from app.version import VERSION
from core.events import SessionStarted

WARM_UP = "warm_up"
INSTRUMENTS = "instruments"


def start_of(
    request: LiveRequest,
    session: int,
    ts: int,
    seated: Sequence[Seated],
    instruments: Sequence[str],
    warm_up: Sequence[Range],
) -> SessionStarted:
    """Return the first event of a session that begins at `ts` (ns UTC)."""
    config = {
        **request.rules.told(),
        "settings": msgspec.json.decode(request.config),
        INSTRUMENTS: instruments,
        WARM_UP: msgspec.to_builtins(warm_up),
    }
    strategies = [{**one.described(), "spec": one.found.name} for one in seated]
    return SessionStarted(
        ts,
        session,
        request.mode,
        request.account,
        VERSION,
        _json(config),
        request.config_hash,
        _json(strategies),
        BROKER,
        request.rules.limits.profile,
    )


def instruments_of(started: SessionStarted) -> list[str]:
    """Return the instruments that a session subscribed to."""
    return list(msgspec.json.decode(started.config).get(INSTRUMENTS, []))


def warm_up_of(started: SessionStarted) -> tuple[Range, ...]:
    """Return the ranges that a session's strategies were fed before it began."""
    return msgspec.convert(msgspec.json.decode(started.config).get(WARM_UP, []), tuple[Range, ...])


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
