"""The check itself: a replay of the whole log, then of prefixes and of other futures, and where they part.

Decisions up to a cut must be those of the whole, byte for byte: order of events, type, time, payload, and the
input that each was made at. Writes to a temporary directory only; the log is read.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from app.composition.seating import StrategySpec
from app.lifeline import starter
from app.lookahead.child import Answer, Task
from app.lookahead.copying import Copy, Inputs, after, extend, read_inputs
from app.lookahead.mirroring import Mirror
from app.lookahead.place import mirror_directory
from app.lookahead.points import choose
from app.replay.comparing import first_of
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from core.clock import iso
from core.errors import ExitCode, StoreError, StrategyRaised, TapeError
from core.events import Entry, types_of
from core.ports import RUN_BASE
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader

How = Literal["cut", "mirrored", "ended"]
HOW: dict[How, str] = {
    "cut": "with later data cut off",
    "mirrored": "with later prices mirrored",
    "ended": "with nothing after the period in the log",
}
_DECISIONS = types_of("decision")


class Finding(msgspec.Struct, frozen=True):
    """A replay that decided otherwise before its cut: the first decision that differs, and where."""

    how: How
    input: int
    ts: str
    text: str
    number: int | None = None
    whole: str | None = None
    prefix: str | None = None
    made_at: str | None = None


class Point(msgspec.Struct, frozen=True):
    """One cut: after how many inputs and at what time, and how many decisions came before it."""

    input: int
    ts: str
    decisions: int
    findings: list[Finding]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the check came to. `verdict` is `proven`, `differs`, `unproven` (it read more) or `nothing`."""

    verdict: str
    period: str
    strategies: list[dict[str, Any]]
    inputs: int
    decisions: int
    points: list[Point]
    findings: list[Finding]
    deterministic: bool
    reads: list[str]
    allowed: list[str]
    log_reads: list[str]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to check, and how thoroughly."""

    root: Path
    period: Period
    specs: list[StrategySpec]
    options: ReplayOptions
    config: str = "{}"
    config_hash: str = ""
    points: int = 8
    mirrored: bool = True
    allowed: tuple[Path, ...] = ()


class _Decisions(msgspec.Struct, frozen=True):
    """The decisions of a run; `inputs[i]` is the input (from 1) whose slice led to the i-th."""

    entries: list[Entry]
    inputs: list[int]

    def until(self, cut: int) -> "_Decisions":
        count = sum(1 for number in self.inputs if number <= cut)
        return _Decisions(self.entries[:count], self.inputs[:count])


def check(request: Request, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Checked:
    """Check a strategy; raises `StrategyRaised` if it raises on the whole log, and as a replay does."""
    with tempfile.TemporaryDirectory(prefix="tape-lookahead-") as scratch:
        return _Check(request, Path(scratch).resolve(), progress).run()


class _Check:
    def __init__(self, request: Request, scratch: Path, progress: Callable[[int, int], None]) -> None:
        self._request = request
        self._scratch = scratch
        self._progress = progress
        self._reader = LogReader(request.root)
        self._replay = Replay(
            scratch / "unused",
            self._reader,
            request.period,
            request.specs,
            request.options,
            config=request.config,
            config_hash=request.config_hash,
        )
        self._reads: dict[str, None] = {}
        self._log_reads: dict[str, None] = {}
        self._done = 0
        self._steps = 1

    def run(self) -> Checked:
        inputs = read_inputs(self._reader, self._replay)
        whole = self._whole(inputs)
        cuts = choose(inputs, [n for n in whole.inputs if n], self._request.points)
        self._steps = 2 + len(cuts) * (1 + self._request.mirrored)
        copy = Copy(self._scratch / "prefix", self._reader, self._replay)
        points = [self._point(copy, inputs, whole, cut) for cut in cuts]
        copy.grow(len(inputs.seqs))
        ended = self._compare("ended", copy.root, copy.seqs, inputs, whole, len(inputs.seqs))
        findings = [finding for point in points for finding in point.findings] + ended
        deterministic = not findings or self._again(inputs, whole)
        allowed = {os.path.realpath(path) for path in self._request.allowed}
        outside = [name for name in self._reads if name not in allowed]
        return Checked(
            verdict=self._verdict(findings, whole, outside),
            period=str(self._replay.plan.period),
            strategies=[seated.described() for seated in self._replay.seated],
            inputs=len(inputs.seqs),
            decisions=len(whole.entries),
            points=points,
            findings=findings,
            deterministic=deterministic,
            reads=outside,
            allowed=[name for name in self._reads if name in allowed],
            log_reads=list(self._log_reads),
        )

    def _verdict(self, findings: Sequence[Finding], whole: _Decisions, outside: Sequence[str]) -> str:
        if findings:
            return "differs"
        if outside or self._log_reads:
            return "unproven"
        return "proven" if whole.entries else "nothing"

    def _whole(self, inputs: Inputs) -> _Decisions:
        answer, run = self._replayed(self._request.root, "whole")
        if answer.raised:
            raise StrategyRaised(answer.raised)
        if run is None:
            raise _Refused(answer)
        return _decisions(run, inputs.ordinal)

    def _again(self, inputs: Inputs, whole: _Decisions) -> bool:
        """Return whether the whole log gives the same decisions once more."""
        return _first(whole, self._whole(inputs), "cut", 0, "") is None

    def _point(self, copy: Copy, inputs: Inputs, whole: _Decisions, cut: int) -> Point:
        copy.grow(cut)
        before = whole.until(cut)
        findings = self._compare("cut", copy.root, copy.seqs, inputs, before, cut)
        if self._request.mirrored:
            findings += self._mirrored(copy, inputs, before, cut)
        return Point(cut, iso(int(inputs.ts[cut - 1])), len(before.entries), findings)

    def _mirrored(self, copy: Copy, inputs: Inputs, before: _Decisions, cut: int) -> list[Finding]:
        other = self._scratch / "mirrored"
        shutil.copytree(copy.root, other)
        mirror = Mirror()
        extend(other, mirror.reflect(after(self._reader, self._replay, cut, mirror.learn)))
        try:
            return self._compare("mirrored", other, copy.seqs, inputs, before, cut)
        finally:
            shutil.rmtree(other)

    def _compare(
        self, how: How, log: Path, seqs: Sequence[int], inputs: Inputs, before: _Decisions, cut: int
    ) -> list[Finding]:
        """Replay a copy and return how its decisions up to the cut differ, if they do."""
        answer, run = self._replayed(log, how)
        ts = iso(int(inputs.ts[cut - 1]))
        if run is None:
            return [Finding(how, cut, ts, f"the replay ends at once: {answer.raised or answer.refused}")]
        ordinals = {seq: number for number, seq in enumerate(seqs[:cut], 1)}
        # What a mirrored log holds beyond the cut is no input of the comparison.
        found = _decisions(run, lambda seq: ordinals.get(seq, cut + 1 if seq else 0)).until(cut)
        finding = _first(before, found, how, cut, ts)
        if answer.raised and how != "mirrored":
            why = f"the strategy raises: {answer.raised}"
            finding = finding or Finding(how, cut, ts, why)
            finding = msgspec.structs.replace(finding, text=why)
        return [finding] if finding is not None else []

    def _replayed(self, log: Path, name: str) -> tuple[Answer, RunReader | None]:
        place = self._scratch / f"run-{name}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        request = self._request
        here = mirror_directory(Path.cwd(), place / "here", request.root, log)
        task = Task(
            log=log.absolute(),
            scratch=place,
            own=self._scratch,
            real_log=request.root.absolute(),
            period=request.period,
            specs=[_located(spec) for spec in request.specs],
            options=request.options,
            config=request.config,
            config_hash=request.config_hash,
        )
        answer = _run_child(task, place, here)
        if name != "whole":
            self._reads.update(dict.fromkeys(answer.reads))
            self._log_reads.update(dict.fromkeys(answer.log_reads))
        self._done += 1
        self._progress(self._done, self._steps)
        path = place / "runs" / (answer.run or "")
        return answer, RunReader(path) if answer.run and path.is_dir() else None


class _Refused(TapeError):
    """The replay of the whole log was refused; its message and exit code are the child's."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.refused or "the replay left no run")
        self.exit_code = ExitCode(answer.exit_code or ExitCode.STORE)


def _run_child(task: Task, place: Path, here: Path) -> Answer:
    asked, told = place / "task.json", place / "answer.json"
    asked.write_bytes(msgspec.json.encode(task, enc_hook=str))
    code = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
    with starter() as line:
        done = subprocess.run(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-P", "-m", "app.lookahead.child", str(asked), str(told)],
            cwd=here,
            env={**os.environ, "PYTHONPATH": path},
            stdin=line,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if not told.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StoreError(f"the process of a replay ended with {done.returncode}: {last}")
    return msgspec.json.decode(told.read_bytes(), type=Answer)


def _located(spec: StrategySpec) -> StrategySpec:
    path, colon, name = spec.name.rpartition(":") if ".py:" in spec.name else (spec.name, "", "")
    if not path.endswith(".py"):
        return spec
    return msgspec.structs.replace(spec, name=f"{Path(path).resolve()}{colon}{name}")


def _decisions(run: RunReader, ordinal: Callable[[int], int]) -> _Decisions:
    """Return a run's decisions with the number of the input that each goes back to."""
    roots: dict[int, int] = {}
    known: dict[int, int] = {0: 0}
    entries: list[Entry] = []
    for batch in run.entries():
        for entry in batch:
            at = roots.get(entry.at, 0) if entry.at > RUN_BASE else entry.at
            roots[entry.seq] = at
            if type(entry.event) in _DECISIONS:
                entries.append(entry)
    for entry in entries:
        root = roots[entry.seq]
        if root not in known:
            known[root] = ordinal(root)
    return _Decisions(entries, [known[roots[entry.seq]] for entry in entries])


def _first(whole: _Decisions, other: _Decisions, how: How, cut: int, ts: str) -> Finding | None:
    difference = first_of(whole.entries, other.entries)
    if difference is not None:
        index = difference.number - 1
        sides = [_made(side, index) for side in (whole, other) if index < len(side.entries)]
        text = difference.text.replace("the first run", "the whole").replace("the second run", "this replay")
        return Finding(
            how, cut, ts, text, difference.number, difference.first, difference.second, " and ".join(sides)
        )
    for index, (one, two) in enumerate(zip(whole.entries, other.entries, strict=True)):
        if (one.event, whole.inputs[index]) != (two.event, other.inputs[index]):
            text = f"decision {index + 1} is the same but was made at another input"
            made = f"{_made(whole, index)} and {_made(other, index)}"
            return Finding(how, cut, ts, text, index + 1, str(one.event), str(two.event), made)
    return None


def _made(side: _Decisions, index: int) -> str:
    return f"input {side.inputs[index]:,} ({iso(side.entries[index].event.ts)})"
