"""Which rule says in what steps an instrument's prices go, and what follows from the answer, or from none."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from adapters.ibkr.data.market_rules import ANSWER_S, OWN_NOTICE, MarketRules, rule_of
from adapters.ibkr.wire.messages import ContractDetails, MarketRule
from adapters.ibkr.wire.terms import Contract
from core.clock import SECOND_NS
from core.events import BrokerMessage, InstrumentDefined
from tests.projections.build import option, stock

D = Decimal
LATE = round(ANSWER_S * SECOND_NS)
LADDER = MarketRule(239, ((D(0), D("0.05")), (D(3), D("0.1"))))
ACME = replace(option(), con_id=7)
OTHER = replace(option("ACME-20250919-P-250"), con_id=8)


class Requests:
    """What asks for a rule; here the rule itself is the request."""

    def req_market_rule(self, rule):
        return rule


def details(con_id=7, exchanges="SMART,CBOE", rules="239,26"):
    return ContractDetails(
        req_id=1,
        contract=Contract(con_id=con_id),
        tick_size=D("0.01"),
        price_magnifier=1,
        long_name="",
        order_types="",
        exchanges=exchanges,
        timezone="",
        hours="",
        liquid_hours="",
        market_rules=rules,
    )


def asked(*instruments):
    """Return rules that are asked for at 0, and the questions."""
    rules = MarketRules()
    for one in instruments:
        assert rules.named(one, [details(one.con_id)], 1) == []
    return rules, rules.ask(Requests(), 0)


@pytest.mark.parametrize(
    ("exchanges", "rules", "exchange", "rule"),
    [
        ("SMART,CBOE", "239,26", "SMART", 239),
        ("SMART,CBOE", "239,26", "CBOE", 26),
        ("SMART,CBOE", "239, 26", "CBOE", 26),
        ("SMART,CBOE", "26,26", "AMEX", 26),  # all have the same
        ("SMART,CBOE", "239,26", "AMEX", None),
        ("", "", "SMART", None),
        ("SMART", "x", "SMART", None),
    ],
)
def test_the_rule_is_that_of_the_exchange_that_orders_go_to(exchanges, rules, exchange, rule):
    assert rule_of(details(exchanges=exchanges, rules=rules), exchange) == rule


def test_a_rule_is_asked_for_once_and_defines_all_that_wait_for_it():
    rules, questions = asked(ACME, OTHER)
    assert (questions, rules.open) == ([239], True)
    found = rules.told(LADDER, 9)
    assert [(one.instrument, one.price_steps, one.ts) for one in found] == [
        (ACME.instrument, "0:0.05,3:0.1", 9),
        (OTHER.instrument, "0:0.05,3:0.1", 9),
    ]
    assert (rules.open, rules.ask(Requests(), 0)) == (False, [])
    assert rules.settled == {ACME.instrument, OTHER.instrument}


def test_a_rule_that_is_known_defines_at_once():
    rules, _ = asked(ACME)
    rules.told(LADDER, 9)
    (found,) = rules.named(OTHER, [details(8)], 10)
    assert found.price_steps == "0:0.05,3:0.1"


@pytest.mark.parametrize(
    ("known", "steps"),
    [
        (ACME, ((D(0), D("0.01")),)),  # the tick size says it all
        (replace(ACME, price_steps="0:0.05,3:0.1"), LADDER.steps),
    ],
)
def test_what_is_known_already_is_not_defined_again(known, steps):
    rules, _ = asked(known)
    assert rules.told(MarketRule(239, steps), 9) == []
    assert rules.settled == {ACME.instrument}


def test_steps_that_hold_no_more_are_taken_back():
    rules, _ = asked(replace(ACME, price_steps="0:0.05,3:0.1"))
    (found,) = rules.told(MarketRule(239, ((D(0), D("0.01")),)), 9)
    assert isinstance(found, InstrumentDefined)
    assert found.price_steps == ""


def test_silence_is_told_once_and_a_late_answer_counts_all_the_same():
    rules, _ = asked(ACME)
    assert rules.overdue(5, LATE - 1) == []
    (told,) = rules.overdue(6, LATE)
    assert isinstance(told, BrokerMessage)
    assert (told.code, told.severity, told.instrument) == (OWN_NOTICE, "warning", ACME.instrument)
    assert f"did not answer within {ANSWER_S:g} s; prices are rounded to 0.01" in told.text
    assert (rules.open, rules.overdue(7, 2 * LATE)) == (False, [])
    (found,) = rules.told(LADDER, 8)
    assert found.price_steps == "0:0.05,3:0.1"


def test_steps_that_make_no_sense_leave_what_is_known():
    rules, _ = asked(ACME)
    (told,) = rules.told(MarketRule(239, ((D(0), D(0)),)), 9)
    assert isinstance(told, BrokerMessage)
    assert "market rule 239" in told.text
    assert not rules.open


def test_an_exchange_without_a_rule_among_those_that_have_one_is_told_of():
    rules = MarketRules()
    (told,) = rules.named(ACME, [details(exchanges="CBOE,AMEX")], 1)
    assert "names no market rule for it" in told.text
    assert rules.named(replace(stock(), con_id=9), [details(9, rules="")], 1) == []  # as old servers do


def test_a_question_on_a_connection_that_is_gone_is_put_again():
    rules, _ = asked(ACME)
    rules.drop()
    assert (rules.open, rules.overdue(1, LATE)) == (False, [])
    rules.named(ACME, [details()], 1)
    assert rules.ask(Requests(), 0) == [239]
