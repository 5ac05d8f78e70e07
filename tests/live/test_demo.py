"""`live --demo`: a recorded day traded over a socket, in lock step."""

from pathlib import Path

import pytest

from core.clock import iso
from core.events import CancelIntended, ModifyIntended, OrderIntended, RiskRefused, SessionEnded
from core.ports import Selection
from eventstore.reader import LogReader
from eventstore.runs import find_run

HERE = Path(__file__).parent
DAY = "2025-07-02"
UNTIL = "2025-07-02T13:50:00Z"
ALL = ("Resting", "Timed", "Pair")
ASKED = [part for name in ALL for part in ("--strategy", f"{HERE / 'strategies.py'}:{name}")]


def asked_for(entries, until):
    """Return what strategies asked for up to a time, in order, without accounts and session numbers."""
    types = frozenset({OrderIntended, ModifyIntended, CancelIntended})
    found = []
    for batch in entries.entries(Selection(types=types)):
        for entry in batch:
            event = entry.event
            told = {name: getattr(event, name) for name in event.__struct_fields__}
            told.pop("account")
            strategy, _, number = told.pop("order").rsplit("-", 2)
            if iso(told["ts"]) < until:
                found.append((type(event).__name__, strategy, number, *told.values()))
    return found


@pytest.fixture(scope="module")
def both(sample_log, tmp_path_factory):
    """The same strategies in a demo and in a replay: their orders up to a quarter of an hour after the open."""
    import shutil  # noqa: PLC0415

    import cli  # noqa: PLC0415

    root = tmp_path_factory.mktemp("both") / "log"
    shutil.copytree(sample_log, root)
    assert cli.main(["-q", "--log", str(root), "live", "--demo", *ASKED, "--until", UNTIL]) == 0
    traded = LogReader(root)
    assert cli.main(["-q", "--log", str(root), "replay", DAY, *ASKED]) == 0
    return asked_for(traded, "2025-07-02T13:49"), asked_for(find_run(root, "latest"), "2025-07-02T13:49")


def test_a_demo_asks_for_the_orders_of_a_replay_of_the_day(both):
    demo, replay = both
    assert demo == replay


def test_the_comparison_covers_all_kinds_of_orders(both):
    demo, _ = both
    assert {one[0] for one in demo} == {"OrderIntended", "ModifyIntended", "CancelIntended"}
    assert {one[1] for one in demo} == set(ALL)
    assert {one for told in demo for one in told if one in ("MKT", "LMT", "STP")} == {"MKT", "LMT", "STP"}
    assert {one for told in demo for one in told if one in ("ZVXA", "ZVXB", "ZVF-202509")} == {
        "ZVXA",
        "ZVXB",
        "ZVF-202509",
    }
    assert len(demo) > 100
