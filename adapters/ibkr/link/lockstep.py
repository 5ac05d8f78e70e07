"""Lock step: a simulated gateway whose day stands still until it is asked for the time.

Owns the clock of such a session, which is the gateway's, and the request that lets its next event happen. It
sends nothing else, and reads messages only for the time that they tell.
"""

from collections.abc import Callable
from typing import Protocol

from adapters.ibkr.wire.codec import Codec
from adapters.ibkr.wire.messages import CurrentTime, Message
from core.clock import SECOND_NS
from core.errors import BrokerError, ConnectionLost

_MS = 1_000_000
_TIME, _OVER = b"109\0", b"\0over\0"
"""How an answer with the gateway's time begins, and how it ends when nothing is left of its day."""


class Wire(Protocol):
    """The connection to the gateway."""

    @property
    def codec(self) -> Codec:
        """The codec of the connection."""

    def send(self, data: bytes) -> None:
        """Hand bytes to the connection; raises `WriteFailed`."""

    def turn(self, timeout_s: float) -> list[bytes]:
        """Wait at most so long for bytes and return the frames that are complete."""


class LockStep:
    """The gateway's day as far as it was let go on; `now_ns` is its time."""

    def __init__(self, start_ns: int, deadline_s: float, monotonic: Callable[[], int]) -> None:
        self.now_ns = start_ns
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._acted = False  # something was sent since the last step
        self._in_step = False  # our clock is the gateway's since the connection began
        self._known = True  # whether the day can have gone on without us
        self._asked = False
        self._ended = False  # the gateway has said that its day is over
        self._waiting = self._passed = self._stood = False

    def acted(self) -> None:
        """Note that something was sent: it is answered before anything else happens, as in a replay."""
        self._acted = True

    def told(self, time_ms: int) -> None:
        """Take a time that the gateway told."""
        self.now_ns = max(self.now_ns, time_ms * _MS)
        self._known = True

    def dropped(self) -> None:
        """Note that the connection has ended: the day may go on without us."""
        self._in_step = self._known = self._asked = False

    def knows_time(self, wire: Wire) -> bool:
        """Return whether the gateway's time is known; on a connection after the first it is asked for."""
        if not self._known and not self._asked:
            self._asked = True
            wire.send(wire.codec.requests.req_step(self.now_ns))  # nothing happens up to a time that was
        return self._known

    def step(self, wire: Wire, due_ns: int) -> tuple[list[Message], BrokerError | None]:
        """Let the next event up to `due_ns` happen; return what was said of it, and what broke meanwhile.

        All messages up to the gateway's answer belong to the event.
        """
        fault: BrokerError | None = None
        messages: list[Message] = []
        self._waiting, self._acted, self._ended = self._acted, False, False
        until = self.now_ns if self._waiting else due_ns
        try:
            self._ask(wire, until, messages)
        except BrokerError as error:
            # What came before the fault has happened all the same.
            fault = error
            messages += wire.codec.decode(getattr(error, "frames", ()))
        before = self.now_ns
        told = [message.time_ms for message in messages if isinstance(message, CurrentTime)]
        for time_ms in told:
            self.told(time_ms)
        # Nothing was left to happen up to there. Its time alone does not say so: a fault may let the day run.
        self._passed = self._in_step and self._ended and self.now_ns > until
        self._in_step = bool(told)
        if 0 <= until - self.now_ns < _MS:
            self.now_ns = until  # the answer is in ms
        self._stood = self.now_ns == before and until > before
        return messages, fault

    def _ask(self, wire: Wire, until: int, messages: list[Message]) -> None:
        codec = wire.codec
        wire.send(codec.requests.req_step(until))
        deadline = self._monotonic() + round(self._deadline_s * SECOND_NS)
        while not any(isinstance(message, CurrentTime) for message in messages):
            frames = wire.turn(min(1.0, self._deadline_s))
            self._ended |= any(frame.startswith(_TIME) and frame.endswith(_OVER) for frame in frames)
            messages += codec.decode(frames)
            if self._monotonic() > deadline:
                raise ConnectionLost(f"no step of the gateway within {self._deadline_s:g} s")

    def over(self, *, quiet: bool) -> bool:
        """Return whether the day is over: the last step waited for nothing, and nothing is left to come.

        `quiet`: the last step told of no event.
        """
        return not self._waiting and (self._passed or (quiet and self._stood))
