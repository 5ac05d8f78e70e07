"""Automatic stops of an instrument whose price steps grow with the price, at a gateway that knows them."""

import shutil

import msgspec
import pytest

from adapters.ibkr.data import market_rules
from adapters.ibkr.gateway.reference import Reference
from app.data.importing import import_builtin_sample
from core.events import BrokerMessage, InstrumentDefined, OrderIntended, OrderStatusChanged
from core.exits import protection
from core.exits.rules import ExitRules
from core.price_steps import PriceSteps, parse_steps
from eventstore.journal.journal import Journal
from tests.live.sessions import OPEN_S, play, prove_all
from tests.logs import events_of

STEPS = "0:0.01,50:0.05"
STOP = ExitRules(stop_loss_pct=0.01)


@pytest.fixture(scope="module")
def sample_log(tmp_path_factory):
    """The sample, made once."""
    root = tmp_path_factory.mktemp("sample") / "log"
    import_builtin_sample(root)
    return root


@pytest.fixture(scope="module")
def ib_gateway_log(sample_log, tmp_path_factory):
    """The sample, in which ZVXA, at 84, goes by 0.05."""
    root = shutil.copytree(sample_log, tmp_path_factory.mktemp("steps") / "log")
    journal = Journal.open(root)
    (plain,) = [e for e in events_of(root, InstrumentDefined) if e.instrument == "ZVXA"]
    journal.append(msgspec.structs.replace(plain, price_steps=STEPS))
    journal.commit(sync=True)
    journal.close()
    return root


@pytest.fixture
def log(sample_log, tmp_path):
    """The sample as imported: nobody has told it of steps."""
    return shutil.copytree(sample_log, tmp_path / "log")


def traded(ib_gateway, log):
    """Enter and be protected; return the stops' prices, and codes told of orders."""
    gateway = ib_gateway(speed="step", start="open")
    parameters = {"own_exits": False, "most": 1}
    play(log, gateway.port, strategy="racing", until_s=OPEN_S + 60, parameters=parameters, exits=STOP)
    gateway.stop()
    stops = [e.stop for e in events_of(log, OrderIntended) if e.order.startswith("exit-")]
    return stops, {e.code for e in events_of(log, BrokerMessage) if e.order}


def rejected(log):
    return [e.order for e in events_of(log, OrderStatusChanged) if e.status == "Rejected"]


def steps_known(log):
    return [e.price_steps for e in events_of(log, InstrumentDefined) if e.instrument == "ZVXA"][-1]


def test_a_stop_is_taken_because_the_session_asked_for_the_steps_and_the_session_is_proven(ib_gateway, log):
    stops, codes = traded(ib_gateway, log)
    assert stops
    assert all(map(PriceSteps(parse_steps(STEPS)).fits, stops))
    assert (110 in codes, rejected(log)) == (False, [])
    assert steps_known(log) == STEPS
    prove_all(log)


def test_a_stop_rounded_by_the_smallest_step_is_refused_with_110(ib_gateway, log, monkeypatch):
    def smallest(instruments, name):
        tick = instruments.instrument(name).tick_size
        return PriceSteps([(0 * tick, tick)])

    monkeypatch.setattr(protection, "steps_in", smallest)
    _, codes = traded(ib_gateway, log)
    assert 110 in codes
    assert rejected(log)


def test_a_broker_that_does_not_answer_is_waited_for_a_while_and_that_is_told_once(
    ib_gateway, log, monkeypatch
):
    monkeypatch.setattr(Reference, "_market_rule", lambda *_: None)
    monkeypatch.setattr(market_rules, "ANSWER_S", 0.05)
    stops, _ = traded(ib_gateway, log)
    assert stops  # by the tick size that is known
    told = [e for e in events_of(log, BrokerMessage) if e.code == market_rules.OWN_NOTICE]
    assert [(e.instrument, e.severity) for e in told] == [("ZVXA", "warning")]
    assert "rounded to 0.01" in told[0].text
