"""The acts of a fault script: what the gateway does wrong, on purpose, when a fault is due.

Acts on connections set flags that the server heeds; acts on messages are distortions that sit in a client's
way out; acts on the session change what it says. Every act has a test that sees it on the wire.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

from adapters.ibkr.gateway import distortions
from adapters.ibkr.gateway.clients import Client, Distortion
from adapters.ibkr.gateway.contracts import Contracts
from adapters.ibkr.gateway.datarequests import DataRequests
from adapters.ibkr.gateway.faults import Fault
from adapters.ibkr.gateway.feeds import Feeds
from adapters.ibkr.gateway.market import Market
from adapters.ibkr.gateway.times import span_ns
from adapters.ibkr.gateway.trading import Trading
from adapters.ibkr.gateway.wire import message
from core.clock import SECOND_NS

_TEXTS = {
    100: "Max rate of messages per second has been exceeded:max=50 rec=51",
    103: "Duplicate order id",
    104: "Cannot modify a filled order.",
    201: "Order rejected - reason:simulated",
    321: "Error validating request.-'bX' : cause - The API interface is currently in Read-Only mode.",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    399: "Order Message:\nBUY 1\nWarning: your order will not be placed at the exchange until the open",
    404: "Order held while securities are located",
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    10147: "OrderId that needs to be cancelled is not found.",
    10148: "OrderId that needs to be cancelled cannot be cancelled, state: Filled.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.",
    10197: "No market data during competing live session",
    10349: "Order TIF was set to DAY based on order preset.",
}
_EARLY = frozenset({"swap", "drop", "repeat", "late", "alter", "refuse", "split", "coalesce", "cut"})
"""Acts that must be in place before the request is processed that they are tied to."""
_INSIDE_BYTES = 9  # less than any tick takes: what is cut off is part of a message


class Victim(Protocol):
    """The session that the acts are done to."""

    market: Market
    trading: Trading
    feeds: Feeds
    data: DataRequests
    contracts: Contracts
    clients: list[Client]
    skew_ns: int
    ids_back: int

    def ready(self) -> list[Client]:
        """Return the clients that may be told of things."""

    def disconnect(self, client: Client) -> None:
        """Forget a connection."""

    def error(self, client: Client, req_id: int, code: int, text: str) -> None:
        """Tell a client of an error or notice."""

    def halt(self, instrument: str, *, on: bool) -> None:
        """Halt or resume an instrument."""


class Mischief:
    """Does what a script says."""

    def __init__(self, session: Victim) -> None:
        self._session = session
        self._restart_s: float | None = None
        self._freeze_s: float | None = None
        self._acts: dict[str, Callable[[dict[str, Any], Client | None, int], None]] = {
            "close": self._close,
            "reset": self._reset,
            "mute": self._mute,
            "freeze": self._freeze,
            "deaf": self._deaf,
            "split": self._split,
            "coalesce": self._coalesce,
            "burst": self._burst,
            "cut": self._cut,
            "garbage": self._garbage,
            "error": self._error,
            "refuse": self._refuse,
            "notices": self._notices,
            "ids": self._ids,
            "outage": self._outage,
            "run": lambda options, _client, _id: self._run(options["span"]),
            "restart": self._restart,
            "skew": self._skew,
            "halt": self._halt,
            "no_quote": self._no_quote,
            "delayed": self._delayed,
            "unset": self._unset,
            "pace": self._pace,
            "version": self._version,
            "swap": self._swap,
            "drop": self._drop,
            "repeat": self._repeat,
            "late": self._late,
            "alter": self._alter,
            "correct": self._correct,
            "fill_after_cancel": self._fill_after_cancel,
            "fork": lambda _options, _client, _id: None,
        }

    # -- when ----------------------------------------------------------------------------------

    def before(self, due: list[Fault], client: Client, order_id: int) -> bool:
        """Do what comes before a request is processed; return whether it is not to be processed at all."""
        stopped = False
        for fault in due:
            if fault.do in _EARLY:
                self.act(fault, client, order_id)
            unprocessed = fault.do == "reset" and not fault.options["processed"]
            if unprocessed:
                self.act(fault, client, order_id)
            stopped = stopped or unprocessed or fault.do == "refuse"
        return stopped

    def after(self, due: list[Fault], client: Client, order_id: int) -> None:
        """Do what comes after a request was processed."""
        for fault in due:
            if fault.do not in _EARLY:
                self.act(fault, client, order_id)

    def act(self, fault: Fault, client: Client | None, order_id: int) -> None:
        """Do one act; without a client it concerns all that are ready."""
        self._acts[fault.do](fault.options, client, order_id)

    def _each(self, client: Client | None) -> list[Client]:
        return [client] if client is not None else self._session.ready()

    def take_restart(self) -> float | None:
        """Return the pause of a restart that is due, once."""
        found, self._restart_s = self._restart_s, None
        return found

    def take_freeze(self) -> float | None:
        """Return the length of a freeze that is due, once."""
        found, self._freeze_s = self._freeze_s, None
        return found

    # -- connections ---------------------------------------------------------------------------

    def _close(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.closing = True
            if options["run"]:
                self._session.disconnect(each)
        self._run(options["run"])

    def _reset(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.reset = each.muted = True
            if options["run"]:
                self._session.disconnect(each)
        self._run(options["run"])

    def _mute(self, _options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.muted = True

    def _freeze(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        self._freeze_s = options["seconds"]

    def _deaf(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.deaf_s = options["seconds"]

    def _split(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.piece, each.pause_s = max(1, options["bytes"]), options["pause"]

    def _coalesce(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.coalescing = options["frames"]

    def _burst(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            size = options["bytes"]
            data = burst(each, size + (_INSIDE_BYTES if options["inside"] else 0))
            each.bursts.append((data[:size], options["quiet"]))
            if options["inside"]:
                each.bursts.append((data[size:], 0.0))

    def _cut(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.distortions.insert(0, distortions.cut(options["bytes"]))

    def _garbage(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            if options["kind"] == "number":
                each.write(message([9, 1, "not a number"]))
            elif options["kind"] == "truncated":
                each.write(message([1, 6, 1]))
            else:
                each.write(b"\xff\xff\xff\xff garbage")

    # -- the session ---------------------------------------------------------------------------

    def _error(self, options: dict[str, Any], client: Client | None, order_id: int) -> None:
        about = order_id if options["about"] == "order" else _number(options["about"])
        for each in self._each(client):
            self._session.error(
                each, about, options["code"], options["text"] or _TEXTS.get(options["code"], "")
            )

    def _refuse(self, options: dict[str, Any], client: Client | None, order_id: int) -> None:
        text = options["text"] or _TEXTS.get(options["code"], "")
        for each in self._each(client):
            self._session.error(each, order_id, options["code"], text)
            if order_id < 0:
                each.closing = True

    def _notices(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            for code in (int(part) for part in options["codes"].split(",")):
                self._session.error(each, -1, code, _TEXTS.get(code, "notice"))

    def _ids(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        self._session.ids_back = options["back"]

    def _outage(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        """Lose the connection to IB while the socket stays; the day goes on for `run`, then it comes back."""
        affected = self._each(client)

        lost = distortions.TICKS if options["deliver"] else distortions.TICKS | distortions.ORDERS
        silence = distortions.silence(lost)
        for each in affected:
            self._session.error(each, -1, 1100, _TEXTS[1100])
            each.distortions.insert(0, silence)
        self._run(options["run"])
        if not options["end"]:
            return
        for each in affected:
            each.distortions.remove(silence)
            if options["end"] == 1101:
                self._session.feeds.drop(each)
            self._session.error(each, -1, options["end"], _TEXTS.get(options["end"], ""))

    def _run(self, span: str) -> None:
        if span:
            self._session.market.start()
            self._session.market.advance(span_ns(span))

    def _restart(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        self._restart_s = options["seconds"]
        self._session.ids_back = options["back"]
        for each in list(self._session.clients):
            each.closing = True
        self._run(options["run"])

    def _skew(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        self._session.skew_ns = int(options["seconds"] * SECOND_NS)

    def _halt(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        for instrument in self._instruments(options["instrument"]):
            self._session.halt(instrument, on=options["on"])

    def _instruments(self, name: str) -> list[str]:
        return [name] if name else sorted(self._session.contracts.by_instrument)

    def _no_quote(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        wanted = self._instruments(options["instrument"])
        for each in self._each(client):
            for stream in self._session.feeds.streams(each):
                if stream.instrument in wanted:
                    for kind in (1, 2):
                        stream.shown[kind] = (-1.0, 0.0)
                        each.post([1, 6, stream.req_id, kind, -1, 0, 0])

    def _delayed(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        self._session.data.forced_type = options["type"]

    def _pace(self, _options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            self._session.error(each, -1, 100, _TEXTS[100])
            each.closing = True

    def _version(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        for each in self._each(client):
            each.version = options["to"]

    # -- messages ------------------------------------------------------------------------------

    def _distort(self, client: Client | None, make: Callable[[], Distortion]) -> None:
        for each in self._each(client):
            each.distortions.append(make())

    def _unset(self, _options: dict[str, Any], client: Client | None, _id: int) -> None:
        self._distort(client, lambda: distortions.unset)

    def _swap(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        held = frozenset(options["hold"].split(","))
        self._distort(client, lambda: distortions.swap(held, options["until"]))

    def _drop(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        self._distort(client, lambda: distortions.drop(options["message"], options["count"]))

    def _repeat(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        message_, count, times = options["message"], options["count"], options["times"]
        self._distort(client, lambda: distortions.repeat(message_, count, times))

    def _alter(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        message_, at, value = options["message"], options["field"], options["value"]
        self._distort(client, lambda: distortions.alter(message_, at, value))

    def _late(self, options: dict[str, Any], client: Client | None, _id: int) -> None:
        self._distort(client, lambda: distortions.late(options["message"], options["behind"]))

    # -- orders --------------------------------------------------------------------------------

    def _correct(self, options: dict[str, Any], _client: Client | None, _id: int) -> None:
        executions = self._session.trading.book.executions()
        if executions:
            last = max(executions, key=lambda execution: execution.exec_id)
            self._session.trading.correct(last.exec_id, last.price + Decimal(options["by"]))

    def _fill_after_cancel(self, _options: dict[str, Any], client: Client | None, order_id: int) -> None:
        """Say that an order is cancelled while the engine still has it: it may fill later."""
        for each in self._each(client):
            held = self._session.trading.book.find(each.id, order_id)
            if held is not None:
                _, status = self._session.trading.telling.order_frames(held, each.version)
                each.post([status[0], status[1], "Cancelled", *status[3:]])
                self._session.error(each, order_id, 202, "Order Canceled - reason:")


def burst(client: Client, size: int) -> bytes:
    """Return tick frames of exactly `size` bytes together, for the client's first stream."""
    streams = [stream for stream in client.streams.values() if stream.kind == "ticks"]
    req_id = streams[0].req_id if streams else 1
    one = message([2, 6, req_id, 8, 100])
    frames = [one] * (size // len(one))
    while True:
        short = size - sum(len(each) for each in frames)
        if short == 0:
            return b"".join(frames)
        tail = message([46, 6, req_id, 45, ""])
        if short >= len(tail):
            frames.append(message([46, 6, req_id, 45, "1" * (short - len(tail))]))
        else:
            frames.pop()


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdecimal() else -1
