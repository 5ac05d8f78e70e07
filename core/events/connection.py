"""The connection to a broker: what it is, what it says, and which market data it brings.

Each change is an event before anything depends on it, so that a replay needs no broker.
"""

from typing import Literal

from core.events.base import Event, event

LinkState = Literal[
    "connecting",
    "up",
    "down",
    "upstream_down",
    "upstream_up",
    "data_lost",
    "given_up",
    "wedged",
    "id_in_use",
    "restart_window",
    "overdue",
    "read_only",
    "refused",
]
DataState = Literal["live", "delayed", "stale", "refused", "left_out", "ended"]
GapState = Literal["found", "filled", "failed"]
Severity = Literal["info", "warning", "error"]


@event("connection", "broker")
class ConnectionChanged(Event, frozen=True, gc=False):
    """The link to the broker changed.

    `up` and `down` are our connection to TWS or Gateway; `upstream_down` and `upstream_up` are its own to
    the exchanges' side (codes 1100, 2110 and 1102), `data_lost` is the latter with subscriptions gone (1101).
    `connecting` is an attempt that failed with another to follow, `wedged` one that was taken and not
    answered, `id_in_use` one whose client id is taken (326). `overdue` says that all this lasts too long,
    `given_up` follows the last allowed attempt. In the `restart_window` orders wait though the link may be
    there; with a `read_only` API (321), or while another program has our client id and the session looks on
    under another one (326), they cannot leave at all; an account that is not the session's is `refused`.
    `attempt` counts the attempts since the link was last usable.
    """

    state: LinkState
    code: int | None = None
    reason: str = ""
    attempt: int = 0


@event("farm", "broker")
class FarmChanged(Event, frozen=True, gc=False):
    """A data farm of the broker was reached or lost; orders do not depend on it."""

    farm: str
    kind: Literal["market", "historical", "definitions"]
    up: bool
    code: int


@event("broker_session", "broker")
class BrokerSessionOpened(Event, frozen=True, gc=False):
    """A connection is ready for use; `next_order_id` is what the broker named, `accounts` what it manages.

    `capabilities` is canonical JSON: distribution and version of the client library, and its signatures.
    """

    server_version: int
    client_id: int
    accounts: str
    next_order_id: int
    skew_ms: int | None
    capabilities: str


@event("clock_skew", "broker")
class ClockSkewMeasured(Event, frozen=True, gc=False):
    """How far the broker's clock is ahead of ours: at the start of a connection, and when it has moved.

    Measured half-way of the round trip of a request for the time; `excessive` if it is more than allowed.
    """

    skew_ms: int
    round_trip_ms: int
    excessive: bool


@event("broker_message", "broker")
class BrokerMessage(Event, frozen=True, gc=False):
    """A numbered message of the broker: an annotation. An order's status never follows from it alone.

    Code 0 is ours: it tells of what the broker did not say, such as the steps of an instrument's prices.
    """

    code: int
    severity: Severity
    text: str
    order: str = ""
    instrument: str = ""


@event("frame_rejected", "broker")
class FrameRejected(Event, frozen=True, gc=False):
    """A frame that could not be decoded, kept as it came (hexadecimal); the stream went on after it."""

    message_id: int | None
    reason: str
    frame: str


@event("data_state", "broker")
class DataStateChanged(Event, frozen=True, gc=False):
    """What becomes of an instrument's market data. Entries need `live` (or `delayed`, if that is allowed)."""

    instrument: str
    state: DataState
    reason: str = ""


@event("data_gap", "broker")
class DataGapChanged(Event, frozen=True, gc=False):
    """A span of an instrument's market data that a session did not hear: `begin`..`end` (ns UTC).

    `found` once data come again: `reason` says why nothing was heard. Then the broker's history is asked, and
    for each feed of bars follows `filled`, with the number of `late_bar` events (`rows`) before it and the
    span that they were asked for, or `failed` with the reason: what is missing then stays so.
    """

    instrument: str
    state: GapState
    begin: int
    end: int
    feed: str = ""
    rows: int = 0
    reason: str = ""


@event("late_bar", "broker")
class LateBarReported(Event, frozen=True, gc=False, array_like=True):
    """A bar of what was traded while a session did not hear of it, from the broker's history.

    `feed` is that of the live bars whose place it takes. `told`: strategies that hear of these bars are told
    of it, late, and cannot order meanwhile; otherwise nobody makes such bars, or a younger one was told
    before it. Prices and matching never follow from it.
    """

    start: int
    feed: str
    instrument: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    told: bool


@event("clock", "timer")
class ClockAdvanced(Event, frozen=True, gc=False):
    """It is `ts`, with nothing else to say: something is due and no other input brought the time."""
