"""What the broker says of orders, in any order and any number of times, becomes the same figures.

Messages go through the channel into the folds, with restarts in between. Broken channels must be caught.
"""

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adapters.ibkr.trading.orders import OrderChannel
from adapters.ibkr.wire.messages import CommissionReport, Execution
from core.effects import Effect
from core.events import (
    CancelIntended,
    CommissionReported,
    ExternalOrderReported,
    FillCorrected,
    Filled,
    ModifyIntended,
    OrderBound,
    OrderStatusChanged,
)
from tests.conftest import examples
from tests.ibkr.books import ACCOUNT, Books, D, commission

FEW = settings(
    max_examples=examples(150), deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
CONTROL = settings(FEW, max_examples=400, phases=(Phase.generate,), report_multiple_bugs=False)
ORDERS = ("a-1-1", "a-1-2")


def started(channel=OrderChannel) -> Books:
    books = Books(channel)
    books.cash(100_000)
    for order in ORDERS:
        books.send(order, limit=None)
    return books


@st.composite
def said(draw):
    """Return everything a broker says of two orders of ours and one of others, in an honest order."""
    books = started()
    messages = []
    for n, order in enumerate((*ORDERS, "-")):
        perm, ours = 900 + n, order != "-"
        given = {} if ours else {"order_ref": "", "client_id": 0, "order_id": None}
        messages.append(books.open(order, perm, **given))
        for fill in range(draw(st.integers(1, 3))):
            base, side = f"e{n}{fill}", "BOT" if ours else "SLD"
            quantity, price = draw(st.sampled_from((10, 20))), draw(st.sampled_from(("10", "10.01")))
            ref = {} if ours and draw(st.booleans()) else {"order_ref": ""}
            what = {"order": order, "perm": perm, "side": side, "quantity": quantity, **given, **ref}
            messages.append(books.execution(f"{base}.01", price=price, **what))
            messages.append(commission(f"{base}.01", draw(st.sampled_from(("1", "0.35")))))
            if draw(st.booleans()):
                messages.append(books.execution(f"{base}.02", price="9.99", **what))
                if draw(st.booleans()):
                    messages.append(books.execution(f"{base}.03", price="9.98", **what))
        if ours:
            messages.append(books.status(draw(st.sampled_from(("Submitted", "Filled"))), order, perm))
    return messages


def figures(books):
    orders = [(o.id, o.filled) for o in books.orders.orders()]
    executions = [(e.exec_id, e.order, e.quantity, e.price, e.commission) for e in books.orders.executions()]
    held = [books.positions.position(ACCOUNT, "ACME", who) for who in (None, "a", "")]
    paid = books.account.commissions(ACCOUNT, "USD")
    return orders, executions, held, books.account.cash(ACCOUNT, "USD"), paid


def delivery_changes_nothing(chosen=FEW, channel=OrderChannel):
    @chosen
    @given(said(), st.data())
    def check(messages, data):
        expected = started()
        expected.hear(*messages)
        # A message may come up to four times, and all in any order, several in one look.
        times = data.draw(st.lists(st.integers(1, 4), min_size=len(messages), max_size=len(messages)))
        many = [m for m, n in zip(messages, times, strict=True) for _ in range(n)]
        books = started(channel)
        rest = data.draw(st.permutations(many))
        while rest:
            n = data.draw(st.integers(1, len(rest)))
            books.hear(*rest[:n], together=data.draw(st.booleans()))
            rest = rest[n:]
        assert figures(books) == figures(expected)

    return check


def a_restart_changes_nothing(chosen=FEW, channel=OrderChannel):
    @chosen
    @given(said(), st.data())
    def check(messages, data):
        expected = started()
        expected.hear(*messages)
        order = data.draw(st.permutations(messages))
        cut = data.draw(st.integers(0, len(order)))
        books = started(channel)
        books.hear(*order[:cut])
        books = books.restarted()
        # The look at the book after a restart tells what was executed so far again, then the rest comes.
        known = [m for m in order[:cut] if isinstance(m, Execution | CommissionReport)]
        books.hear(*known, *order[cut:])
        assert figures(books) == figures(expected)

    return check


def test_figures_do_not_depend_on_delivery():
    delivery_changes_nothing()()


def test_figures_do_not_depend_on_restarts():
    a_restart_changes_nothing()()


class SumsCorrections(OrderChannel):
    """Takes a correction for another execution."""

    def _execution(self, said, ts):
        return super()._execution(msgspec.structs.replace(said, exec_id=said.exec_id + ".01"), ts)


class ForgetsEarlyCommissions(OrderChannel):
    """Drops a commission whose execution has not come."""

    def _commission(self, said, ts):
        found = super()._commission(said, ts)
        self.executions.waiting.clear()
        return found


class LastReportWins(OrderChannel):
    """Numbers corrections as they come."""

    def _execution(self, said, ts):
        base, _, last = said.exec_id.rpartition(".")
        self._count = getattr(self, "_count", 1) + (last != "01")
        exec_id = said.exec_id if last == "01" else f"{base}.{self._count:02d}"
        return super()._execution(msgspec.structs.replace(said, exec_id=exec_id), ts)


class TrustsReferencesOnly(OrderChannel):
    """Knows an order by its reference alone."""

    def _find(self, perm_id, ref, client_id, order_id):
        return self._routes.find(perm_id=None, ref=ref)


@pytest.mark.parametrize(
    ("claim", "channel"),
    [
        (delivery_changes_nothing, SumsCorrections),
        (delivery_changes_nothing, ForgetsEarlyCommissions),
        (delivery_changes_nothing, LastReportWins),
        (a_restart_changes_nothing, TrustsReferencesOnly),
    ],
)
def test_a_broken_channel_is_caught(claim, channel):
    with pytest.raises(AssertionError):
        claim(CONTROL, channel)()


# -- single rules ------------------------------------------------------------------------------


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_the_same_status_is_told_once_over_restarts_too():
    books = started()
    assert len(of(OrderStatusChanged, books.hear(books.open(), books.open(), books.status()))) == 1
    assert of(OrderStatusChanged, books.restarted().hear(books.open(), books.status())) == []


def test_an_execution_known_from_the_log_is_not_told_again():
    books = started()
    books.hear(books.execution(), commission())
    assert books.restarted().hear(books.execution(), commission()) == []


def test_a_late_commission_finds_its_execution_after_a_restart():
    books = started()
    books.hear(books.open(), books.execution())
    books = books.restarted()
    [charged] = books.hear(commission())
    assert isinstance(charged, CommissionReported)
    assert (charged.order, charged.strategy, charged.amount) == ("a-1-1", "a", 1)


def test_a_corrected_commission_counts_in_place_of_the_first():
    books = started()
    books.hear(books.execution(), commission(amount="1"))
    books.now += 1
    books.hear(commission(amount="0.5"))
    assert books.account.commissions(ACCOUNT, "USD") == D("0.5")


def test_a_commission_that_is_not_known_is_not_nothing():
    books = started()
    assert of(CommissionReported, books.hear(books.execution(), commission(amount=None))) == []
    assert books.orders.executions()[0].commission is None


def test_an_execution_before_the_order_is_shown_belongs_to_it():
    books = started()
    bound, filled = books.hear(books.execution(order_ref=""))
    assert isinstance(bound, OrderBound)
    assert (filled.order, filled.strategy) == ("a-1-1", "a")


def test_an_order_id_that_was_issued_again_does_not_mix_up_two_orders():
    books = started()
    books.hear(books.open(), books.execution())
    assert books.orders.get("a-1-1").state == "Filled"
    stranger = books.execution("x1.01", perm=555, order_ref="")
    [filled] = books.hear(stranger)
    assert (filled.order, filled.strategy) == ("external-555", "")


@pytest.mark.parametrize("code", [399, 404, 10349, 2109, 202])
def test_a_code_that_only_annotates_changes_no_order(code):
    books = started()
    assert books.hear(books.error(code)) == []
    assert books.channel.take_doubt(looking=False) == ""
    assert books.orders.get("a-1-1").working


@pytest.mark.parametrize("code", [201, 203, 110, 321])
def test_a_refusal_ends_only_what_was_never_acknowledged(code):
    books = started()
    books.hear(books.open("a-1-2", perm=901))
    [rejected] = books.hear(books.error(code))
    assert (rejected.status, rejected.message) == ("Rejected", f"{code}: no")
    assert books.hear(books.error(code, "a-1-2")) == []
    assert books.orders.get("a-1-2").working
    assert f"{code} about a-1-2" in books.channel.take_doubt(looking=True)


def doubts(code, channel=OrderChannel):
    books = started(channel)
    assert books.hear(books.error(code)) == []
    assert books.orders.get("a-1-1").working
    looked_at_anyhow = code in (103, 161)
    assert looked_at_anyhow or f"{code} about a-1-1" in books.channel.take_doubt(looking=True)


class TakesEveryRefusalForAnEnd(OrderChannel):
    """Ends an order that was never acknowledged by a code of a change, of a cancel or of an order id."""

    def _error(self, said, ts):
        return super()._error(msgspec.structs.replace(said, code=201), ts)


@pytest.mark.parametrize("code", [103, 104, 105, 135, 136, 161])
def test_a_code_about_an_id_or_a_cancel_does_not_end_an_order_that_may_work(code):
    doubts(code)
    with pytest.raises(AssertionError):
        doubts(code, TakesEveryRefusalForAnEnd)


def test_inactive_does_not_end_an_order_but_asks_for_a_look():
    books = started()
    books.hear(books.open(status="Inactive"))
    assert books.orders.get("a-1-1").working
    assert "inactive" in books.channel.take_doubt(looking=False)


def test_a_second_permanent_id_is_an_incident_and_one_cancel_does_not_end_the_order():
    books = started()
    books.hear(books.open(perm=900), books.open(perm=901))
    assert "two permanent ids" in books.channel.take_doubt(looking=False)
    books.hear(books.status("Cancelled", perm=900))
    assert books.orders.get("a-1-1").working
    books.hear(books.status("Cancelled", perm=901))
    assert books.orders.get("a-1-1").state == "Cancelled"


def test_a_twin_that_shows_after_its_order_was_cancelled_asks_for_a_look():
    books = started()
    books.hear(books.open(perm=900), books.status("Cancelled", perm=900))
    books.channel.take_doubt(looking=False)
    books.hear(books.open(perm=901))
    assert books.channel.take_doubt(looking=False) != ""
    books.compare(books.open(perm=901))
    assert books.orders.get("a-1-1").working
    books.hear(books.status("Cancelled", perm=901))
    assert books.orders.get("a-1-1").state == "Cancelled"


def test_an_order_of_others_ends_when_the_broker_says_so():
    books = started()
    theirs = books.open("-", perm=77, order_ref="", client_id=0, order_id=5)
    assert len(of(ExternalOrderReported, books.hear(theirs, theirs))) == 1
    books = books.restarted()
    assert books.hear(theirs) == []
    books.hear(msgspec.structs.replace(books.status(perm=77), client_id=0, order_id=5, status="Cancelled"))
    assert [o.id for o in books.orders.working()] == list(ORDERS)


def test_ids_go_on_behind_those_that_others_use():
    books = started()
    books.hear(books.open("-", perm=77, order_ref="", client_id=0, order_id=4000))
    assert books.channel.out.take_id() == 4001


def test_ids_are_not_issued_again_when_the_broker_rolls_back():
    books = started().restarted()
    books.channel.out.offered(3)
    assert books.channel.out.take_id() == 19


# -- on the way out ----------------------------------------------------------------------------


def change(books, order="a-1-1", version=2):
    books.modify(order, version, sent=False)
    return Effect(
        1, ModifyIntended(books.now, order, version, ACCOUNT, "a", "ACME", D(100), D(11), None, "why")
    )


def test_a_change_waits_for_the_order_to_be_acknowledged():
    books = started()
    effect, out = change(books), books.channel.out
    assert out.holds(effect, 0)
    assert out.due(1) == ([], [])
    books.hear(books.open(limit=None, quantity=D(100)))
    assert out.due(2) == ([effect], [])
    assert not out.waits


def test_a_change_of_an_acknowledged_order_does_not_wait_after_a_restart():
    books = started()
    books.hear(books.open())
    books = books.restarted()
    assert not books.channel.out.holds(change(books), 0)


def test_a_change_that_waits_too_long_or_in_vain_is_not_sent():
    books = started()
    late, out = change(books), books.channel.out
    out.holds(late, 0)
    go, never = out.due(10 * 10**9)
    assert (go, [effect for effect, _ in never]) == ([], [late])
    out.holds(late, 0)
    books.hear(books.error(201))
    assert out.due(1) == ([], [(late, "the order has ended")])


def test_what_waits_when_the_connection_ends_is_not_kept():
    books = started()
    effect = change(books)
    books.channel.out.holds(effect, 0)
    assert books.channel.out.drop() == [effect]
    assert not books.channel.out.waits


def test_a_cancel_waits_for_nothing():
    books = started()
    cancel = Effect(1, CancelIntended(books.now, "a-1-1", ACCOUNT, "a", "ACME", "why"))
    assert not books.channel.out.holds(cancel, 0)
    assert books.channel.out.closed([cancel]) == ""


@pytest.mark.parametrize("order", ["a" * 60, "größe-1-1", "tab\t-1-1"])
def test_a_reference_is_short_and_printable_whatever_the_strategy_is_called(order):
    books = Books()
    books.attempt(order)
    assert len(books.ref(order)) <= 36
    assert books.ref(order).isascii()
    assert books.ref(order).isprintable()


def test_the_kinds_that_the_channel_tells_of_fills_are_the_folds_own():
    books = started()
    events = books.hear(books.execution("e1.01"), books.execution("e1.02", price="9"), commission("e1.02"))
    assert [type(e) for e in events[1:]] == [Filled, FillCorrected, CommissionReported]
    assert books.account.cash(ACCOUNT, "USD") == 100_000 - 900 - 1


# -- beyond the window of orders ---------------------------------------------------------------


class AsksOrders(OrderChannel):
    """Takes an execution for news if the orders, which forget, do not know it."""

    def __init__(self, *given):
        super().__init__(*given)
        self.executions.is_news = lambda exec_id, _: self._orders.execution(exec_id) is None


def forgetful(channel=OrderChannel):
    """Return books that keep three orders, after ten that filled, and what the broker said of them."""
    known = Books(channel, keep=3)
    said = []
    for number in range(10):
        name = f"a-1-{number}"
        known.send(name, limit=None)
        shown = known.execution(f"e{number}.01", order=name, perm=900 + number), commission(f"e{number}.01")
        known.hear(*shown)
        said += shown
    assert known.orders.get("a-1-0") is None
    return known, said


def test_executions_told_again_after_their_orders_are_forgotten_do_not_count_twice():
    known, said = forgetful()
    assert known.hear(*said) == []
    assert known.positions.quantity("ACME") == D(1000)


def test_a_channel_that_asks_the_orders_tells_of_them_again():
    known, said = forgetful(AsksOrders)
    assert len(of(Filled, known.hear(*said))) >= 6


def test_a_correction_of_a_forgotten_orders_execution_stays_with_its_strategy():
    known, _ = forgetful()
    (told,) = of(FillCorrected, known.hear(known.execution("e0.02", order="a-1-0", perm=900, quantity=40)))
    assert (told.strategy, told.order) == ("a", "a-1-0")
    assert known.positions.quantity("ACME", "a") == D(940)
