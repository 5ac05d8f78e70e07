"""Fixtures that all tests share: the command line as users call it, and one log with a run to look at."""

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

import cli
from app.operation import writing
from core.clock import local
from core.events import MARKET_DATA, ImportFinished, ImportStarted, SegmentSealed
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from eventstore.sealing.client import SealWorker
from tests.once import once
from tests.sealing import SealsHere

PROJECT = Path(__file__).resolve().parent.parent
SHARED_DATA = PROJECT.parent / "shared" / "data"
MORNING_END_NS = local("2025-07-02", "10:00", "America/New_York")


# A shell that starts the tests in the background has them ignore Ctrl-C; whoever they start inherits that.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)


def sampled(rows: Iterable[Any], every: int) -> list[Any]:
    """Return the rows of a long table, of which only each n-th belongs to the ordinary run.

    The others run with `pytest -m extended`.
    """
    return [
        pytest.param(
            *(row if isinstance(row, tuple) else (row,)),
            marks=[pytest.mark.extended] if number % every else [],
        )
        for number, row in enumerate(rows)
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with most slow tests first: what begins last, all other processes wait for."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


settings.register_profile("ordinary", max_examples=50, deadline=None)
settings.register_profile("extended", max_examples=150, deadline=None)
settings.load_profile("ordinary")


def examples(most: int) -> int:
    """Return how many examples a property is tried with: `most` under `--hypothesis-profile extended`.

    The ordinary run tries a third.
    """
    return most * settings.default.max_examples // 150


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real market data kept beside the project; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the market data in ../shared/data, which is not part of the project")
    return SHARED_DATA


class Done(NamedTuple):
    """What a command left: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tape = Callable[..., Done]


def new_run(root: Path, *command: object, code: int = 0) -> str:
    """Run a command that adds one run to the log at `root`; return the run's id."""
    before = set((root / "runs").glob("*"))
    assert cli.main(["-q", "--log", str(root), *map(str, command)]) == code
    (run,) = set((root / "runs").glob("*")) - before
    return run.name


@pytest.fixture
def tape(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tape:
    """Run a command in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Done:
        capsys.readouterr()
        code = cli.main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session", autouse=True)
def sealed_here() -> Iterator[None]:
    """Seal in the process of the tests: a worker costs more to start than most logs of tests to seal.

    `eventstore.sealing.client` itself, and every command that a test starts as a process, has its worker.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "SealWorker", SealsHere)
        yield


@pytest.fixture
def sealed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal in a process of its own, as users' commands do."""
    monkeypatch.setattr(writing, "SealWorker", SealWorker)


@pytest.fixture(scope="session")
def ib_gateway_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the built-in sample, which gateways serve; tests only read it."""

    def make(place: Path) -> None:
        from app.data.importing import import_builtin_sample  # noqa: PLC0415  # not for tests of the core

        import_builtin_sample(place / "log")

    return once(tmp_path_factory, "sample", make) / "log"


@pytest.fixture(scope="session")
def sample_log(ib_gateway_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the built-in sample with one run of two strategies on 2025-07-03; tests only read it."""

    def make(place: Path) -> None:
        root = place / "log"
        shutil.copytree(ib_gateway_log, root)
        command = ["-q", "--log", str(root), "replay", "2025-07-03", "--strategy", "sma_cross"]
        command += ["--strategy", "buy_and_hold", "--set", "instrument=ZVXA"]
        command += ["--set", "sma_cross.fast=40", "--set", "sma_cross.slow=120"]
        assert cli.main(command) == 0

    return once(tmp_path_factory, "run", make) / "log"


@pytest.fixture(scope="session")
def morning_log(ib_gateway_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the sample's first half hour: enough for a strategy that acts early; tests only read it."""

    def make(place: Path) -> None:
        root = place / "log"
        journal = Journal.open(root, sealer=SealsHere(root))
        for batch in LogReader(ib_gateway_log).entries():
            for event in (entry.event for entry in batch):
                late = type(event) in MARKET_DATA and event.ts >= MORNING_END_NS
                if not late and not isinstance(event, ImportStarted | ImportFinished | SegmentSealed):
                    journal.append(event)
        journal.commit(sync=True)
        journal.close()

    return once(tmp_path_factory, "morning", make) / "log"


@pytest.fixture
def morning(morning_log: Path, tmp_path: Path) -> Path:
    """A copy of the log of the first half hour that a test may change."""
    return Path(shutil.copytree(morning_log, tmp_path / "log"))


@pytest.fixture
def log(sample_log: Path, tmp_path: Path) -> Path:
    """A copy of the sample's log that a test may change."""
    root = tmp_path / "log"
    shutil.copytree(sample_log, root)
    return root
