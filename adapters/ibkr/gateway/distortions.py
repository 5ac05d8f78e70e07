"""What a fault may do to messages on their way out: hold, drop, repeat, alter, cut. Pure, one client each.

Each function makes a `Distortion` with a memory of its own; one that has done its work takes itself out
of its client's way. Knows messages by name and fields by place, nothing of orders.
"""

from collections.abc import Callable, Sequence

from adapters.ibkr.gateway.clients import Client, Distortion
from adapters.ibkr.gateway.wire import UNSET_DOUBLE, Value, message

Fields = Sequence[Value]
TICKS = frozenset(
    {
        "tickPrice",
        "tickSize",
        "tickString",
        "tickGeneric",
        "tickByTick",
        "historicalDataUpdate",
        "realtimeBar",
    }
)
ORDERS = frozenset(
    {
        "openOrder",
        "orderStatus",
        "execDetails",
        "commissionReport",
        "position",
        "portfolio",
        "accountValue",
    }
)
_UNSET_AT = {
    "commissionReport": (5, 6),
    "pnl": (2, 3, 4),
    "pnlSingle": (3, 4, 5, 6),
    "portfolio": (17, 18),
}


def silence(names: frozenset[str]) -> Distortion:
    """Send no message of these names."""
    return lambda _client, name, _fields: [] if name in names else None


def cut(size: int) -> Distortion:
    """End the next message after `size` bytes, and the connection with it."""

    def distort(client: Client, _name: str, fields: Fields) -> list[Fields]:
        client.write(message(fields)[:size])
        client.closing = client.muted = True
        return []

    return distort


def unset(_client: Client, name: str, fields: Fields) -> list[Fields] | None:
    """Write "unset" where profits stand."""
    at = _UNSET_AT.get(name)
    if at is None:
        return None
    return [[UNSET_DOUBLE if index in at else value for index, value in enumerate(fields)]]


def swap(held_names: frozenset[str], until: str) -> Distortion:
    """Hold messages of some names back until another one has gone."""
    held: list[Fields] = []

    def distort(client: Client, name: str, fields: Fields) -> list[Fields] | None:
        if name == until:
            client.distortions.remove(distort)
            return [fields, *held]
        if name in held_names:
            held.append(fields)
            return []
        return None

    return distort


def some(wanted: str, count: int, change: Callable[[Fields], list[Fields]]) -> Distortion:
    """Change the next `count` messages of a name."""
    left = count

    def distort(client: Client, name: str, fields: Fields) -> list[Fields] | None:
        nonlocal left
        if name != wanted:
            return None
        left -= 1
        if not left:
            client.distortions.remove(distort)
        return change(fields)

    return distort


def drop(wanted: str, count: int) -> Distortion:
    """Leave out the next messages of a name."""
    return some(wanted, count, lambda _fields: [])


def repeat(wanted: str, count: int, times: int) -> Distortion:
    """Send the next messages of a name several times."""
    return some(wanted, count, lambda fields: [fields] * times)


def alter(wanted: str, at: int, value: str) -> Distortion:
    """Replace one field of the next message of a name."""
    return some(wanted, 1, lambda fields: [[*fields[:at], value, *fields[at + 1 :]]])


def late(wanted: str, behind: int) -> Distortion:
    """Send the next message of a name behind a number of others."""
    held: list[Fields] = []
    left = behind

    def distort(client: Client, name: str, fields: Fields) -> list[Fields] | None:
        nonlocal left
        if not held:
            if name == wanted:
                held.append(fields)
                return []
            return None
        left -= 1
        if left > 0:
            return None
        client.distortions.remove(distort)
        return [fields, *held]

    return distort
