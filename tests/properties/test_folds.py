"""What must hold of every history, and broken folds that must not get past it.

Each property is a function of the projections under test, so that the negative controls run the very
same check on a fold with a known mistake, and windows of a few movements the same as folds that keep all.
"""

from collections import defaultdict
from functools import partial
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.events import CommissionReported, Entry, FillCorrected, Filled
from projections.base import fold
from projections.holding import Holding
from projections.idset import Ids
from projections.orders import Orders
from projections.positions import Positions
from tests.conftest import examples
from tests.projections.build import ACCOUNT, D
from tests.properties.histories import (
    INSTRUMENTS,
    STRATEGIES,
    digests,
    facts,
    folded,
    history,
    opening,
    projections,
)

FEW = settings(
    max_examples=examples(100), deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
# A control only has to fail: the first counterexample will do, unshrunk.
CONTROL = settings(FEW, max_examples=300, phases=(Phase.generate,), report_multiple_bugs=False)
REPEATED = (Filled, FillCorrected, CommissionReported)
WINDOWS = (1, 2, 3)


def batches_change_nothing(chosen=FEW, **kinds):
    @chosen
    @given(facts(), st.lists(st.integers(0, 60), max_size=5))
    def check(reports, cuts):
        entries = history(reports)
        bounds = sorted({0, len(entries), *(cut for cut in cuts if cut < len(entries))})
        made = projections(**kinds)
        fold(made, [entries[a:b] for a, b in pairwise(bounds)])
        assert digests(made) == digests(folded(entries, **kinds))
        assert {projection.applied_seq for projection in made} == {entries[-1].seq}

    return check


def duplicates_change_nothing(chosen=FEW, **kinds):
    @chosen
    @given(facts(), st.data())
    def check(reports, data):
        entries = history(reports)
        again = list(entries)
        for at, entry in enumerate(entries):
            if isinstance(entry.event, REPEATED) and data.draw(st.booleans()):
                seq = data.draw(st.integers(at, len(entries) - 1)) * 10 + 11
                again.append(Entry(seq, None, seq, None, entry.event))
        again.sort(key=lambda entry: entry.seq)
        # Lineage keeps every entry there is, duplicates too.
        assert digests(folded(again, **kinds), but=("lineage",)) == digests(
            folded(entries, **kinds), but=("lineage",)
        )

    return check


def shuffled(entries, data):
    """Return the entries in any order, but for what opens a history."""
    start = len(opening())
    return entries[:start] + data.draw(st.permutations(entries[start:]))


def delivery_order_changes_nothing(chosen=FEW, *, but=(), **kinds):
    @chosen
    @given(facts(), st.data())
    def check(reports, data):
        entries = history(reports)
        before, after = folded(entries, **kinds), folded(shuffled(entries, data), **kinds)
        unlike = ("lineage", *but)
        assert digests(after, but=unlike) == digests(before, but=unlike)
        assert figures(after) == figures(before)

    return check


def snapshot_and_tail_equal_the_whole(chosen=FEW, **kinds):
    @settings(chosen, max_examples=chosen.max_examples // 4)
    @given(facts())
    def check(reports):
        entries = history(reports)
        expected = digests(folded(entries, **kinds))
        for k in range(len(entries) + 1):
            head, made = folded(entries[:k], **kinds), projections(**kinds)
            for old, new in zip(head, made, strict=True):
                new.load(old.encoded())
            fold(made, [entries])
            assert digests(made) == expected, k

    return check


def packing_changes_nothing(chosen=FEW, **kinds):
    @chosen
    @given(facts(), st.data())
    def check(reports, data):
        entries = shuffled(history(reports), data)
        packed, whole = folded(entries, **kinds), folded(entries)
        assert digests(packed, but=("orders",)) == digests(whole, but=("orders",))
        assert figures(packed) == figures(whole)

    return check


def window(keep, positions=Positions, orders=Orders):
    """Return projections that keep a window, as keywords for a property."""
    return {"positions": partial(positions, keep), "orders": partial(orders, keep)}


def figures(made):
    """What people read: quantities, average cost, realised, cash, commissions, equity."""
    _, positions, account, *_ = made
    held = [positions.position(ACCOUNT, name, who) for name in INSTRUMENTS for who in (None, *STRATEGIES)]
    return (
        held,
        account.cash(ACCOUNT, "USD"),
        account.commissions(ACCOUNT, "USD"),
        account.equity(ACCOUNT, "USD"),
    )


def test_folding_in_any_batches_gives_the_same_state():
    batches_change_nothing()()


def test_a_report_delivered_twice_changes_nothing():
    duplicates_change_nothing()()


def test_the_order_of_delivery_changes_nothing():
    delivery_order_changes_nothing()()


def test_a_snapshot_and_the_rest_of_the_log_equal_the_whole_log():
    snapshot_and_tail_equal_the_whole()()


@pytest.mark.parametrize("keep", WINDOWS)
def test_a_window_folds_in_any_batches_to_the_same_state(keep):
    batches_change_nothing(**window(keep))()


@pytest.mark.parametrize("keep", WINDOWS)
def test_a_window_is_not_changed_by_a_report_delivered_twice(keep):
    duplicates_change_nothing(**window(keep))()


@pytest.mark.parametrize("keep", WINDOWS)
def test_the_order_of_delivery_changes_no_figure_of_a_window(keep):
    # Which orders a window forgets follows from when they came to their end.
    delivery_order_changes_nothing(but=("orders",), **window(keep))()


@pytest.mark.parametrize("keep", WINDOWS)
def test_a_snapshot_of_a_window_and_the_rest_of_the_log_equal_the_whole_log(keep):
    snapshot_and_tail_equal_the_whole(**window(keep))()


@pytest.mark.parametrize("keep", WINDOWS)
def test_a_window_holds_what_a_fold_holds_that_keeps_all(keep):
    packing_changes_nothing(**window(keep))()


@FEW
@given(facts())
def test_the_ledgers_of_the_strategies_sum_to_the_account(reports):
    positions = folded(history(reports))[1]
    for name in INSTRUMENTS:
        parts = [positions.position(ACCOUNT, name, who) for who in STRATEGIES]
        profit = [
            p.realised + positions.unrealised(ACCOUNT, name, 10.37, w)
            for p, w in zip(parts, STRATEGIES, strict=True)
        ]
        whole = positions.position(ACCOUNT, name)
        assert sum(part.quantity for part in parts) == whole.quantity == positions.quantity(name)
        assert sum(profit) == whole.realised + positions.unrealised(ACCOUNT, name, 10.37)


@FEW
@given(facts())
def test_quantities_cash_and_commissions_equal_a_plain_sum_over_the_reports(reports):
    # Nothing of the projections is used here: each figure is one sum over the last word on each execution.
    reports = [report for report in reports if isinstance(report, REPEATED)]
    last, fees = {}, {}
    for report in reports:
        if isinstance(report, CommissionReported):
            fees[report.exec_id] = max(fees.get(report.exec_id, (0, D(0))), (report.ts, report.amount))
        else:
            last[report.exec_id] = report  # revisions are generated in rising order
    quantity, spent = defaultdict(D), D(0)
    for report in last.values():
        sign = 1 if report.side == "BUY" else -1
        quantity[report.instrument] += sign * report.quantity
        spent += sign * report.quantity * report.price if report.instrument == "ACME" else 0
    _, positions, account, orders, *_ = folded(history(reports))
    paid = sum((amount for _, amount in fees.values()), D(0))
    realised = positions.position(ACCOUNT, "IDX-202509").realised
    assert {name: positions.quantity(name) for name in INSTRUMENTS} == {
        name: quantity[name] for name in INSTRUMENTS
    }
    assert account.commissions(ACCOUNT, "USD") == paid
    assert account.cash(ACCOUNT, "USD") == 100_000 - spent - paid + realised
    filled = sum((order.filled for order in orders.orders()), D(0))
    assert filled == sum((report.quantity for report in last.values()), D(0))


class CountsTwice(Positions):
    """Forgets that it knew an execution."""

    def _filled(self, fill, seq):
        self._at_hand.pop(fill.exec_id, None)
        super()._filled(fill, seq)


class SumsCommissions(Positions):
    """Adds every report of a commission."""

    def _commission(self, event, seq):
        super()._commission(msgspec.structs.replace(event, exec_id=str(seq)), seq)


class LastReportWins(Orders):
    """Takes a correction as it comes, whatever its revision."""

    def _corrected(self, event, seq):
        self._executions.pop(event.exec_id, None)
        super()._corrected(event, seq)


class ForgetsRevisions(Positions):
    """Leaves the revisions out of its restore."""

    def restore(self, state):
        for held in state.holdings:
            for movement in held.movements:
                movement.revision = min(movement.revision, 0)
        super().restore(state)


class Broken(Holding):
    """A holding with a mistake about what it packed."""

    __slots__ = ()

    @classmethod
    def positions(cls):
        """Return positions whose holdings have the mistake."""

        class Mistaken(Positions):
            def _open(self, account, instrument):
                holding = super()._open(account, instrument)
                holding.__class__ = cls
                return holding

        return Mistaken


class ForgetsWhatItPacked(Broken):
    __slots__ = ()

    def settled(self, movement):
        return None


class DoesNotSearch(Broken):
    __slots__ = ()

    def search(self, exec_id):
        return None


class LosesTheCharge(Broken):
    __slots__ = ()

    def replace(self, movement):
        pass


class RefoldsTheRestAlone(Broken):
    __slots__ = ()

    def _refold(self, first):
        super()._refold(len(self.blocks))


class Resurrects(Orders):
    """Does not remember what it forgot."""

    def _forget(self):
        super()._forget()
        self._forgotten = Ids()


class DropsTheQueue(Orders):
    """Starts a snapshot's window anew."""

    def restore(self, state):
        super().restore(state)
        self._idle = {}


@pytest.mark.parametrize(
    ("claim", "broken"),
    [
        (duplicates_change_nothing, {"positions": CountsTwice}),
        (duplicates_change_nothing, {"positions": SumsCommissions}),
        (delivery_order_changes_nothing, {"orders": LastReportWins}),
        (snapshot_and_tail_equal_the_whole, {"positions": ForgetsRevisions}),
        (duplicates_change_nothing, window(1, ForgetsWhatItPacked.positions())),
        (packing_changes_nothing, window(1, DoesNotSearch.positions())),
        (packing_changes_nothing, window(1, LosesTheCharge.positions())),
        (packing_changes_nothing, window(1, RefoldsTheRestAlone.positions())),
        (duplicates_change_nothing, window(1, orders=Resurrects)),
        (snapshot_and_tail_equal_the_whole, window(1, orders=DropsTheQueue)),
    ],
)
def test_a_broken_fold_is_caught(claim, broken):
    with pytest.raises(AssertionError):
        claim(CONTROL, **broken)()
