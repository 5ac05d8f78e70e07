"""Whatever a client sends, the gateway answers or hangs up; it never ends, and no other client notices."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.ibkr.gateway.clients import Client
from tests.conftest import examples
from tests.gateway.raw import Raw, connected, frame

FIELD = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "11", "ZVXA", "STK", "SMART", "USD", "BUY", "MKT", "TRADES", "1 D"]),
    st.sampled_from(["1 min", "2147483647", "1.7976931348623157e+308", "20250702-14:00:00", "AllLast", "x"]),
    st.integers(-3, 10**12).map(str),
    st.text("abc;:.- \u00e9", max_size=8),
)


@pytest.fixture(scope="module")
def session(ib_gateway_log, tmp_path_factory):
    from app.gateway import GatewayRequest, open_gateway  # noqa: PLC0415

    book = tmp_path_factory.mktemp("robust") / "book"
    request = GatewayRequest(date="2025-07-02", port=0, speed="step", start="open", book=book)
    with open_gateway(ib_gateway_log, request) as gateway:
        yield gateway.session


def started(session, version: str = "v100..200") -> Client:
    client = session.connect()
    offer = version.encode()
    session.receive(
        client, b"API\0" + len(offer).to_bytes(4, "big") + offer + frame(71, 2, client.number, "")
    )
    assert client.ready
    client.out.clear()
    return client


@pytest.mark.parametrize("version", ["v100..157", "v100..200"])
@given(kind=st.integers(1, 110), fields=st.lists(FIELD, max_size=40))
@settings(
    max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_request_ends_the_session(session, version, kind, fields):
    client = started(session, version)
    session.receive(client, frame(kind, *fields))
    session.turn()
    session.receive(client, frame(49, 1))
    answered = [data for data in client.out if data[4:7] == b"49\0"]
    session.disconnect(client)
    assert answered or client.closing or client.muted


@given(st.binary(max_size=200))
@settings(
    max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_end_the_session(session, data):
    other, client = started(session), started(session)
    session.receive(client, data)
    session.disconnect(client)
    session.receive(other, frame(49, 1))
    session.disconnect(other)
    assert any(answer[4:7] == b"49\0" for answer in other.out)


def test_a_client_that_sends_garbage_disturbs_no_other(ib_gateway):
    port = ib_gateway(speed="step", start="open").port
    with connected(port, 1) as good:
        bad = Raw(port).greet().start(2)
        bad.write(b"\xff\xff\xff\xff")
        assert bad.to_end() != []
        good.send(49, 1)
        assert good.seek(49)


def test_a_client_that_vanishes_leaves_its_orders(ib_gateway):
    port = ib_gateway(speed="step", start="open").port
    raw = Raw(port).greet().start(1)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.seek(3)
    raw.close()
    with connected(port, 2) as other:
        other.send(16, 1)
        assert other.seek(5)[1] == "1"
