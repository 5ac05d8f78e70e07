"""Models as sources: asked once a close, recorded, never called by a replay unless it is told to."""

import csv
import shutil
import time
from pathlib import Path

import pytest

import cli
from adapters.replay.signals.recommendations import SignalOptions
from app.live.asking import PluginToAsk, SignalPlugins
from app.operation.writing import writing
from app.signals.models import load_model
from app.signals.plugins import PluginOrder
from app.signals.troubles import Troubles
from core.errors import ExitCode
from core.events import SignalFileRead, SignalReceived
from eventstore.reading.reader import LogReader
from tests.logs import events_of
from tests.signals.test_indicators import walk

pytestmark = pytest.mark.signal

MODEL = Path(__file__).resolve().parents[2] / "examples" / "forecast_model.py"
DAYS = 60


def sessions():
    from datetime import date  # noqa: PLC0415

    from adapters.replay.calendar import sessions as of  # noqa: PLC0415

    return [day.date for day in of("XNYS", date(2025, 4, 1), date(2025, 7, 31))][:DAYS]


@pytest.fixture(scope="module")
def daily(tmp_path_factory):
    """A log of sixty daily bars of one share."""
    root = tmp_path_factory.mktemp("daily")
    path = root / "acme.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "open", "high", "low", "close", "volume"])
        for day, price in zip(sessions(), walk(DAYS), strict=True):
            writer.writerow([day, price, price + 1, price - 1, price, 1000])
    command = [
        "-q",
        "--log",
        str(root / "log"),
        "import",
        str(path),
        "--symbol",
        "ACME",
        "--exchange",
        "XNYS",
    ]
    assert cli.main(command) == 0
    return root / "log"


@pytest.fixture
def log(daily, tmp_path):
    shutil.copytree(daily, tmp_path / "log")
    return tmp_path / "log"


def asked(tape, log, model, *more):
    return tape("--log", log, "import", model, "--as", "signals", "--source", "lstm", *more)


def received(log):
    return events_of(log, SignalReceived)


def test_the_example_trains_and_its_forecasts_are_signals(tape, log):
    day = sessions()[50]
    done = asked(tape, log, f"{MODEL}:RandomFeatures", "--date", day, "--json")
    assert done.code == 0, done.err
    told = done.json
    assert (told["accepted"], told["rejections"]) == (5, [])
    signals = received(log)
    assert [round(signal.horizon / 86_400e9) for signal in signals] == [1, 2, 3, 4, 5]
    assert all(-1 <= signal.value <= 1 and signal.value for signal in signals)
    again = asked(tape, log, f"{MODEL}:RandomFeatures", "--date", day, "--json").json
    assert (again["accepted"], again["duplicates"]) == (0, 5)


def test_a_model_sees_no_close_after_the_one_it_is_asked_at(tape, log, tmp_path):
    (tmp_path / "spy.py").write_text(
        "class Spy:\n    window = 3\n\n    def predict(self, window):\n"
        "        assert len(window) == 3\n        return [window[-1]]\n",
        "utf-8",
    )
    day = sessions()[20]
    done = asked(tape, log, tmp_path / "spy.py", "--date", day, "--dry-run", "--json").json
    (signal,) = done["signals"]
    assert f"{walk(DAYS)[20]:g} from {walk(DAYS)[20]:g}" in signal["detail"]
    assert signal["value"] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no idea')", "bad.py:5: ValueError: no idea"),
        ("return [float('nan')]", "is not finite"),
        ("return 'up'", "expected prices"),
        ("return [[1, 2], [3, 4]]", "expected 1 to 60 prices"),
        ("return []", "expected 1 to 60 prices"),
        ("return [-1.0]", "is no price"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_what_a_model_does_wrong_is_a_rejected_row(body, said, tape, log, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(
        f"class Bad:\n    window = 5\n\n    def predict(self, window):\n        {body}\n", "utf-8"
    )
    told = asked(tape, log, path, "--json").json
    assert told["signals"] == []
    assert said in told["rejections"][0]["reason"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "a class with predict"),
        ("class A:\n    def predict(self, w): return 1.0\n", "window = None"),
        ("class A:\n    window = 0\n    def predict(self, w): return 1.0\n", "window = 0"),
        ("def f(:\n", "invalid syntax"),
        (
            "class A:\n    window = 3\n    def __init__(self): 1 / 0\n    def predict(self, w): return 1.0\n",
            ":3: Zero",
        ),
    ],
)
def test_what_is_no_model_is_refused(text, said, tape, log, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(text, "utf-8")
    done = asked(tape, log, path)
    assert done.code == ExitCode.USAGE
    assert said in done.err


COUNTED = """
from pathlib import Path

class Counted:
    window = 3

    def predict(self, window):
        calls = Path(__file__).with_suffix(".calls")
        calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
        return [window[-1] * {growth}]
"""


def test_a_replay_calls_no_model_unless_it_is_told_to(tape, log, tmp_path):
    model, config, calls = (tmp_path / name for name in ("m.py", "m.toml", "m.calls"))
    model.write_text(COUNTED.format(growth=1.01), "utf-8")
    config.write_text(
        f'[signals]\nvolatility = 0.02\n[[signals.model]]\npath = "{model.as_posix()}"\nsource = "lstm"\n',
        "utf-8",
    )
    day = sessions()[30]
    command = ["-c", config, "--log", log, "replay", day, "--strategy", "buy_and_hold"]
    command += ["--set", "instrument=ACME", "--json"]
    assert tape(*command).code == 0
    assert not calls.exists()
    assert received(log) == []
    assert tape(*command, "--recompute-signals").code == 0
    assert calls.read_text() == "xx"  # at the close before the day, and at the day's own
    first = received(log)
    model.write_text(COUNTED.format(growth=0.99), "utf-8")
    assert tape(*command).code == 0
    assert calls.read_text() == "xx"
    assert tape(*command, "--recompute-signals").code == 0
    assert [signal.value > 0 for signal in first] == [True, True]
    assert [signal.value > 0 for signal in received(log)[2:]] == [False, False]
    model.unlink()
    assert tape(*command).code == 0


def test_recomputing_needs_a_model_and_a_date(tape, log):
    done = tape("--log", log, "replay", "2025-05-01", "--recompute-signals")
    assert (done.code, "[[signals.model]]" in done.err) == (ExitCode.USAGE, True)
    done = tape("--log", log, "replay", "latest", "--recompute-signals")
    assert (done.code, "give a DATE" in done.err) == (ExitCode.USAGE, True)


HANGS = """import time

class Hangs:
    window = 1

    def predict(self, window):
        time.sleep(1e6)
"""


@pytest.mark.slow
def test_a_model_is_asked_elsewhere_and_its_word_is_recorded_once(log, tmp_path):
    desk = Asked(log, str(MODEL), str(tmp_path / "none.py"))
    told = desk.learn()
    problems = [one.problem for one in told if isinstance(one, SignalFileRead)]
    assert sorted(bool(problem) for problem in problems) == [False, True]
    assert any("no such file; expected path/file.py:Class" in problem for problem in problems)
    assert len(desk.troubles) == 1
    said = [one for one in told if isinstance(one, SignalReceived)]
    assert len(said) == 5
    assert {one.ts for one in said} == {desk.now}
    with writing(log) as writer:
        writer.journal.extend(told)
        writer.journal.commit(sync=True)
    again = Asked(log, str(MODEL)).learn()
    assert again == []  # a restart asks the same model of the same closes


def test_a_model_that_hangs_holds_up_nothing_and_is_ended_in_time(log, tmp_path):
    path = tmp_path / "hangs.py"
    path.write_text(HANGS, "utf-8")
    desk = Asked(log, str(path))
    begun = time.monotonic()
    assert desk.plugins(desk.now) == []
    assert time.monotonic() - begun < 60
    process = desk.plugins._plugins[0].reading._errand._process
    desk.seconds = 29.0
    assert desk.plugins(desk.now) == []
    assert process.poll() is None
    desk.seconds = 31.0
    (told,) = desk.plugins(desk.now)
    assert told.problem == "asking hangs.py took longer than 30 s"
    assert process.poll() is not None


@pytest.mark.slow
def test_a_session_starts_and_trades_with_a_model_that_hangs(sample_log, tape, tmp_path):
    root = Path(shutil.copytree(sample_log, tmp_path / "log"))
    (tmp_path / "hangs.py").write_text(HANGS, "utf-8")
    config = tmp_path / "tape.toml"
    config.write_text(
        '[[signals.model]]\npath = "hangs.py"\nsource = "lstm"\ntimeout_s = 1\ninstruments = ["ZVXA"]\n'
    )
    command = ["-q", "-c", config, "--log", root, "live", "--demo", "2025-07-03", "--strategy"]
    command += ["buy_and_hold", "--set", "instrument=ZVXA", "--until", "2025-07-03T13:31:00Z", "--json"]
    done = tape(*command)
    assert (done.code, done.json["fills"]) == (0, 1)
    (told,) = events_of(root, SignalFileRead)
    assert told.problem == "asking hangs.py took longer than 1 s"


class Asked:
    """Models that a session asks; seconds pass when a test says so."""

    def __init__(self, root, *paths):
        options = SignalOptions(source="lstm", volatility=0.02)
        orders = [PluginOrder(path=path, options=options, model=True) for path in paths]
        self.seconds = 0.0
        self.now = LogReader(root).coverage()[0].last_ts + 1
        self.troubles = Troubles()
        self.plugins = SignalPlugins(
            root,
            [PluginToAsk(order=order) for order in orders],
            LogReader(root),
            lambda: self.seconds,
            self.troubles,
        )

    def learn(self):
        """Return what all of them said."""
        self.plugins.wait(self.now)
        return self.plugins(self.now)


def test_the_example_says_the_same_of_the_same_window():
    first, second = load_model(str(MODEL)).model, load_model(str(MODEL)).model
    window = walk(first.window)
    assert first.predict(window) == second.predict(window)
