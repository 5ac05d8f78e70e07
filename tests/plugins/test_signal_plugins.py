"""Old bot code as a source of signals: asked elsewhere, read strictly, named if it fails, not waited for."""

import time
from pathlib import Path

import pytest

from adapters.replay.signals.recommendations import SignalOptions
from app.live.asking import PluginToAsk, SignalPlugins
from app.signals.plugins import PluginOrder
from core.clock import local
from core.events import RowRejected, SignalFileRead, SignalReceived
from core.ports import Selection
from eventstore.reading.reader import LogReader
from tests.conftest import sampled
from tests.logs import events_of

NOW = local("2025-07-02", "10:00", "America/New_York")
HOUR_NS = 3_600_000_000_000
SECOND_NS = 10**9
PATIENCE_S = 60
ROOT = Path(__file__).resolve().parents[2]


class Desk:
    """Plug-ins of a session whose time a test says; real seconds pass only for their processes."""

    def __init__(self, root, plugins):
        self.seconds = 0.0
        self.asked = SignalPlugins(root, plugins, LogReader(root), lambda: self.seconds)
        self.slowest = 0.0

    def look(self, now=NOW):
        begun = time.monotonic()
        found = self.asked(now)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return found

    def learn(self, now=NOW):
        """Look until something is said, and until all that are asked have answered."""
        found = self.look(now)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found += self.look(now)
            if found and not any(one.reading for one in self.asked._plugins):
                return found
            time.sleep(0.02)
        raise AssertionError("no answer")

    @property
    def process(self):
        return self.asked._plugins[0].reading._errand._process


@pytest.fixture
def ask(log, tmp_path):
    """Return what makes a desk that asks the code given."""
    made = []

    def make(text, *, name="old.py", source="old", instruments=("ZVXA",), **more):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        order = {key: more.pop(key) for key in ("method", "argument") if key in more}
        options = SignalOptions(source=source, volatility=0.02, **more.pop("options", {}))
        order = PluginOrder(
            path=str(path), options=options, valid_ns=HOUR_NS, instruments=instruments, **order
        )
        made.append(Desk(log, [PluginToAsk(order=order, **more)]))
        return made[-1]

    yield make
    for one in made:
        one.asked.close()


def says(text):
    return f"def generate_signal(symbol):\n    {text}\n"


@pytest.mark.parametrize(
    ("said", "value", "confidence"),
    sampled(
        [
            ("0.25", 0.25, 1.0),
            ("-1", -1.0, 1.0),
            ("'BUY'", 1.0, 1.0),
            ("'sell'", -1.0, 1.0),
            ("'HOLD'", 0.0, 1.0),
            ("'买入'", 1.0, 1.0),
            ("{'value': 0.5, 'confidence': 0.8}", 0.5, 0.8),
            ("{'signal': 'SELL', 'price': 3}", -1.0, 1.0),
            ("__import__('numpy').float32(0.5)", 0.5, 1.0),
            ("__import__('enum').Enum('Side', 'BUY SELL').BUY", 1.0, 1.0),
        ],
        every=3,
    ),
)
def test_a_number_a_word_or_a_dict_is_an_opinion_as_of_now(said, value, confidence, ask):
    told, signal = ask(says(f"return {said}")).learn()
    assert isinstance(told, SignalFileRead)
    assert (told.source, told.file, told.accepted, told.problem) == ("old", "old.py", 1, "")
    assert isinstance(signal, SignalReceived)
    assert (signal.instrument, signal.value, signal.confidence) == ("ZVXA", value, confidence)
    assert (signal.ts, signal.as_of, signal.expires) == (NOW, NOW, NOW + HOUR_NS)


@pytest.mark.parametrize(
    ("body", "reason"),
    sampled(
        [
            ("return float('nan')", "said nan: expected a number from -1 to 1"),
            ("return float('inf')", "said inf"),
            ("return 7", "said 7: expected"),
            ("return None", "say 0 or 'HOLD' for no opinion"),
            ("return True", "said True"),
            ("return 'MAYBE'", "said 'MAYBE'"),
            ("return [1]", "said [1]"),
            ("return {}", "expected one of value, signal, score, action"),
            ("return {'value': 1, 'confidence': 2}", "said a confidence of 2"),
            ("raise ValueError('no data')", "old.py:2: raised ValueError: no data"),
            ("import sys; sys.exit(3)", "old.py:2: raised SystemExit: 3"),
            ("raise KeyboardInterrupt", "old.py:2: raised KeyboardInterrupt"),
            ("return type('Odd', (), {'__repr__': lambda s: 1 / 0})()", "said a Odd"),
        ],
        every=2,
    ),
)
def test_rubbish_and_what_is_raised_is_a_rejected_row_that_names_symbol_and_place(body, reason, ask):
    told, bad = ask(says(body)).learn()
    assert (told.accepted, told.rejected, told.problem) == (0, 1, "")
    assert isinstance(bad, RowRejected)
    assert bad.reason.startswith("ZVXA: ")
    assert reason in bad.reason


def test_one_symbol_that_fails_leaves_the_others(ask, log):
    known = _instruments(log)
    names = [one.instrument for one in known]
    text = says(f"return 1 / (symbol != {known[0].symbol!r})")
    told, *rest = ask(text, instruments=tuple(names)).learn()
    assert (told.rejected, told.accepted) == (1, len(names) - 1)
    assert [type(one) for one in rest[:1]] == [RowRejected]


def _instruments(root):
    from app.signals.reading import market_of  # noqa: PLC0415

    return market_of(LogReader(root), NOW).instruments


@pytest.mark.parametrize(
    ("text", "problem"),
    sampled(
        [
            ("1 / 0\n" + says("return 1"), "old.py:1: ZeroDivisionError"),
            ("import sys\nsys.exit(0)\n" + says("return 1"), "old.py:2: SystemExit"),
            ("def generate_signal(symbol:\n", "old.py:1: "),
            ("x = 1\n", "has no signal source"),
            (says("import os; os._exit(3)"), "asking old.py ended with code 3: it exits, crashes"),
            (says("import os; os.kill(os.getpid(), 11)"), "ended with code -11"),
            (says("import os; os.close(1); os._exit(0)"), "ended with code 0"),
            (
                "class A:\n    def __init__(self):\n        raise OSError('no licence')\n    "
                + says("return 1").replace("(symbol)", "(self, symbol)").replace("\n    ", "\n        "),
                "old.py:3: raised OSError: no licence",
            ),
            (
                "class A:\n    def generate_signal(self, symbol): ...\n    def predict(self, window): ...\n",
                "say which: method = 'generate_signal'",
            ),
        ],
        every=2,
    ),
)
def test_what_concerns_the_whole_plugin_is_its_problem_and_ends_nothing_else(text, problem, ask):
    desk = ask(text)
    (told,) = desk.learn()
    assert problem in told.problem
    assert desk.slowest < PATIENCE_S / 6


def test_one_that_hangs_is_ended_with_all_that_it_started(ask):
    desk = ask("import subprocess\nsubprocess.Popen(['sleep', '1000'])\n" + says("while True: pass"))
    assert desk.look() == []
    process = desk.process
    desk.seconds = 29.0
    assert desk.look() == []
    assert process.poll() is None
    desk.seconds = 31.0
    (told,) = desk.look()
    assert told.problem == "asking old.py took longer than 30 s"
    assert process.poll() is not None


def test_what_it_prints_and_a_thread_that_it_leaves_do_not_disturb_the_answer(ask):
    text = "import os, sys, threading\nprint('hello')\nos.write(1, b'raw')\nsys.stderr.write('x' * 100000)\n"
    text += "threading.Thread(target=threading.Event().wait).start()\n" + says("print(symbol); return 1")
    told, signal = ask(text).learn()
    assert (told.problem, signal.value) == ("", 1.0)


@pytest.mark.parametrize(
    "said",
    sampled(
        [
            "[{'symbol': 'ZVXA', 'weight': 0.3}]",
            "[('ZVXA', 0.3)]",
            "{'ZVXA': 0.3}",
            "{'ZVXA': {'weight': 0.3, 'confidence': 1.0}}",
            "{'代码': ['ZVXA'], '权重': [0.3]}",
            "__import__('pandas').DataFrame({'symbol': ['ZVXA'], 'score': [1.0]})",
            "__import__('pandas').DataFrame({'weight': [0.3]}, index=['ZVXA'])",
        ],
        every=3,
    ),
)
def test_recommendations_come_as_list_dict_or_frame(said, ask):
    told, signal = ask(f"def load_custom_recommendations(source):\n    return {said}\n").learn()
    assert (told.accepted, told.problem) == (1, "")
    assert (signal.instrument, signal.value, signal.as_of) == ("ZVXA", 1.0, NOW)


@pytest.mark.parametrize(
    ("said", "reason"),
    sampled(
        [
            ("{'NONE': 1.0}", "unknown symbol 'NONE'"),
            ("{'ZVXA': float('nan')}", "is not finite"),
            ("{'ZVXA': None}", "is empty"),
            ("__import__('pandas').DataFrame({'symbol': ['ZVXA'], 'score': ['high']})", "is text"),
            ("[('ZVXA', 1, ), ('ZVXA', 2)]", "duplicate"),
        ],
        every=3,
    ),
)
def test_a_row_of_recommendations_that_is_wrong_is_rejected_by_itself(said, reason, ask):
    found = ask(f"def load_custom_recommendations(source):\n    return {said}\n").learn()
    assert found[0].rejected == 1
    assert reason in next(one.reason for one in found if isinstance(one, RowRejected))


@pytest.mark.parametrize(
    ("said", "problem"),
    sampled(
        [
            ("None", "load_custom_recommendations said None: expected a list or dict"),
            ("7", "said 7"),
            ("['ZVXA']", "said a list with 'ZVXA'"),
            ("[{'a': 1}]", "symbol"),
            ("[('A', 1)] * 30000", "30,000 rows"),
        ],
        every=3,
    ),
)
def test_recommendations_that_are_no_table_are_a_problem(said, problem, ask):
    (told,) = ask(f"def load_custom_recommendations(source):\n    return {said}\n").learn()
    assert problem in told.problem


def test_recommendations_are_given_their_argument(ask):
    text = "def load_custom_recommendations(source):\n    return {source: 1}\n"
    _, signal = ask(text, argument="ZVXA").learn()
    assert signal.instrument == "ZVXA"


def test_a_model_is_asked_at_the_last_close(ask):
    text = "class M:\n    window = 1\n    def predict(self, window):\n        return [window[-1] * 1.01]\n"
    now = local("2025-07-03", "10:00", "America/New_York")
    told, signal = ask(text).learn(now)
    assert (told.problem, signal.ts, signal.value > 0) == ("", now, True)
    assert signal.as_of == local("2025-07-02", "16:00", "America/New_York")


def test_it_is_asked_again_when_it_is_due_and_never_twice_at_a_time(ask):
    desk = ask(says("return 1"), every_s=60.0)
    desk.learn()
    assert desk.look(NOW + 59 * SECOND_NS) == []
    assert desk.asked._plugins[0].reading is None
    later = NOW + 60 * SECOND_NS
    assert desk.learn(later)[0].ts == later
    desk.look(NOW + 200 * SECOND_NS)
    first = desk.process
    desk.asked._plugins[0].reading.answer = lambda _now: None
    assert desk.look(NOW + 400 * SECOND_NS) == []
    assert desk.process is first


def test_a_time_of_day_is_that_of_the_exchange_and_comes_once(ask):
    desk = ask(says("return 1"), at=("10:30", "15:50"))
    assert desk.look(NOW) == []
    assert desk.asked._plugins[0].reading is None
    due = NOW + 30 * 60 * SECOND_NS
    assert desk.learn(due)[0].ts == due
    assert desk.look(due + HOUR_NS) == []
    assert desk.asked._plugins[0].reading is None


def test_a_session_that_begins_later_asks_at_once_unless_it_was_asked(ask, log):
    from app.operation.writing import writing  # noqa: PLC0415

    late = NOW + HOUR_NS
    first = ask(says("return 1"), at=("10:30",))
    events = first.learn(late)
    with writing(log) as writer:
        writer.journal.extend(events)
        writer.journal.commit(sync=True)
    second = ask(says("return 1"), at=("10:30",))
    second.look(late + HOUR_NS)
    assert second.asked._plugins[0].reading is None


def test_without_a_time_it_is_asked_once_a_session(ask):
    desk = ask(says("return 1"))
    desk.learn()
    assert desk.look(NOW + 5 * HOUR_NS) == []
    assert desk.asked._plugins[0].reading is None


def files_told(reader):
    return [told.file for told in events_of(reader, SignalFileRead)]


GOOD = """import pathlib


def generate_signal(symbol):
    with open(pathlib.Path(__file__).with_suffix(".calls"), "a") as calls:
        calls.write("x")
    return 1
"""
HOSTILE = {
    "raises.py": "1 / 0",
    "hangs.py": "def generate_signal(symbol):\n    while True: pass",
    "prints.py": "print('x' * 100000)\ndef generate_signal(symbol):\n    return float('nan')",
    "exits.py": "import os\ndef generate_signal(symbol):\n    os._exit(3)",
}


@pytest.mark.slow
def test_a_session_trades_on_whatever_its_plugins_do_and_its_proof_calls_none(log, tmp_path):
    from app.configuration.reading import load  # noqa: PLC0415
    from app.live.proving import prove  # noqa: PLC0415
    from app.live.running import LiveAsked, run_demo  # noqa: PLC0415
    from app.replay.recorded import recorded_sessions  # noqa: PLC0415

    config = tmp_path / "tape.toml"
    lines = ['[trading]\nsignal_threshold = 0.3\nwatchlist = ["ZVXA"]\n[signals]\nweights = {old = 1.0}\n']
    for name, text in {"good.py": GOOD, **HOSTILE}.items():
        (tmp_path / name).write_text(text, "utf-8")
        source = "old" if name == "good.py" else name.removesuffix(".py")
        path = (tmp_path / name).as_posix()
        lines.append(
            f'[[signals.plugin]]\npath = "{path}"\nsource = "{source}"\nat = ["08:01"]\n'
            f"timeout_s = {2 if name == 'hangs.py' else 60}\n"
        )
    config.write_text("".join(lines), "utf-8")
    reader = LogReader(log)

    def all_told(teller):
        if len(files_told(reader)) == 1 + len(HOSTILE):
            teller.session.stopping = "told"

    asked = LiveAsked(strategies=("composite",), speed=60.0)
    run_demo(log, load([config]), "2025-07-02", asked, look=all_told, say=print)
    chosen = Selection(types=frozenset({SignalFileRead, SignalReceived}))
    held = [entry.event for batch in reader.entries(chosen) for entry in batch]
    told = {one.file: one for one in held if isinstance(one, SignalFileRead)}
    assert told["good.py"].accepted == 1
    assert "raises.py:1: ZeroDivisionError" in told["raises.py"].problem
    assert told["hangs.py"].problem == "asking hangs.py took longer than 2 s"
    assert told["prints.py"].rejected == 1
    assert "ended with code 3" in told["exits.py"].problem
    assert [(one.source, one.value) for one in held if isinstance(one, SignalReceived)] == [("old", 1.0)]
    calls = (tmp_path / "good.calls").read_text()
    (tmp_path / "good.py").unlink()
    (session,) = recorded_sessions(reader, "2025-07-02", "2025-07-02")
    assert prove(log, session).summary["decisions_hash"]
    assert (tmp_path / "good.calls").read_text() == calls


def test_a_replay_calls_no_plugin_and_only_models_can_be_asked_of_the_past(tape, log, tmp_path):
    (tmp_path / "good.py").write_text(GOOD, "utf-8")
    config = tmp_path / "tape.toml"
    config.write_text('[[signals.plugin]]\npath = "good.py"\nsource = "old"\n', "utf-8")
    command = ["-c", config, "--log", log, "replay", "2025-07-02", "--strategy", "buy_and_hold"]
    command += ["--set", "instrument=ZVXA"]
    assert tape(*command).code == 0
    done = tape(*command, "--recompute-signals")
    assert (done.code, "know the present only" in done.err) == (2, True)
    assert not (tmp_path / "good.calls").exists()
    model = "class M:\n    window = 1\n    def predict(self, window):\n        return [window[-1] * 1.01]\n"
    (tmp_path / "good.py").write_text(model, "utf-8")
    config.write_text(config.read_text() + "[signals]\nvolatility = 0.02\n", "utf-8")
    assert tape(*command, "--recompute-signals").code == 0
    told = tape("--log", log, "sql", "SELECT DISTINCT source FROM signals", "--json").json
    assert [row["source"] for row in told] == ["old"]
