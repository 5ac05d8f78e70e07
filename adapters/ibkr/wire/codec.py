"""A session's two directions: requests to bytes, frames to messages, at the version agreed on.

Owns the choice of `ibapi` and the order of the first steps. It holds no socket and keeps no state of
orders or data; who reads, sends and records is elsewhere.
"""

from collections.abc import Iterable

from adapters.ibkr.wire.decoder import Decoder
from adapters.ibkr.wire.distribution import Installation, installed
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import Message
from adapters.ibkr.wire.transport import Tap, TimeLimits, Transport


class Codec:
    """Encodes with `codec.requests.…`, decodes with `codec.decode(frames)`."""

    def __init__(self, installation: Installation, server_version: int) -> None:
        self.installation = installation
        self.server_version = server_version
        self.requests = Encoder(installation, server_version)
        self._decoder = Decoder(installation, server_version)

    def decode(self, frames: Iterable[bytes]) -> list[Message]:
        """Return what the frames say, in order; a frame that says nothing readable is a `BadFrame`."""
        return self._decoder.decode(frames)


def open_session(
    host: str,
    port: int,
    client_id: int,
    *,
    limits: TimeLimits = TimeLimits(),  # noqa: B008
    tap: Tap | None = None,
) -> tuple[Transport, Codec]:
    """Check `ibapi`, connect, agree on a version, start the API; return the connection and its codec.

    Accounts and the next valid id come afterwards, as messages. Raises `BrokerLibraryUnusable` before
    anything is sent, `BrokerUnreachable`, `HandshakeFailed` or `WriteFailed`.
    """
    installation = installed()
    transport = Transport.open(host, port, limits=limits, tap=tap)
    try:
        codec = Codec(installation, transport.greeting.server_version)
        transport.send(codec.requests.start_api(client_id))
    except BaseException:
        transport.close()
        raise
    return transport, codec
