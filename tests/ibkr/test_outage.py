"""How long an outage lasts before somebody is called, and before a new connection is tried."""

import pytest

from adapters.ibkr.link.outage import Outage

S = 1_000_000_000


def outage():
    return Outage(alarm_after_s=60, patience_s=300)


def test_the_alarm_comes_once_and_says_how_long_it_lasts():
    lost = outage()
    lost.unusable(0)
    lost.unusable(50 * S)
    assert lost.alarm(59 * S) is None
    assert lost.alarm(61 * S) == pytest.approx(61)
    assert lost.alarm(999 * S) is None


def test_a_new_outage_has_its_own_alarm():
    lost = outage()
    lost.unusable(0)
    lost.alarm(60 * S)
    lost.usable()
    assert lost.alarm(500 * S) is None
    lost.unusable(500 * S)
    assert lost.alarm(560 * S) == pytest.approx(60)


def test_a_planned_restart_begins_the_clocks_anew():
    lost = outage()
    lost.unusable(0)
    lost.upstream(0, lost=True)
    lost.excused(400 * S)
    assert lost.alarm(401 * S) is None
    assert not lost.hopeless(401 * S)
    assert lost.alarm(460 * S) is not None
    assert lost.hopeless(701 * S)


def test_only_a_change_of_the_upstream_is_news():
    lost = outage()
    assert not lost.upstream(0, lost=False)
    assert lost.upstream(1, lost=True)
    assert not lost.upstream(2, lost=True)
    assert lost.upstream_lost
    assert lost.upstream(3, lost=False)


def test_a_gateway_that_is_cut_off_is_hopeless_after_the_patience():
    lost = outage()
    lost.upstream(0, lost=True)
    assert not lost.hopeless(300 * S)
    assert lost.hopeless(300 * S + 1)
    lost.upstream(301 * S, lost=False)
    assert not lost.hopeless(999 * S)
