"""The gate: what lets orders leave, and what does not."""

from typing import get_args

import msgspec
import pytest

from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    ConnectionChanged,
    DataStateChanged,
    HaltChanged,
    HaltRequested,
    ReconciliationFinished,
    ReconciliationStarted,
    SessionStarted,
    TradingResumed,
)
from core.events.connection import LinkState
from projections.gate import Gate
from tests.projections.build import ACCOUNT, feed

UP = ConnectionChanged(1, "up")
DOWN = ConnectionChanged(2, "down", reason="connection reset by peer")
RECONCILED = ReconciliationFinished(3, "start", 0, 0, 0, 0, "d")
HALT = HaltChanged(5, "ib/stream", "ACME", True)
BREAK = BreakFound(4, ACCOUNT, "ACME", "position", "100", "0", "ACME: the log holds 100, the broker 0")


def gate(*events, delayed_data=False):
    found = Gate(delayed_data=delayed_data)
    feed(found, *events)
    return found


def session(account):
    return SessionStarted(1, 1, "live", account, "1", "{}", "", "[]", "", "none")


def test_a_break_closes_its_instrument_for_the_account_that_has_it():
    other = session("DU9"), UP, RECONCILED
    assert gate(session(ACCOUNT), UP, RECONCILED, BREAK).closed("ACME") == BREAK.message
    assert gate(session(ACCOUNT), BREAK, *other).closed("ACME") is None
    assert gate(session(ACCOUNT), BREAK, *other).breaks == {}
    back = gate(session(ACCOUNT), BREAK, *other, BreakAccepted(5, "DU9", "ACME", "ours"))
    feed(back, session(ACCOUNT), UP, RECONCILED)
    assert back.breaks == {"ACME": BREAK.message}


def test_the_same_break_of_two_accounts_is_one_of_each():
    theirs = msgspec.structs.replace(BREAK, account="DU9")
    both = gate(session("DU9"), theirs, session(ACCOUNT), UP, RECONCILED, BREAK)
    feed(both, BreakAccepted(6, "DU9", "ACME", "theirs"))
    assert both.closed("ACME") == BREAK.message


def test_a_gate_that_was_told_nothing_is_closed():
    assert gate().closed("ACME") == "no usable connection: not connected yet"


def test_a_connection_alone_does_not_open_it():
    assert gate(UP).closed("ACME") == "the log is not reconciled with the broker yet"


def test_a_finished_reconciliation_opens_it():
    opened = gate(UP, RECONCILED)
    assert opened.closed("ACME") is None
    assert opened.describe() == "gate: open"


@pytest.mark.parametrize("state", get_args(LinkState))
def test_a_connection_that_comes_back_is_not_trusted_before_it_is_reconciled(state):
    back = gate(UP, RECONCILED, ConnectionChanged(4, state), UP)
    assert back.closed("ACME") == "the log is not reconciled with the broker yet"


@pytest.mark.parametrize("state", sorted(set(get_args(LinkState)) - {"up", "upstream_up", "data_lost"}))
def test_no_reconciliation_opens_it_while_the_link_is_of_no_use(state):
    assert "no usable connection" in str(gate(UP, ConnectionChanged(4, state), RECONCILED).closed("ACME"))


@pytest.mark.parametrize("state", ["upstream_up", "data_lost"])
def test_a_gateway_that_is_back_opens_it_once_reconciled(state):
    lost = ConnectionChanged(4, "upstream_down", 1100, "lost")
    back = gate(UP, RECONCILED, lost, ConnectionChanged(5, state))
    assert back.closed("ACME") == "the log is not reconciled with the broker yet"
    feed(back, RECONCILED)
    assert back.closed("ACME") is None


def test_it_is_closed_while_a_reconciliation_goes_on():
    assert gate(UP, RECONCILED, ReconciliationStarted(5, "1102")).closed("ACME") is not None


def test_the_reason_of_a_lost_connection_is_named():
    assert gate(UP, RECONCILED, DOWN).closed("ACME") == "no usable connection: connection reset by peer"


def test_a_break_closes_its_instrument_alone_until_it_is_accepted():
    broken = gate(UP, BREAK, RECONCILED)
    assert broken.closed("ACME") == "ACME: the log holds 100, the broker 0"
    assert broken.closed("OTHER") is None
    feed(broken, BreakAccepted(5, ACCOUNT, "ACME", "sold by hand"))
    assert broken.closed("ACME") is None


def test_a_break_that_a_later_look_explains_ends_alone():
    lost = BreakFound(4, ACCOUNT, "ACME", "unknown_order", "known", "absent", "a-1-1 is nowhere")
    closed = gate(UP, RECONCILED, lost, lost, BREAK)
    assert [event.kind for event in closed.found()] == ["unknown_order", "position"]
    feed(closed, BreakResolved(5, ACCOUNT, "ACME", "unknown_order", "found"))
    assert closed.closed("ACME") == BREAK.message
    feed(closed, BreakResolved(6, ACCOUNT, "ACME", "position", "found"))
    assert closed.closed("ACME") is None


def test_accepting_ends_all_breaks_of_an_instrument():
    lost = BreakFound(4, ACCOUNT, "ACME", "unknown_order", "known", "absent", "a-1-1 is nowhere")
    opened = gate(UP, RECONCILED, lost, BREAK, BreakAccepted(5, ACCOUNT, "ACME", "seen"))
    assert opened.closed("ACME") is None


def test_a_halt_outlasts_a_reconnection_and_ends_with_the_operators_word():
    halted = gate(UP, RECONCILED, HaltRequested(5, "cancel", "news", "command"), DOWN, UP, RECONCILED)
    assert halted.closed("ACME") == "halted (cancel): news"
    feed(halted, TradingResumed(6, "over"))
    assert halted.closed("ACME") is None


@pytest.mark.parametrize("state", ["delayed", "stale", "refused", "left_out"])
def test_data_that_are_not_live_take_no_entries_but_let_positions_be_closed(state):
    known = gate(UP, RECONCILED, DataStateChanged(5, "ACME", state))
    assert known.entries_closed("ACME") == f"market data of ACME are {state}"
    assert known.closed("ACME") is None


def test_an_instrument_of_which_nothing_was_heard_takes_no_entries():
    known = gate(UP, RECONCILED, DataStateChanged(5, "ACME", "live"))
    assert known.entries_closed("ACME") is None
    assert known.entries_closed("OTHER") == "no market data of OTHER so far"


def test_a_halt_by_the_venue_closes_its_instrument_until_trading_goes_on():
    live = DataStateChanged(5, "ACME", "live")
    halted = gate(UP, RECONCILED, live, HaltChanged(6, "ib/stream", "ACME", True, "for volatility"))
    assert halted.entries_closed("ACME") == "ACME is halted for volatility"
    assert halted.closed("ACME") is None
    feed(halted, HaltChanged(7, "ib/stream", "ACME", False))
    assert halted.entries_closed("ACME") is None


def test_delayed_data_may_be_allowed():
    assert gate(DataStateChanged(5, "ACME", "delayed"), delayed_data=True).entries_closed("ACME") is None


def test_data_that_come_back_open_it_again():
    stale = gate(UP, RECONCILED, DataStateChanged(5, "ACME", "stale"), DataStateChanged(6, "ACME", "live"))
    assert stale.entries_closed("ACME") is None


def test_a_snapshot_restores_all_of_it():
    whole = gate(UP, BREAK, DataStateChanged(5, "ACME", "live"), HALT, HaltRequested(5, "halt", "x", "y"))
    again = Gate()
    again.load(whole.encoded())
    assert again.digest() == whole.digest()
    assert again.closed("ACME") == whole.closed("ACME")
    assert again.entries_closed("ACME") == whole.entries_closed("ACME") == "ACME is halted"


def test_a_halt_rises_and_never_falls_until_the_operator_resumes():
    halted = gate(
        UP, RECONCILED, HaltRequested(5, "cancel_all", "all", "a"), HaltRequested(6, "halt", "n", "b")
    )
    assert (halted.halt, halted.halt_reason, halted.halts) == ("cancel_all", "all", 2)
    feed(halted, HaltRequested(7, "flatten", "close", "c"))
    assert halted.halt == "flatten"
    feed(halted, TradingResumed(8, "ok"))
    assert halted.closed("ACME") is None


def test_a_halt_outlasts_sessions_and_observing_does_not():
    def session(mode):
        return SessionStarted(9, 1, mode, ACCOUNT, "0", "{}", "", "[]", "", "none")

    seen = gate(HaltRequested(5, "halt", "why", "a"), session("observe"), UP, RECONCILED)
    assert seen.closed("ACME") == "this session only observes: it sends nothing"
    feed(seen, session("live"), UP, RECONCILED)
    assert seen.closed("ACME") == "halted (halt): why"


def test_only_what_closes_a_position_passes_a_flatten_and_only_with_a_connection():
    flat = gate(UP, RECONCILED, HaltRequested(5, "flatten", "why", "a"))
    assert flat.bars("close-1-1", "ACME") is None
    assert flat.bars("s-1-1", "ACME") == "halted (flatten): why"
    feed(flat, DOWN)
    assert flat.bars("close-1-1", "ACME") is not None
    assert gate(UP, RECONCILED, HaltRequested(5, "cancel", "why", "a")).bars("close-1-1", "ACME") is not None


def test_a_position_without_a_stop_closes_its_instrument_for_entries_only():
    live = DataStateChanged(5, "ACME", "live")
    naked = BreakFound(5, ACCOUNT, "ACME", "unprotected", "a-1-3", "absent", "a-1-1 has no stop")
    found = gate(UP, RECONCILED, live, naked)
    assert (found.closed("ACME"), found.entries_closed("ACME")) == (None, "a-1-1 has no stop")
    both = gate(UP, RECONCILED, live, naked, BREAK)
    assert both.closed("ACME") == BREAK.message
