"""What is not simulated, or asked for wrongly, is answered with an error that names its request."""

import pytest

from adapters.ibkr.gateway import session as gateway_session
from tests.gateway.inside import inside
from tests.gateway.raw import ZVXA

ID = 77
WITH_ID = {
    "exercise options": (322, [21, 2, ID, *ZVXA]),
    "an unknown scan": (162, [22, ID, -1, "STK", "STK.US", "NONSENSE", *[""] * 17, "", ""]),
    "fundamental data": (430, [52, 2, ID, 0]),
    "implied volatility": (322, [54, 3, ID]),
    "option price": (322, [55, 3, ID]),
    "display groups": (322, [67, 1, ID]),
    "news article": (10172, [84, ID, "BRFG", "x", ""]),
    "historical news": (10276, [86, ID, 1, "BRFG", "", "", 10, ""]),
    "a histogram of no legal length": (321, [88, ID, *ZVXA, 0, 1, "three days"]),
    "calendar": (10276, [100, ID]),
    "calendar events": (10276, [102, ID, 0]),
    "market depth": (354, [10, 5, ID, *ZVXA, 5, 0, ""]),
    "bars of what is not recorded": (162, [20, ID, *ZVXA, 0, "", "1 min", "1 D", 0, "FEE_RATE", 2, 0, ""]),
    "bars of what is no price": (321, [20, ID, *ZVXA, 0, "", "1 min", "1 D", 0, "NONSENSE", 2, 0, ""]),
    "bars of no legal length": (321, [20, ID, *ZVXA, 0, "", "7 mins", "1 D", 0, "TRADES", 2, 0, ""]),
    "a schedule by the minute": (321, [20, ID, *ZVXA, 0, "", "1 min", "1 D", 0, "SCHEDULE", 2, 0, ""]),
    "a spread kept up to date": (321, [20, ID, *ZVXA, 0, "", "1 min", "1 D", 0, "BID_ASK", 2, 1, ""]),
    "real-time bars of what is no price": (321, [50, 3, ID, *ZVXA, 5, "NONSENSE", 0, ""]),
    "ticks of what is no price": (321, [97, ID, *ZVXA, "Nonsense", 0, 0]),
}
WITHOUT_ID = {
    "advisors": (321, [18, 1, 1]),
    "replacing advisors": (321, [19, 1, 3, "<x/>", 5]),
    "an unknown market rule": (321, [91, 26]),
}


@pytest.fixture
def raw(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book") as client:
        yield client


def told(raw, fields):
    """Return the errors that a request is answered with, as (id, code)."""
    raw.send(*fields)
    return [(int(m[1]), int(m[2])) for m in raw.drain() if m[0] == "4"]


def answers(raw):
    found = {name: told(raw, fields) for name, (_, fields) in {**WITH_ID, **WITHOUT_ID}.items()}
    wanted = {name: [(ID, code)] for name, (code, _) in WITH_ID.items()}
    wanted.update({name: [(-1, code)] for name, (code, _) in WITHOUT_ID.items()})
    return found, wanted


def test_everything_that_is_not_simulated_is_answered_with_its_id(raw):
    found, wanted = answers(raw)
    assert found == wanted


def test_a_gateway_that_answers_without_the_id_is_caught(raw, monkeypatch):
    monkeypatch.setattr(gateway_session, "request_id", lambda *_: -1)
    found, wanted = answers(raw)
    assert found != wanted


def test_soft_dollar_tiers_are_none(raw):
    raw.send(79, ID)
    assert raw.drain() == [["77", str(ID), "0"]]


def test_a_regulatory_snapshot_ends_as_any_other(raw):
    raw.send(1, 11, ID, *ZVXA, 0, "", 0, 1, "")
    assert raw.drain()[-1][:3] == ["57", "1", str(ID)]
    assert raw.client.streams == {}


def test_a_part_of_a_share_is_refused_to_clients_that_read_whole_numbers_only(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "old", server_version=157) as raw:
        raw.place(1, quantity="0.5")
        assert [m[2:4] for m in raw.drain()] == [["1", "10243"]]
    with inside(ib_gateway_log, tmp_path / "new") as raw:
        raw.place(1, quantity="0.5")
        assert "Submitted" in [m[2] for m in raw.drain() if m[0] == "3"]
