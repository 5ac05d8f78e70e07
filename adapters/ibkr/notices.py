"""What the broker's numbered messages mean for us: the link, farms, annotations. Pure.

A code never changes an order here; what it says of one is kept as a message. Some ask for another look at
the broker's book.
"""

from adapters.ibkr.messages import ErrorMessage
from core.events import BrokerMessage, ConnectionChanged, Event, FarmChanged

_LINK = {1100: "upstream_down", 1101: "data_lost", 1102: "upstream_up", 2110: "upstream_down"}
_FARMS = {
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
_LOOK_AGAIN = {
    1101: "1101: connection restored, data lost",
    1102: "1102: connection restored",
    103: "103: duplicate order id",
    10147: "10147: an order to cancel was not found",
    10148: "10148: an order could not be cancelled",
    161: "161: an order could not be cancelled",
}


def meaning(said: ErrorMessage, order: str, instrument: str, ts: int) -> tuple[list[Event], str]:
    """Return the events of a message, and why the broker's book is to be looked at again ("" for not)."""
    text = f"{said.text} {said.advanced}".strip()
    again = _LOOK_AGAIN.get(said.code, "")
    if said.code in _LINK:
        return [ConnectionChanged(ts, _LINK[said.code], said.code, text)], again  # type: ignore[arg-type]
    if said.code in _FARMS:
        kind, up = _FARMS[said.code]
        farm = text.rpartition(":")[2].strip() or kind
        return [FarmChanged(ts, farm, kind, up, said.code)], again  # type: ignore[arg-type]
    severity = "info" if 2100 <= said.code < 2200 or said.code == 202 else "warning"
    if said.req_id is not None and not order and not instrument:
        severity = "error"
    return [BrokerMessage(ts, said.code, severity, text, order, instrument)], again  # type: ignore[arg-type]
