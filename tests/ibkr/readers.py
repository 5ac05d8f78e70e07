"""Two ways to read the same session, ours and the official client's, told as (kind, request) pairs."""

import threading
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector

from ibapi.client import EClient
from ibapi.wrapper import EWrapper

from adapters.ibkr.wire.codec import open_session
from adapters.ibkr.wire.messages import CurrentTime
from adapters.ibkr.wire.ticks import TickPrice

LAST_WORD_S = 4_102_444_800
"""The time that a script sends as its last word."""


def read_ours(port: int, paused: Callable[[], None]) -> list[str]:
    """Return the messages in order until the last word or a long silence."""
    transport, codec = open_session("127.0.0.1", port, 7)
    heard = []
    with transport, DefaultSelector() as selector:
        selector.register(transport, EVENT_READ)
        frames = transport.read()
        while True:
            for message in codec.decode(frames):
                match message:
                    case CurrentTime(time_ms=time_ms) if time_ms == LAST_WORD_S * 1000:
                        return heard
                    case TickPrice():
                        heard.append("tick")
                    case _:
                        heard.append(type(message).__name__)
            if not selector.select(0.05):
                paused()
                if not selector.select(60):
                    return heard
            frames = transport.read()


def read_officially(port: int, paused: Callable[[], None]) -> list[str]:
    """Do the same with the official client, its reader thread and its loop."""
    wrapper = _Wrapper()
    client = _Client(wrapper)
    client.paused = paused
    client.connect("127.0.0.1", port, 7)
    loop = threading.Thread(target=client.run, daemon=True)
    loop.start()
    wrapper.last_word.wait(3)  # its reads time out after one second
    client.disconnect()
    loop.join(60)
    client.official_reader.join(60)
    return wrapper.heard


class _Wrapper(EWrapper):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.last_word = threading.Event()

    def tickPrice(self, reqId, tickType, price, attrib):  # noqa: N802, N803
        self.heard.append("tick")

    def currentTime(self, time):  # noqa: N802
        if time == LAST_WORD_S:
            self.last_word.set()
        else:
            self.heard.append("CurrentTime")


class _Client(EClient):
    """The official client; only tells when its reader has come back from a read that timed out."""

    paused: Callable[[], None]

    def startApi(self):  # noqa: N802
        receive, self.official_reader = self.conn.recvMsg, self.reader

        def receive_and_tell():
            data = receive()
            if not data:
                self.paused()
            return data

        self.conn.recvMsg = receive_and_tell
        super().startApi()
