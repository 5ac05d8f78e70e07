"""`live --demo`: a recorded day traded over a socket, in lock step."""

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from app.configuration.reading import load
from app.live.demo import DemoBook
from app.live.running import LiveAsked, run_demo
from core.clock import iso
from core.errors import BrokerUnreachable
from core.events import CancelIntended, Filled, ModifyIntended, OrderIntended, RiskRefused, SessionEnded
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import find_run
from tests.faults.test_journal_kills import start
from tests.logs import events_of

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
DAY = "2025-07-02"
UNTIL = "2025-07-02T13:42:00Z"
ALL = ("Resting", "Timed", "Pair")
ASKED = [part for name in ALL for part in ("--strategy", f"{HERE / 'strategies.py'}:{name}")]


def asked_for(entries, until):
    """Return what strategies asked for up to a time, in order, without accounts and session numbers."""
    found = []
    for event in events_of(entries, OrderIntended, ModifyIntended, CancelIntended):
        told = {name: getattr(event, name) for name in event.__struct_fields__}
        told.pop("account")
        strategy, _, number = told.pop("order").rsplit("-", 2)
        if iso(told.pop("ts")) < until:  # executions are told in whole seconds, so times may differ
            found.append((type(event).__name__, strategy, number, *told.values()))
    return found


@pytest.fixture(scope="module")
def both(ib_gateway_log, tmp_path_factory):
    """The same strategies in a demo and in a replay: their orders up to shortly after the open."""
    import cli  # noqa: PLC0415

    root = tmp_path_factory.mktemp("both") / "log"
    shutil.copytree(ib_gateway_log, root)
    assert cli.main(["-q", "--log", str(root), "live", "--demo", *ASKED, "--until", UNTIL]) == 0
    traded = LogReader(root)
    assert cli.main(["-q", "--log", str(root), "replay", DAY, *ASKED]) == 0
    return asked_for(traded, "2025-07-02T13:41"), asked_for(find_run(root, "latest"), "2025-07-02T13:41")


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


def ended(log):
    return [end.reason for end in events_of(log, SessionEnded)]


def test_a_second_demo_begins_with_nothing_of_the_first(log, tape):
    own = f"{HERE / 'strategies.py'}:Early"
    first = tape(
        "--log", log, "live", "--demo", "--strategy", own, "--until", "2025-07-02T12:30:00Z", "--json"
    )
    again = tape(
        "--log", log, "live", "--demo", "--strategy", own, "--until", "2025-07-02T12:30:00Z", "--json"
    )
    keys = ("intents", "orders", "fills", "refused", "commissions", "end_equity")
    assert [first.json[key] for key in keys] == [again.json[key] for key in keys]
    assert (first.json["session"], again.json["session"]) == (1, 2)
    fills = events_of(log, Filled)
    assert [(f.account, f.order) for f in fills] == [
        ("DU1000001", "Early-1-1"),
        ("DU1000002", "Early-2-1"),
    ]


def test_a_session_that_observes_decides_and_sends_nothing(log, tape):
    done = tape("--log", log, "live", "--demo", "--observe", "--until", "2025-07-02T13:36:00Z", "--json")
    assert done.code == 0
    assert done.json["intents"] == done.json["refused"] > 0
    assert (done.json["orders"], done.json["fills"]) == (0, 0)
    refused = events_of(log, RiskRefused)
    assert {(one.rule, one.message) for one in refused} == {
        ("gate", "this session only observes: it sends nothing")
    }
    assert tape("--log", log, "replay", DAY, "--fills", "recorded").code == 0


def test_a_strategy_that_raises_ends_the_session_with_8(log, tape):
    done = tape("--log", log, "live", "--demo", "--strategy", f"{HERE / 'strategies.py'}:Broken")
    assert done.code == 8
    assert "as planned" in done.err
    assert ended(log) == ["failed"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["2025-07-02"], "did you mean tape live --demo 2025-07-02?"),
        (["--demo", "--speed", "step"], "--speed step"),
        (["--demo", "--speed", "0"], "--speed 0"),
        (["--speed", "2", "--account", "DU1"], "only a demo has one"),
        (["--demo", "--account", "DU1"], "a demo makes an account of its own"),
        (["--demo", "--until", "noon"], "--until 'noon': expected a time such as 2025-07-02T10:05-04:00"),
        (["--demo", "--until", "184400"], "--until '184400': expected a time such as"),
        (["--demo", "--until", ""], "--until '': expected a time such as"),
        (
            ["--demo", "--until", "2020-01-01"],
            "--until 2020-01-01T00:00:00.000Z is not ahead: the session begins at 2025",
        ),
        ([], "no account: name it with --account"),
        (["--account", "U1234567"], '[trading] mode = "live"'),
        (["--account", "DU1234567"], "give a --strategy, or a watchlist"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(log, tape, arguments, says):
    before = LogReader(log).last_seq()
    done = tape("--log", log, "live", *arguments)
    assert done.code == 2, done.err
    assert says in done.err
    assert LogReader(log).last_seq() == before


def test_a_date_without_data_is_named(log, tape):
    done = tape("--log", log, "live", "--demo", "2025-07-09")
    assert done.code == 7
    assert "2025-07-09" in done.err


COMPOSITE = HERE.parents[1] / "examples" / "composite.toml"


def test_the_composite_with_sizes_and_automatic_exits_asks_for_the_orders_of_a_replay(morning, tape):
    done = tape(
        "-c", COMPOSITE, "--log", morning, "live", "--demo", DAY, "--until", "2025-07-02T13:50:00Z", "--json"
    )
    assert done.code == 0, done.err  # proven: replayed from the log with the same decisions
    assert tape("-c", COMPOSITE, "--log", morning, "replay", DAY, "--fills", "recorded").code == 0
    traded = asked_for(LogReader(morning), "2025-07-02T13:49")
    parameters = ("--strategy", "composite", "--set", "every=20")
    replayed = tape("-c", COMPOSITE, "--log", morning, "replay", DAY, *parameters, "--json")
    assert replayed.code == 0, replayed.err
    assert traded == asked_for(find_run(morning, replayed.json["run"]), "2025-07-02T13:49")
    assert {"composite", "exit-composite"} <= {one[1] for one in traded}


def test_the_book_of_a_killed_demo_is_removed_only_when_its_gateway_has_ended(tmp_path, monkeypatch):
    book = DemoBook(tmp_path / "book")
    gateway = start(book.path, "hold")
    seen = []

    def meanwhile(_):
        seen.append(Layout(book.path).exists())
        gateway.kill()
        gateway.wait(60)

    monkeypatch.setattr("app.live.demo.time", SimpleNamespace(monotonic=time.monotonic, sleep=meanwhile))
    try:
        book.remove()
    finally:
        gateway.kill()
        gateway.communicate()
    assert seen == [True]
    assert not book.path.exists()


def test_a_demo_beside_another_is_refused_at_once(log, tape, monkeypatch):
    monkeypatch.setattr("app.live.demo.time", SimpleNamespace(monotonic=time.monotonic, sleep=pytest.fail))
    others = [start(path, "hold") for path in (log, DemoBook.of(log, DAY).path)]
    try:
        done = tape("--log", log, "live", "--demo")
    finally:
        for other in others:
            other.kill()
            other.communicate()
    assert done.code == 6
    assert f"{log}: held by process {others[0].pid}" in done.err


def killing(teller):
    """Kill the demo's gateway once the session has heard of the market."""
    if teller.session.inputs > 500:
        for child in psutil.Process().children():
            if "gateway" in child.cmdline():
                child.kill()


@pytest.mark.extended
def test_a_demo_whose_gateway_dies_ends_at_once_and_says_so(ib_gateway_log, tmp_path):
    root = Path(shutil.copytree(ib_gateway_log, tmp_path / "log"))
    with pytest.raises(BrokerUnreachable, match=r"the demo's gateway ended: .*run the command again"):
        run_demo(root, load(()), DAY, LiveAsked(), look=killing, say=print)
    [end] = events_of(root, SessionEnded)
    assert end.reason == "stopped"
