"""The chain of an order, and the way back to the tick."""

from core.events import Entry, TimerFired
from core.ports import RUN_BASE
from projections.lineage import Lineage
from tests.projections.build import charge, corrected, fill, intent, status

RUN = RUN_BASE


def folded(*rows):
    lineage = Lineage()
    for seq, at, event in rows:
        lineage.apply(Entry(seq, None, at, None, event))
    return lineage


FIRST = (
    (RUN + 1, 500, intent("o1")),
    (RUN + 2, 500, status("Submitted", "o1")),
    (RUN + 3, 501, fill("F-1", "BUY", 100, 10, order="o1")),
    (RUN + 4, 501, charge("F-1", 1, order="o1")),
)
SECOND = (
    (RUN + 5, RUN + 3, intent("o2", side="SELL")),
    (RUN + 6, 502, fill("F-2", "SELL", 100, 11, order="o2")),
)


def trail(lineage, name):
    """Of the intent: where the order came from."""
    return lineage.trail(lineage.chain(name)[0])


def test_an_order_has_all_its_executions_and_an_execution_only_itself():
    second = (RUN + 7, 503, fill("F-3", "SELL", 50, 12, order="o2"))
    lineage = folded(*FIRST, *SECOND, second)
    assert [entry.seq - RUN for entry in lineage.chain("o1")] == [1, 2, 3, 4]
    assert lineage.chain("F-1") == lineage.chain("o1")
    assert [entry.seq - RUN for entry in lineage.chain("o2")] == [5, 6, 7]
    assert [entry.seq - RUN for entry in lineage.chain("F-3")] == [5, 7]


def test_the_trail_of_an_entry_is_the_input_it_was_made_at():
    lineage = folded(*FIRST)
    assert [lineage.trail(entry) for entry in lineage.chain("F-1")] == [[500], [500], [501], [501]]


def test_an_intent_made_at_a_fill_leads_on_to_the_tick_behind_it():
    assert trail(folded(*FIRST, *SECOND), "F-2") == [RUN + 3, 501]


def test_the_news_of_the_order_itself_is_no_input_of_its_trail():
    lineage = folded(*FIRST, (RUN + 5, RUN + 3, status("Cancelled", "o1")))
    assert lineage.trail(lineage.chain("o1")[-1]) == []


def test_an_intent_made_at_a_timer_leads_to_the_tick_that_let_it_fire():
    lineage = folded((RUN + 1, 700, TimerFired(5, "sma", "close")), (RUN + 2, RUN + 1, intent("o1")))
    assert trail(lineage, "o1") == [RUN + 1, 700]
    assert lineage.entry(RUN + 1).event.name == "close"


def test_an_input_that_is_its_own_cause_ends_the_trail():
    lineage = folded((7, 7, TimerFired(5, "sma", "close")), (8, 7, intent("o1")))
    assert trail(lineage, "o1") == [7]


def test_a_commission_without_an_order_joins_by_its_execution():
    lineage = folded(*FIRST[:3], (RUN + 9, 503, charge("F-1", 2, order="")))
    assert [entry.seq - RUN for entry in lineage.chain("o1")] == [1, 2, 3, 9]
    assert [entry.seq - RUN for entry in lineage.chain("F-1")] == [1, 2, 3, 9]


def test_a_correction_is_part_of_the_chain():
    lineage = folded(*FIRST, (RUN + 9, 503, corrected("F-1", 1, "BUY", 90, 10)))
    assert lineage.chain("o1")[-1].seq == RUN + 9


def test_an_unknown_id_has_no_chain():
    lineage = folded(*FIRST)
    assert (lineage.chain("nope"), lineage.entry(500)) == ([], None)
    assert (lineage.orders(), lineage.executions()) == (["o1"], ["F-1"])


def test_a_restored_lineage_answers_alike():
    lineage, restored = folded(*FIRST, *SECOND), Lineage()
    restored.load(lineage.encoded())
    assert restored.digest() == lineage.digest()
    assert restored.chain("F-2") == lineage.chain("F-2")
    assert repr(restored) == "<lineage: 2 orders, 2 executions, 6 entries>"
