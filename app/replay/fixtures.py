"""A run as a test: its inputs, its assumptions and what it decided, in one directory of its own.

`export_fixture` copies just the market data that the run read into a small sealed log, replays from it,
and keeps the result. `load_fixture(path).replay()` does it again with today's strategy code. A fixture
needs no other log and no network; strategies are found by name, or by path from the current directory or
one around the fixture.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from adapters.replay.source import LogSource, Slice
from app.operation.writing import writing
from app.replay.comparing import first_difference
from app.replay.replaying import Replay, again
from core.errors import StoreError, UsageError
from core.events import CorporateAction, Event, FeedDefined, InstrumentDefined, SessionScheduled
from core.ports import EntryReader, entries_of
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader, find_run

_DESCRIPTION = "fixture.json"
_DEFINITIONS: frozenset[type[Event]] = frozenset(
    {FeedDefined, InstrumentDefined, SessionScheduled, CorporateAction}
)
_TEST = '''"""{title}: recorded by `tape export --fixture {name}`."""

from pathlib import Path

import truetape


def test_{identifier}_decides_as_recorded() -> None:
    fixture = truetape.load_fixture(Path(__file__).parent / "{name}")
    result = fixture.replay()
    assert result.decisions_hash == fixture.decisions_hash, result.difference
'''


class FixtureResult(msgspec.Struct, frozen=True):
    """What a fixture's replay came to; `difference` names the first decision that differs, if any does."""

    run_hash: str
    decisions_hash: str
    figures: dict[str, Any]
    difference: str | None


class Fixture:
    """A recorded run that can be replayed; make one with `load_fixture`."""

    def __init__(self, path: Path) -> None:
        self.path = path = path.absolute()
        try:
            told = msgspec.json.decode((path / _DESCRIPTION).read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError) as error:
            raise UsageError(
                f"{path / _DESCRIPTION}: not a fixture ({error}); tape export --fixture makes one"
            ) from error
        self.recorded = RunReader(path / "runs" / told["run"])

    @property
    def run_hash(self) -> str:
        """The hash of every event of the recorded run."""
        return str(self.recorded.summary["run_hash"])

    @property
    def decisions_hash(self) -> str:
        """The hash of the recorded decisions."""
        return str(self.recorded.summary["decisions_hash"])

    def replay(self) -> FixtureResult:
        """Replay the recorded inputs through the strategies as they are today; raises as a replay does."""
        with tempfile.TemporaryDirectory(prefix="tape-fixture-") as scratch, self._at_home():
            run = again(Path(scratch), LogReader(self.path), self.recorded).run()
            told = run.summary
            difference = None
            if told["decisions_hash"] != self.decisions_hash:
                difference = first_difference(self.recorded, run)
            return FixtureResult(told["run_hash"], told["decisions_hash"], told, difference)

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Be where the files of the strategies are: here, or in the nearest directory around the fixture.

        Test runners start where they like; a path in a run is from the project's directory.
        """
        told = [str(one["spec"]) for one in self.recorded.summary["strategies"]]
        files = [spec.rpartition(":")[0] for spec in told if ".py:" in spec]
        places = [Path.cwd(), *self.path.resolve().parents]
        home = next((place for place in places if all((place / file).is_file() for file in files)), places[0])
        with chdir(home):
            yield


def load_fixture(path: Path | str) -> Fixture:
    """Open the fixture in a directory; raises `UsageError` if it is none."""
    return Fixture(Path(path))


def export_fixture(root: Path, run: str, name: str, directory: Path) -> list[Path]:
    """Write the fixture `directory/name` of a run, with its test beside it; return both paths.

    The fixture is replayed before it is kept: it must decide as the run did. Raises `UsageError` if it
    exists, `StoreError` if it decides differently.
    """
    if not name.isidentifier():
        raise UsageError(f"--fixture {name}: expected a name of letters, digits and _, such as morning_cross")
    target, test = directory / name, directory / f"test_{name}.py"
    for path in (target, test):
        if path.exists():
            raise UsageError(f"{path}: exists already, and export overwrites nothing; choose another name")
    found = find_run(root, run)
    if "session" in found.summary:
        raise UsageError(
            f"run {found.id} is the proof of live session {found.summary['session']}, which needs the "
            f"broker's word; replay its date and export that run; next: tape replay {found.summary['period']}"
        )
    building = directory / f".{name}.partial"
    shutil.rmtree(building, ignore_errors=True)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _build(root, found, building)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    title = f"Run {found.id} as a test"
    test.write_text(_TEST.format(title=title, name=name, identifier=name.lower()), "utf-8")
    return [target, test]


def _build(root: Path, run: RunReader, building: Path) -> None:
    reader = LogReader(root)
    replay = again(root, reader, run)
    with writing(building) as writer:
        writer.journal.extend(list(_definitions(reader, replay)))
        writer.journal.extend([entry.event for entry in replay.plan.signals_before])
        for plan in replay.plans:
            for batch in LogSource(reader, [_unadjusted(piece) for piece in plan.slices]).batches():
                writer.journal.extend([event for _, event in batch])
                writer.journal.commit(sync=False)
    again_run = again(building, LogReader(building), run).run()
    if again_run.summary["decisions_hash"] != run.summary["decisions_hash"]:
        raise StoreError(
            f"run {run.id} decides differently when it is replayed now: {first_difference(run, again_run)}; "
            f"was the strategy changed since? next: tape replay {run.id}"
        )
    (building / _DESCRIPTION).write_bytes(
        msgspec.json.encode({"format": 1, "run": again_run.id, "of": run.id})
    )
    _keep_only(building, again_run)


def _unadjusted(piece: Slice) -> Slice:
    """Return a slice with the prices of the log: they are adjusted when the fixture is replayed."""
    return msgspec.structs.replace(piece, preparation=msgspec.structs.replace(piece.preparation, factors={}))


def _keep_only(building: Path, run: RunReader) -> None:
    """Remove what belongs to a log that is written: a fixture is read only, and knows no machine."""
    layout = Layout(building)
    (run.path / "meta.json").unlink()
    for path in (layout.lock, layout.hwm):
        path.unlink(missing_ok=True)
    for path in layout.directories:
        if path not in (layout.sealed, layout.runs):
            shutil.rmtree(path, ignore_errors=True)


def _definitions(reader: EntryReader, replay: Replay) -> Iterator[Event]:
    parts = [part for plan in replay.plans for part in plan.parts]
    feeds = {part.feed for part in parts}
    instruments = {name for part in parts for name in part.instruments}
    begin, end = min(part.begin_ts for part in parts), max(part.end_ts for part in parts)
    for entry in entries_of(reader, _DEFINITIONS):
        match entry.event:
            case FeedDefined(feed=feed) if feed in feeds:
                yield entry.event
            case InstrumentDefined(instrument=name) if name in instruments:
                yield entry.event
            case CorporateAction(instrument=name) if name in instruments:
                yield entry.event
            case SessionScheduled(begin=opens, end=ends) if opens < end and ends > begin:
                yield entry.event
