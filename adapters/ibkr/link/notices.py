"""What the broker's numbered messages mean for us: the link, farms, annotations. Pure but for what was said.

A code never changes an order here; what it says of one is kept as a message. Some ask for an act of the
connection, such as another look at the broker's book; doing it is the client's. Codes that come in bunches
are told once in a while.
"""

from typing import Literal

import msgspec

from adapters.ibkr.wire.messages import ErrorMessage
from core.clock import SECOND_NS
from core.events import BrokerMessage, Event, FarmChanged

Act = Literal[
    "",
    "look",  # compare the books again
    "upstream_lost",
    "upstream_back",
    "data_lost",  # back, and subscriptions are gone
    "drop",  # the connection is of no use any more
    "id_in_use",
    "read_only",
    "slower",
    "doubt_data",
    "renew_data",
    "competing",
]

_FARMS: dict[int, tuple[Literal["market", "historical", "definitions"], bool]] = {
    2103: ("market", False),
    2104: ("market", True),
    2105: ("historical", False),
    2106: ("historical", True),
    2107: ("historical", True),
    2108: ("market", True),
    2157: ("definitions", False),
    2158: ("definitions", True),
}
"""2107 and 2108 call a farm inactive that wakes when it is asked: no fault."""
_UPSTREAM: dict[int, Act] = {
    1100: "upstream_lost",
    2110: "upstream_lost",
    1101: "data_lost",
    1102: "upstream_back",
}
_LOOK_AGAIN = {
    103: "103: duplicate order id",
    10147: "10147: an order to cancel was not found",
    10148: "10148: an order could not be cancelled",
    161: "161: an order could not be cancelled",
}
_DROP = {
    502: "the gateway could not be reached (502)",
    504: "the gateway says that we are not connected (504)",
    507: "the gateway could not read our stream (507): out of step, or another client with this id",
    508: "the gateway could not read our stream (508)",
    1300: "the gateway's port was changed (1300)",
}
_REMEDIES = {
    100: "more than 50 messages in a second: the pace is halved from now on",
    326: "the client id is in use: end the other program with this id, or restart TWS or IB Gateway; the "
    "same id is tried again, because order ids and the right to cancel belong to it",
    10197: "another session of this login has the market data: log out there, or use a second user for this "
    "program; the data are asked for again each minute",
}
_READ_ONLY = (
    'the API is read-only: untick "Read-Only API" in the API settings of TWS or IB Gateway and restart this '
    "session; until then nothing is ordered"
)
_ONCE_NS = 60 * SECOND_NS
_BUNCHES = frozenset((100, 10197))


class Meaning(msgspec.Struct, frozen=True):
    """What a message leads to: events, an act of the connection, and why."""

    events: list[Event]
    act: Act = ""
    why: str = ""


class Notices:
    """Reads messages of one session; remembers which farms are lost and what was told lately."""

    def __init__(self) -> None:
        self._lost_farms: set[tuple[str, str]] = set()
        self._told_ns: dict[int, int] = {}
        self._farms_ns = 0  # when a farm was last lost or back
        self.pacing_violations = 0

    def opened(self) -> None:
        """Forget the farms: a new connection begins with its own notices."""
        self._lost_farms.clear()
        self._farms_ns = 0

    def farms_well(self, now_ns: int, for_s: float) -> bool:
        """Return whether no data farm is lost, nor was one within so many seconds."""
        return not self._lost_farms and (not self._farms_ns or now_ns - self._farms_ns >= for_s * SECOND_NS)

    def meaning(self, said: ErrorMessage, order: str, instrument: str, ts: int, now_ns: int) -> Meaning:
        """Return what a message means, given the order or instrument that its id stands for."""
        text = f"{said.text} {said.advanced}".strip()
        if said.code in _UPSTREAM:
            return Meaning([], _UPSTREAM[said.code], text)
        if said.code in _FARMS:
            return self._farm(said.code, text, ts, now_ns)
        if said.code == 321 and "read-only" in text.lower():
            return Meaning([], "read_only", f"{_READ_ONLY} ({text})")
        if said.code == 326:
            return Meaning([], "id_in_use", f"{_REMEDIES[326]} ({text})")
        if said.code in _BUNCHES:
            return self._bunch(said, text, instrument, ts, now_ns)
        if said.code in _DROP:
            told = BrokerMessage(ts, said.code, "error", text, order, instrument)
            return Meaning([told], "drop", _DROP[said.code])
        again = _LOOK_AGAIN.get(said.code, "")
        message = BrokerMessage(ts, said.code, _severity(said, order, instrument), text, order, instrument)
        return Meaning([message], "look" if again else "", again)

    def _farm(self, code: int, text: str, ts: int, now_ns: int) -> Meaning:
        kind, up = _FARMS[code]
        farm = text.rpartition(":")[2].strip() or kind
        was_lost = (kind, farm) in self._lost_farms
        event = FarmChanged(ts, farm, kind, up, code)
        if not up or was_lost:
            self._farms_ns = now_ns
        if not up:
            self._lost_farms.add((kind, farm))
            return Meaning([event], "doubt_data" if kind == "market" else "", f"the data farm {farm} is lost")
        self._lost_farms.discard((kind, farm))
        return Meaning([event], "renew_data" if was_lost and kind == "market" else "")

    def _bunch(self, said: ErrorMessage, text: str, instrument: str, ts: int, now_ns: int) -> Meaning:
        act: Act = "slower" if said.code == 100 else "competing"
        self.pacing_violations += said.code == 100
        told = self._told_ns.get(said.code)
        if told is not None and now_ns - told < _ONCE_NS:
            return Meaning([], act)
        self._told_ns[said.code] = now_ns
        remedy = f"{text} ({_REMEDIES[said.code]})"
        return Meaning([BrokerMessage(ts, said.code, "error", remedy, "", instrument)], act)


def is_cut(code: int) -> bool:
    """Return whether a code says that market data may be missing from before it on."""
    return _UPSTREAM.get(code) == "upstream_lost" or _FARMS.get(code) == ("market", False)


def _severity(said: ErrorMessage, order: str, instrument: str) -> Literal["info", "warning", "error"]:
    if 2100 <= said.code < 2200 or said.code == 202:
        return "info"
    return "error" if said.req_id is not None and not order and not instrument else "warning"
