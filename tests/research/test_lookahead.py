"""A strategy that looks ahead is caught and the first decision that did is named; honest ones pass."""

import os
import shutil
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest

import cli
from app.lookahead.copying import Inputs
from app.lookahead.mirroring import Mirror
from app.lookahead.points import choose
from app.operation.writing import writing
from core.errors import ExitCode
from core.events import Bar, FeedDefined, Quote, QuoteBar, SessionStarted, Trade
from tests import forked
from tests.conftest import Tape, sampled
from tests.logs import events_of
from tests.orphans import gone, until
from tests.research.conftest import make_bar_log, make_log

pytestmark = pytest.mark.slow

DAY = "2025-07-02"
CHEATS = Path(__file__).with_name("cheats.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_log(tmp_path_factory.mktemp("made"), [DAY, "2025-07-03"], 240, 13)


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """The current directory of a command: a log, and the strategies."""
    shutil.copytree(made, tmp_path / "tape-log")
    shutil.copy(CHEATS, tmp_path / "cheats.py")
    return tmp_path


@pytest.fixture(scope="module")
def made_of_bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bar_log(tmp_path_factory.mktemp("bars"), DAY, ["ABC", "XYZ"], 120)


@pytest.fixture
def bars(made_of_bars: Path, tmp_path: Path) -> Path:
    """The current directory of a command: a log of minute bars of two instruments, and the strategies."""
    shutil.copytree(made_of_bars, tmp_path / "tape-log")
    shutil.copy(CHEATS.with_name("bar_cheats.py"), tmp_path / "bar_cheats.py")
    return tmp_path


def test_an_honest_strategy_is_proven(here: Path, tape: Tape) -> None:
    done = tape("lookahead", "cheats.py:Honest", DAY, "--points", 2, "--json")
    assert done.code == ExitCode.OK, done.err
    told = done.json
    assert told["verdict"] == "proven"
    assert told["decisions"] > 20
    assert [point["decisions"] > 0 for point in told["points"]] == [True, True]
    assert told["findings"] == told["reads"] == told["log_reads"] == []


def test_a_day_that_was_recorded_too_is_judged_by_the_feed_that_a_replay_reads(
    here: Path, tape: Tape
) -> None:
    """An imported feed comes before a recorded one, in the prefixes as in the log: names decide nothing."""
    root = here / "tape-log"
    trades = events_of(root, Trade)
    begin = trades[0].ts
    with writing(root) as writer:
        writer.journal.append(SessionStarted(begin, 1, "demo", "DU1", "0", "{}", "", "[]", "", "none"))
        writer.journal.append(FeedDefined(begin, "aa/stream", "recorded", "tick", consolidated=True))
        writer.journal.extend(
            [
                msgspec.structs.replace(trade, feed="aa/stream", price=trade.price + number % 7)
                for number, trade in enumerate(trades)
                if isinstance(trade, Trade)
            ]
        )
        writer.journal.commit(sync=False)
    told = tape("lookahead", "cheats.py:Honest", DAY, "--points", 1, "--json").json
    assert told["verdict"] == "proven"
    assert told["decisions"] > 20


@pytest.mark.parametrize(
    ("cheat", "how"),
    sampled(
        [("BarAtItsStart", "cut"), ("WholeFrame", "cut"), ("Remaining", "cut"), ("Forgiving", "mirrored")], 4
    ),
)
def test_a_strategy_that_looks_ahead_is_caught(here: Path, tape: Tape, cheat: str, how: str) -> None:
    done = tape("lookahead", f"cheats.py:{cheat}", DAY, "--points", 1, "--json")
    assert done.code == ExitCode.FOUND, done.err
    told = done.json
    assert told["verdict"] == "differs"
    assert told["deterministic"]
    assert how in [finding["how"] for point in told["points"] for finding in point["findings"]]


@pytest.mark.parametrize("strategy", sampled(["Running", "LabelledAtItsEnd"], 2))
def test_an_honest_strategy_on_bars_is_proven(bars: Path, tape: Tape, strategy: str) -> None:
    done = tape("lookahead", f"bar_cheats.py:{strategy}", DAY, "--points", 1, "--json")
    assert done.code == ExitCode.OK, done.err
    told = done.json
    assert (told["verdict"], told["inputs"]) == ("proven", 120)
    assert told["decisions"] > told["points"][0]["decisions"] > 0


@pytest.mark.parametrize("cheat", sampled(["LabelledAtItsStart", "WholeFrame"], 2))
def test_a_strategy_on_bars_that_looks_ahead_is_caught(bars: Path, tape: Tape, cheat: str) -> None:
    done = tape("lookahead", f"bar_cheats.py:{cheat}", DAY, "--points", 1, "--no-mirror", "--json")
    assert done.code == ExitCode.FOUND, done.err
    told = done.json
    assert (told["verdict"], told["deterministic"]) == ("differs", True)
    assert [finding["how"] for point in told["points"] for finding in point["findings"]] == ["cut"]


def test_the_first_decision_that_differs_is_named_with_its_input(here: Path, tape: Tape) -> None:
    done = tape("lookahead", "cheats.py:WholeFrame", DAY, "--points", 1, "--no-mirror")
    assert done.code == ExitCode.FOUND
    assert "LOOKS AHEAD" in done.out
    assert "first difference: with later data cut off after input" in done.out
    assert "decision " in done.out
    assert "made at: input " in done.out
    assert "whole log: " in done.out
    assert "this replay: " in done.out


@pytest.mark.extended
def test_what_lies_after_the_period_is_no_secret_source(here: Path, tape: Tape) -> None:
    """The log goes on on 07-03: the mean of all of it is not that of the day."""
    done = tape("lookahead", "cheats.py:WholeFrame", DAY, "--points", 1, "--no-mirror", "--json")
    assert "ended" in [finding["how"] for finding in done.json["findings"]]


@pytest.mark.extended
def test_a_file_outside_is_not_provable_unless_it_is_vouched_for(here: Path, tape: Tape) -> None:
    (here / "level.txt").write_text("51.2", "utf-8")
    command = ("lookahead", "cheats.py:FromAFile", DAY, "--points", 1, "--no-mirror", "--json")
    setting = ("--set", "path=level.txt")
    refused = tape(*command, *setting)
    assert (refused.code, refused.json["verdict"]) == (ExitCode.FOUND, "unproven")
    assert refused.json["reads"] == [str((here / "level.txt").resolve())]
    allowed = tape(*command, *setting, "--allow", "level.txt")
    assert (allowed.code, allowed.json["verdict"]) == (ExitCode.OK, "proven")
    assert allowed.json["allowed"] == [str((here / "level.txt").resolve())]


@pytest.mark.extended
def test_reading_the_whole_log_by_its_full_name_is_seen(here: Path, tape: Tape) -> None:
    setting = ("--set", f"path={(here / 'tape-log').resolve()}")
    done = tape(
        "lookahead", "cheats.py:WholeLogByName", DAY, "--points", 1, "--no-mirror", "--json", *setting
    )
    assert (done.code, done.json["verdict"]) == (ExitCode.FOUND, "unproven")
    assert done.json["log_reads"]


@pytest.mark.extended
def test_chance_is_told_from_foresight(here: Path, tape: Tape) -> None:
    done = tape("lookahead", "cheats.py:Dice", DAY, "--points", 1, "--no-mirror")
    assert done.code == ExitCode.FOUND
    assert "NOT PROVEN: the same log gives other decisions from one replay to the next" in done.out
    assert "LOOKS AHEAD" not in done.out


@pytest.mark.extended
def test_no_decision_proves_nothing(here: Path, tape: Tape) -> None:
    done = tape("lookahead", "cheats.py:Idle", DAY, "--points", 1, "--no-mirror")
    assert done.code == ExitCode.FOUND
    assert "NOTHING TO PROVE" in done.out


def test_a_strategy_that_raises_ends_with_its_place(here: Path, tape: Tape) -> None:
    done = tape("lookahead", "cheats.py:Raises", DAY)
    assert done.code == ExitCode.STRATEGY_RAISED
    assert "as planted" in done.err
    assert "cheats.py:" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", DAY), "no strategy 'nobody'"),
        (("cheats.py:Honest", "2020-01-01"), "2025-07-03"),
        (("cheats.py:Honest", "yesterday"), "is no date"),
        (("cheats.py:Honest", DAY, "--set", "nothing=1"), "no parameter 'nothing'"),
    ],
)
def test_rubbish_is_refused_with_a_hint(
    here: Path, tape: Tape, arguments: tuple[str, ...], words: str
) -> None:
    done = tape("lookahead", *arguments)
    assert done.code in (ExitCode.USAGE, ExitCode.DATA_MISSING)
    assert words in done.err
    assert "Traceback" not in done.err


# -- where to cut, and what else may have come -------------------------------------------------


def looked_at(place: Path, pid: Path) -> None:
    os.chdir(place)
    cli.main(["lookahead", "cheats.py:Orphaned", DAY, "--set", f"path={pid}"])


def test_the_replay_of_a_check_that_was_killed_ends_too(here: Path, tmp_path: Path) -> None:
    said, pid = tmp_path / "said.txt", tmp_path / "pid"
    assert forked.run(looked_at, here, pid, errors=said, timeout_s=120) == -signal.SIGKILL, said.read_text()
    until(lambda: gone(int(pid.read_text("utf-8"))))


def inputs(ts: list[int], *, cuttable: list[bool] | None = None, begin: int = 1) -> Inputs:
    flags = [True] * len(ts) if cuttable is None else cuttable
    return Inputs(np.arange(1, len(ts) + 1), np.array(ts), np.array(flags), begin)


def test_cuts_are_right_after_a_decision_and_right_before_another() -> None:
    assert choose(inputs(list(range(100))), [20, 80], 2) == [20, 79]


def test_a_slice_of_bars_is_not_cut_in_two() -> None:
    flags = [index % 2 == 1 for index in range(20)]
    cuts = choose(inputs(list(range(20)), cuttable=flags), [7, 13], 6)
    assert cuts
    assert all(cut % 2 == 0 for cut in cuts)
    assert 8 in cuts, "a decision on the first bar of a slice is made at the slice's end"


def test_without_decisions_cuts_are_spread_over_the_inputs() -> None:
    assert choose(inputs(list(range(100))), [], 4) == [13, 38, 62, 87]


def test_a_prefix_holds_data_of_every_instrument() -> None:
    assert min(choose(inputs(list(range(100)), begin=60), [5, 70], 8)) >= 60


def test_what_rose_falls_in_the_mirror() -> None:
    mirror = Mirror()
    mirror.learn(Trade(1, "f", "A", 10.0, 5.0))
    bar = Bar(2, 1, "f", "A", 10.0, 12.5, 8.0, 11.0, 100.0)
    quote = Quote(3, "f", "A", 12.5, 1.0, 20.0, 2.0)
    one_sided = QuoteBar(3, 2, "f", "A", 10.0, 12.5, 8.0, 11.0, 4.0, None, None, None, None, None)
    changed = list(mirror.reflect([bar, quote, one_sided]))
    assert changed[0] == Bar(2, 1, "f", "A", 10.0, 12.5, 8.0, round(100 / 11, 6), 200.0)
    assert changed[1] == Quote(3, "f", "A", 5.0, 4.0, 8.0, 2.0)
    assert changed[2].bid_open is None  # type: ignore[attr-defined]
    assert (changed[2].ask_high, changed[2].ask_low) == (12.5, 8.0)  # type: ignore[attr-defined]
