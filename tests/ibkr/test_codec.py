"""A session's first steps: the library, the version, the start of the API."""

import socket

import pytest

from adapters.ibkr.wire import codec as opening
from adapters.ibkr.wire.codec import open_session
from adapters.ibkr.wire.messages import ManagedAccounts, NextValidId
from adapters.ibkr.wire.transport import TimeLimits
from core.errors import BrokerLibraryUnusable, HandshakeFailed
from tests.ibkr.servers import frame, greet, hear_end, hear_frame, serving


@pytest.mark.parametrize("version", [163, 176, 200])
def test_a_session_starts_the_api_and_hears_its_accounts_and_next_id(version):
    def script(conn):
        greet(conn, version)
        assert hear_frame(conn) == b"71\x002\x007\x00\x00"
        conn.sendall(frame(15, 1, "DU1") + frame(9, 1, 683))
        hear_end(conn)

    with serving(script) as port:
        transport, codec = open_session("127.0.0.1", port, 7)
        with transport:
            assert codec.server_version == version
            said = []
            while len(said) < 2:
                said += codec.decode(transport.read())
    assert said == [ManagedAccounts(("DU1",)), NextValidId(683)]


def test_a_library_that_may_not_trade_ends_it_before_a_connection(monkeypatch):
    def refused():
        raise BrokerLibraryUnusable("mixed")

    monkeypatch.setattr(opening, "installed", refused)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        with pytest.raises(BrokerLibraryUnusable):
            open_session("127.0.0.1", listener.getsockname()[1], 7)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_connection_is_closed_when_the_first_steps_fail(monkeypatch):
    def unusable(*_):
        raise RuntimeError("no codec")

    monkeypatch.setattr(opening, "Codec", unusable)

    def script(conn):
        greet(conn)
        hear_end(conn)  # ends only if the client closes

    with serving(script) as port, pytest.raises(RuntimeError, match="no codec"):
        open_session("127.0.0.1", port, 7)


def test_a_mute_server_leaves_no_open_connection():
    with serving(hear_end) as port, pytest.raises(HandshakeFailed):
        open_session("127.0.0.1", port, 7, limits=TimeLimits(handshake_s=0.1))
