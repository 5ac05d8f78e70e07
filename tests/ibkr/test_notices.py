"""Numbered messages: which are the link, which are farms, which are annotations, and what they ask for."""

import pytest

from adapters.ibkr.link.notices import Notices
from adapters.ibkr.wire.messages import ErrorMessage
from core.events import BrokerMessage, FarmChanged

S = 1_000_000_000


def said(code, text="text", req_id=None):
    return ErrorMessage(req_id, code, text, None, "")


def meaning(code, text="text", *, notices=None, now=0, order="", req_id=None):
    return (notices or Notices()).meaning(said(code, text, req_id), order, "", 1, now)


@pytest.mark.parametrize(
    ("code", "act"),
    [
        (1100, "upstream_lost"),
        (2110, "upstream_lost"),
        (1101, "data_lost"),
        (1102, "upstream_back"),
        (1300, "drop"),
        (502, "drop"),
        (504, "drop"),
        (507, "drop"),
        (508, "drop"),
        (326, "id_in_use"),
        (100, "slower"),
        (10197, "competing"),
        (103, "look"),
        (10147, "look"),
        (10148, "look"),
        (161, "look"),
        (201, ""),
        (399, ""),
        (2109, ""),
    ],
)
def test_each_code_asks_for_its_act(code, act):
    assert meaning(code).act == act


@pytest.mark.parametrize("code", [201, 202, 321, 354, 399, 404, 2109, 10349, 99999])
def test_any_other_code_is_kept_as_a_message(code):
    (event,) = meaning(code, order="A").events
    assert isinstance(event, BrokerMessage)
    assert (event.code, event.text, event.order) == (code, "text", "A")


def test_a_read_only_api_is_told_from_other_validation_errors():
    text = "Error validating request.-'bO' : cause - The API interface is currently in Read-Only mode."
    found = meaning(321, text)
    assert (found.act, found.events) == ("read_only", [])
    assert 'untick "Read-Only API"' in found.why
    assert meaning(321, "cause - Invalid account").act == ""


def test_farms_are_told_by_name_and_kind_and_only_a_return_asks_for_data_again():
    notices = Notices()
    ok = meaning(2104, "Market data farm connection is OK:usfarm", notices=notices)
    assert ok.events == [FarmChanged(1, "usfarm", "market", True, 2104)]
    assert ok.act == ""
    lost = meaning(2103, "Market data farm connection is broken:usfarm", notices=notices)
    assert lost.act == "doubt_data"
    other = meaning(2104, "Market data farm connection is OK:eufarm", notices=notices)
    assert other.act == ""
    back = meaning(2104, "Market data farm connection is OK:usfarm", notices=notices)
    assert back.act == "renew_data"


@pytest.mark.parametrize("code", [2105, 2106, 2107, 2108, 2157, 2158])
def test_other_farms_touch_no_data(code):
    found = meaning(code, "farm:x")
    assert isinstance(found.events[0], FarmChanged)
    assert found.act == ""


def test_an_inactive_farm_is_no_fault():
    assert [meaning(code).events[0].up for code in (2107, 2108)] == [True, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [100, 10197])
def test_what_comes_in_bunches_is_told_once_a_minute(code):
    notices = Notices()
    told = [len(meaning(code, notices=notices, now=at).events) for at in (0, 1, 59 * S, 60 * S, 61 * S)]
    assert told == [1, 0, 0, 1, 0]


def test_pacing_violations_are_counted():
    notices = Notices()
    for _ in range(3):
        meaning(100, notices=notices)
    assert notices.pacing_violations == 3


def test_an_error_about_an_unknown_request_is_severe_and_one_about_an_order_is_not():
    assert meaning(200, req_id=5).events[0].severity == "error"  # type: ignore[attr-defined]
    assert meaning(200, req_id=5, order="A").events[0].severity == "warning"  # type: ignore[attr-defined]
    assert meaning(2109).events[0].severity == "info"  # type: ignore[attr-defined]


def test_farms_are_well_a_while_after_the_last_one_came_back():
    notices, second = Notices(), 10**9
    assert notices.farms_well(0, 30)

    def said(code, at_s):
        notices.meaning(ErrorMessage(-1, code, "farm is:usfarm", None, ""), "", "", 0, at_s * second)

    said(2104, 1)  # as at each start
    assert notices.farms_well(2 * second, 30)
    said(2103, 5)
    assert not notices.farms_well(100 * second, 30)
    said(2104, 100)
    assert not notices.farms_well(129 * second, 30)
    assert notices.farms_well(130 * second, 30)
