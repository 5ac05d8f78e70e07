"""What a client sees on the wire: the handshake, errors with IB's codes, contracts."""

import pytest

from tests.gateway.raw import ACCOUNT, ZVXA, Raw, connected

ZVF = ["0", "ZVF", "FUT", "202509", "0", "", "", "CME", "", "USD", "", ""]


# -- handshake ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "answer"), [("v100..200", 200), ("v157..178", 178), ("v100..226", 200), ("v157", 157)]
)
def test_the_lower_of_both_highest_versions_is_spoken(port, offer, answer):
    assert Raw(port).greet(offer).version == answer


def test_the_configured_version_is_the_highest(ib_gateway):
    assert Raw(ib_gateway(server_version=163).port).greet().version == 163


def test_accounts_then_the_next_id_then_notices_follow_the_start(port):
    raw = Raw(port).greet().start(3)
    found = [raw.read() for _ in range(5)]
    assert [m[0] for m in found] == ["15", "9", "4", "4", "4"]
    assert found[0][2] == ACCOUNT
    assert found[1][2] == "1"
    assert [m[2] for m in found[2:]] == ["2104", "2106", "2158"]


def test_nothing_comes_before_the_start(port):
    raw = Raw(port).greet()
    raw.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        raw.read()


def test_a_client_id_in_use_is_refused_with_326(port):
    with connected(port, 5):
        second = Raw(port).greet().start(5)
        assert second.error(326)[0] == "-1"
        assert second.to_end() == []


def test_a_client_id_is_free_again_when_its_client_left(port):
    with connected(port, 5):
        pass
    with connected(port, 5) as again:
        assert again.version == 200


def test_garbage_instead_of_the_protocol_closes_the_connection(port):
    raw = Raw(port)
    raw.write(b"GET / HTTP/1.1\r\n\r\n")
    assert raw.to_end() == []


def test_a_malformed_request_is_answered_and_the_connection_stays(port):
    with connected(port) as raw:
        raw.send(20, "x")
        assert raw.error(321)[2].endswith("reqId: expected an integer, not 'x'")
        raw.send(49, 1)
        assert raw.seek(49)


def test_an_unknown_request_is_answered_with_322(port):
    with connected(port) as raw:
        raw.send(54, 3, 9)
        assert raw.error(322)[0] == "9"


# -- contracts ---------------------------------------------------------------------------------


def test_contract_details_name_the_contract(port):
    with connected(port) as raw:
        raw.send(9, 8, 5, *ZVF, 0, "", "", "")
        found = raw.seek(10)
        assert found[1:6] == ["5", "ZVF", "FUT", "20250919", "20250919"]
        assert raw.seek(52)[2] == "5"


def test_an_unknown_contract_is_error_200(port):
    with connected(port) as raw:
        raw.subscribe(4, ["0", "NONE", *ZVXA[2:]])
        assert raw.error(200)[0] == "4"


def test_an_ambiguous_contract_is_error_200(port):
    with connected(port) as raw:
        raw.place(1, contract=["0", "", "STK", "", "0", "", "", "SMART", "", "USD", "", ""])
        assert raw.error(200)[0] == "1"


def test_matching_symbols_are_found_by_their_beginning(port):
    with connected(port) as raw:
        raw.send(81, 6, "zvx")
        found = raw.seek(79)
        assert found[2] == "3"
        assert {"ZVXA", "ZVXB", "ZVXC"} <= set(found)


def test_market_rules_tell_the_tick_size(port):
    with connected(port) as raw:
        raw.send(91, 250_000)
        assert raw.seek(93) == ["93", "250000", "1", "0", "0.25"]
