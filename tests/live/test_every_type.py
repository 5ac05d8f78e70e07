"""A strategy with every type of order and brackets: the same in a replay, in a demo, and in its proof."""

import shutil
from pathlib import Path

import pytest

import cli
from core.clock import iso
from core.events import (
    CancelIntended,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderStatusChanged,
    ReconciliationFinished,
    RiskRefused,
)
from core.ports import Selection
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import find_run
from tests.logs import events_of

pytestmark = pytest.mark.extended

HERE = Path(__file__).parent
DAY, UNTIL, CUT = "2025-07-02", "2025-07-02T13:50:00Z", "2025-07-02T13:49"
EVERY = ("--strategy", f"{HERE / 'every.py'}:Every")
SESSION_FIELDS = ("account", "order", "parent", "oca", "exec_id", "ts", "venue")


def told(entries, *types):
    """Return events up to the cut without what names the session, with the number of their order."""
    found = []
    for event in events_of(entries, *types):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        numbers = [str(fields.get(name, "")).rpartition("-")[2] for name in ("order", "parent", "oca")]
        if iso(event.ts) < CUT:
            rest = [value for name, value in fields.items() if name not in SESSION_FIELDS]
            found.append((type(event).__name__, *numbers, *rest))
    return found


@pytest.fixture(scope="module", params=["max"])
def both(request, ib_gateway_log, tmp_path_factory):
    root = tmp_path_factory.mktemp("every") / "log"
    shutil.copytree(ib_gateway_log, root)
    demo = ["live", "--demo", *EVERY, "--until", UNTIL, "--speed", request.param]
    assert cli.main(["-q", "--log", str(root), *demo]) == 0
    traded = LogReader(root)
    assert cli.main(["-q", "--log", str(root), "replay", DAY, *EVERY]) == 0
    return root, traded, find_run(root, "latest")


def test_a_demo_decides_what_a_replay_of_the_day_decides(both):
    _, demo, replay = both
    decided = (OrderIntended, ModifyIntended, CancelIntended)
    assert told(demo, *decided) == told(replay, *decided)
    assert len(told(demo, *decided)) > 100


def test_a_demo_fills_what_a_replay_of_the_day_fills(both):
    _, demo, replay = both
    assert told(demo, Filled) == told(replay, Filled)
    assert len(told(demo, Filled)) > 30


def test_the_comparison_covers_every_type_and_time_in_force(both):
    _, demo, _ = both
    batches = list(demo.entries(Selection(types=frozenset({OrderIntended, Filled}))))
    intents = {e.event.order: e.event for b in batches for e in b if isinstance(e.event, OrderIntended)}
    filled = [intents[e.event.order] for b in batches for e in b if isinstance(e.event, Filled)]
    types = {"MKT", "LMT", "STP", "STP LMT", "TRAIL", "LIT", "MOC"}
    assert {i.type for i in intents.values()} == types
    assert {i.tif for i in intents.values()} == {"DAY", "GTC", "GTD", "IOC", "FOK", "OPG"}
    assert {i.type for i in filled} == types - {"MOC"}
    assert {bool(i.parent) for i in filled} == {True, False}
    assert [no.message for no in events_of(demo, RiskRefused)] == []
    statuses = events_of(demo, OrderStatusChanged)
    assert {s.status for s in statuses} >= {"Submitted", "PreSubmitted", "Cancelled", "Filled"}


def test_nothing_in_it_makes_the_session_doubt_the_brokers_book(both):
    _, demo, _ = both
    looks = events_of(demo, ReconciliationFinished)
    assert [look.breaks for look in looks] == [0]


def test_its_session_is_proven_from_the_log(both):
    root, _, _ = both
    assert cli.main(["-q", "--log", str(root), "replay", DAY, "--fills", "recorded"]) == 0
