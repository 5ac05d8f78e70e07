"""Each fault of a script as a client sees it on the wire: what observations are, and what they are made of.

An observation is what a client can tell of a fault. Each is made twice: with the script, where it must be
true, and without it, where it must be false; so an observation that would pass on a sound gateway fails.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.gateway.raw import TIMEOUT_S, ZVXA, Raw, connected

Observation = Callable[["Observed"], bool]
_SHORT_S, _LONG_S = 0.25, TIMEOUT_S


class Observations(dict[str, tuple[str, Observation]]):
    """The observations of a module, by name and script."""

    def of(self, script: str) -> Callable[[Observation], Observation]:
        """Return a decorator that adds a function as the observation of a script."""

        def register(function: Observation) -> Observation:
            self[f"{function.__name__}: {script}"] = (script, function)
            return function

        return register


class Observed:
    """A gateway whose time passes only when a test says so: no slow machine ends a fault too early.

    `silence_s` is how long to wait for what a fault holds back, `answer_s` for what it brings: long where it
    must come, short where it must not.
    """

    def __init__(self, gateway: Any, *, faulty: bool) -> None:
        self._gateway = gateway
        self._now = 1000.0
        self.silence_s, self.answer_s = (_SHORT_S, _LONG_S) if faulty else (_LONG_S, _SHORT_S)
        self.port: int = gateway.port
        gateway._server._monotonic = lambda: self._now

    def passes(self, seconds: float) -> None:
        """Let time pass for the gateway."""
        self._now += seconds
        with suppress(BlockingIOError):  # full of such calls: it will wake up
            self._gateway._server._waker.send(b".")


def seen(ib_gateway: Any, script: str, observation: Observation) -> bool:
    """Return whether a gateway with a script shows its fault, once."""
    gateway = ib_gateway(speed="step", start="open", faults=script)
    return observation(Observed(gateway, faulty=True)) and len(gateway.fired) == 1


def seen_without(ib_gateway: Any, observation: Observation) -> bool:
    """Return whether a sound gateway shows what an observation looks for."""
    return observation(Observed(ib_gateway(speed="step", start="open"), faulty=False))


def begin(gateway: Any, client_id: int = 1) -> Raw:
    raw = Raw(gateway.port).greet().start(client_id)
    raw.seek(9)
    for _ in range(3):
        raw.seek(4)
    return raw


def silent(gateway: Observed, raw: Raw) -> bool:
    """Return whether nothing comes for a while."""
    raw.sock.settimeout(gateway.silence_s)
    try:
        raw.read()
    except TimeoutError:
        return True
    finally:
        raw.sock.settimeout(TIMEOUT_S)
    return raw.ended


def awaited(gateway: Observed, raw: Raw, enough: Callable[[bytes], bool] = lambda _data: False) -> bytes:
    """Return the bytes that come until they are enough, the stream ends or nothing comes any more."""
    raw.sock.settimeout(gateway.answer_s)
    data, raw.buffer = raw.buffer, b""
    with suppress(TimeoutError, ConnectionResetError):
        while not enough(data) and (part := raw.sock.recv(65536)):
            data += part
    raw.sock.settimeout(TIMEOUT_S)
    return data


def ends(gateway: Observed, raw: Raw) -> bool:
    """Return whether the stream ends; what came before is among the messages."""
    raw.sock.settimeout(gateway.answer_s)
    try:
        raw.to_end()
    except TimeoutError:
        return False
    return True


def run(raw: Raw, steps: int = 60) -> list[list[str]]:
    """Let the day go on; return what was heard."""
    first = len(raw.messages)
    for _ in range(steps):
        raw.send(105)
        raw.seek(109)
    return [m for m in raw.messages[first:] if m[0] != "109"]


def fill(raw: Raw, order_id: int = 1) -> list[str]:
    """Place a market order, let it fill, and return the names of all order messages in order."""
    names = {"5": "open", "3": "status", "11": "exec", "59": "commission"}
    first = len(raw.messages)
    raw.place(order_id)
    raw.send(1, 11, 90 + order_id, *ZVXA, 0, "", 0, 0, "")
    run(raw, 40)
    return [names[m[0]] for m in raw.messages[first:] if m[0] in names]


def told(raw: Raw) -> list[list[str]]:
    """Return what comes until all is answered or the line ends."""
    first = len(raw.messages)
    with suppress(ConnectionResetError, BrokenPipeError, AssertionError):
        return raw.drain()
    return raw.messages[first:]


def executions(gateway, client_id: int = 2) -> list[list[str]]:
    with connected(gateway.port, client_id) as raw:
        raw.send(7, 3, 5, 0, "", "", "", "", "", "", 2147483647, 0)
        raw.seek(55)
        return [m for m in raw.messages if m[0] == "11"]


def open_orders(gateway, client_id: int = 2) -> list[list[str]]:
    with connected(gateway.port, client_id) as raw:
        raw.send(16, 1)
        raw.seek(53)
        return [m for m in raw.messages if m[0] == "5"]


def codes(messages: list[list[str]]) -> list[str]:
    return [m[2] for m in messages if m[0] == "4"]
