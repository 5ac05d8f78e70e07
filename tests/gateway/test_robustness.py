"""Whatever a client sends, the gateway answers or hangs up; it never ends, and no other client notices."""

from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.ibkr.gateway import wire
from adapters.ibkr.gateway.clients import Client
from tests.conftest import examples
from tests.gateway.inside import Inside
from tests.gateway.raw import ZVXA, Raw, connected, frame

FIELD = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "11", "ZVXA", "STK", "SMART", "USD", "BUY", "MKT", "TRADES", "1 D"]),
    st.sampled_from(["1 min", "2147483647", "1.7976931348623157e+308", "20250702-14:00:00", "AllLast", "x"]),
    st.integers(-3, 10**12).map(str),
    st.text("abc;:.- \u00e9", max_size=8),
)


@pytest.fixture(scope="module")
def session(ib_gateway_log, tmp_path_factory):
    from app.gateway.opening import open_gateway  # noqa: PLC0415
    from app.gateway.request import GatewayRequest  # noqa: PLC0415

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


class Template(Inside):
    """Notes what a client would send instead of sending it."""

    def write(self, data):
        self.sent.append(data[4:-1].decode().split("\0"))


@cache
def requests_of(session, version):
    """Return one sound request of each kind, as fields."""
    raw = Template(session)
    raw.sent, raw.version = [], version
    raw.place(1, "BUY", 10, "LMT", 50)
    raw.place(2, "SELL", 10, "STP", aux=50)
    raw.place(3, "SELL", 10, "TRAIL", aux=1)
    raw.place(4, "BUY", 10, "LMT", 50, tif="GTD", good_till="20250702 15:00:00 UTC")
    raw.place(5, what_if=1)
    raw.place(6, "BUY", 10, "LMT", 50, oca="g", oca_type=1)
    raw.place(7, "SELL", 1, "LMT", 90, parent=6)
    raw.place(1, "BUY", 10, "LMT", 51)
    raw.cancel(1)
    raw.subscribe(9)
    bars = [20, 5, *ZVXA, 0, "20250702-14:00:00", "1 min", "1 D", 0, "TRADES", 2, 0, ""]
    past = [96, 5, *ZVXA, 0, "", "20250702 10:00:00 US/Eastern", 10, "TRADES", 0, 0, ""]
    others = [
        [87, 5, *ZVXA, 0, 1, "TRADES", 2],
        [97, 5, *ZVXA, "Last", 0, 0],
        [50, 3, 5, *ZVXA, 5, "BID", 0, ""],
    ]
    account = [[7, 3, 5, 0, "", "", "", "", "", "", 3, 1, "20250702"], [6, 2, 1, "DU1000001"], [91, 26]]
    account += [
        [62, 1, 5, "All", "NetLiquidation"],
        [74, 1, 5, "DU1000001", ""],
        [92, 5, "", ""],
        [81, 5, "ZV"],
    ]
    account += [[94, 5, "", "", 7], [78, 5, "ZVXA", "", "STK", 7], [59, 1, 3], [105, 2_000_000_000], [88, 5]]
    for fields in [bars, past, *others, *account]:
        raw.send(*fields)
    session.disconnect(raw.client)
    return raw.sent


NASTY = st.one_of(
    st.sampled_from(["", "inf", "nan", "-1e999", "1e308", "1e29", "1e-29", "9" * 30, "9" * 5000, "-", "--1"]),
    st.sampled_from(["0", "-1", "1.5", "18446744073709551616", "\u00b2", "\u0663", "x" * 2000, "true"]),
    st.sampled_from(["99991231 23:59:59 UTC", "00010101 00:00:00 Asia/Tokyo", "20250230", "99999 Y"]),
    st.sampled_from(["99999999999999 S", "STP", "OPG", "SELL", "BAG", "ZVXA"]),
)


@pytest.mark.parametrize("version", [157, 200])
@given(data=st.data())
@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_sound_request_with_a_nasty_field_ends_the_session(session, version, data):
    client = started(session, f"v100..{version}")
    sound = st.sampled_from(requests_of(session, version))
    for fields in data.draw(st.lists(sound, min_size=1, max_size=3)):
        bad = list(fields)
        for _ in range(data.draw(st.integers(1, 2))):
            bad[data.draw(st.integers(1, len(bad) - 1))] = data.draw(NASTY)
        session.receive(client, frame(*bad))
    session.turn()
    session.disconnect(client)


@pytest.mark.parametrize("length", ["inf", "9" * 5000, "1e999"])
def test_the_check_catches_a_reader_that_takes_any_number(session, monkeypatch, length):
    monkeypatch.setattr(wire, "whole", lambda shown: int(float(shown)) if "e" in shown else int(shown))
    client = started(session)
    with pytest.raises((OverflowError, ValueError)):
        session.receive(client, frame(51, 1, length))
    session.disconnect(client)


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
