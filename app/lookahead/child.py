"""One replay in a process of its own, which tells what it read besides the log it was given.

Run as `python -P -m app.lookahead.child TASK ANSWER`. The current directory is a copy of the user's, in
links, where the log's place is taken by the prefix. What native code opens (DuckDB, Arrow) is not seen here.
It ends with the check.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from app.composition.seating import StrategySpec
from app.lifeline import end_with_starter
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from core.errors import StrategyRaised, TapeError
from eventstore.reading.reader import LogReader

_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/var/lib")
_CODE = (".py", ".pyc", ".so", ".pth", ".toml")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay: the log at `log`, into `scratch`; files below `own` are of the check itself."""

    log: Path
    scratch: Path
    own: Path
    real_log: Path
    period: Period
    specs: list[StrategySpec]
    options: ReplayOptions
    config: str
    config_hash: str


class Answer(msgspec.Struct, kw_only=True):
    """What came of it: the run in `scratch`, if there is one; what raised; what else was read."""

    run: str | None = None
    raised: str | None = None
    refused: str | None = None
    exit_code: int = 0
    reads: list[str] = []
    """Files outside, network addresses and programs, in the order of their first use."""
    log_reads: list[str] = []
    """Files of the whole log, which goes on beyond the cut."""


class Reads:
    """An audit hook that remembers what the process opens for reading, connects to or starts."""

    def __init__(self, task: Task) -> None:
        prefixes = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2] / "core"))
        self._ignored = (*_SYSTEM, *(os.path.realpath(path) for path in prefixes), str(task.own.resolve()))
        self._log = str(task.real_log.resolve())
        self.outside: dict[str, None] = {}
        self.log: dict[str, None] = {}

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Take one audit event; never raises."""
        if event == "open":
            self._opened(*args[:3])
        elif event in {"socket.connect", "socket.getaddrinfo"}:
            self.outside[f"the network ({args[1] if event == 'socket.connect' else args[0]})"] = None
        elif event in {"subprocess.Popen", "os.system", "os.posix_spawn"}:
            self.outside[f"another program ({args[0]})"] = None

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor: what it was opened from was seen
        if (isinstance(mode, str) and set(mode) & set("wax")) or (mode is None and flags & 3 == os.O_WRONLY):
            return
        name = os.path.realpath(os.fsdecode(path))
        if name == self._log or name.startswith(self._log + os.sep):
            self.log[name] = None
        elif not name.endswith(_CODE) and not any(_below(name, place) for place in self._ignored):
            self.outside[name] = None


def _below(name: str, place: str) -> bool:
    return name == place or name.startswith(place.rstrip(os.sep) + os.sep)


def work(task: Task) -> Answer:
    """Replay as told and return what came of it."""
    answer, reads = Answer(), Reads(task)
    if task.log.resolve() != task.real_log.resolve():
        tempfile.gettempdir()  # found by writing a file, once: queries of a log ask for it
        sys.addaudithook(reads)  # in a replay of the whole log, reading the log is what a replay does
    replay: Replay | None = None
    try:
        replay = Replay(
            task.scratch,
            LogReader(task.log),
            task.period,
            task.specs,
            task.options,
            config=task.config,
            config_hash=task.config_hash,
        )
        answer.run = replay.run().id
    except StrategyRaised as error:
        answer.raised, answer.exit_code = str(error).partition("\nthe run up to there")[0], error.exit_code
        answer.run = replay.run_id if replay is not None else None
    except TapeError as error:
        answer.refused, answer.exit_code = str(error), error.exit_code
    answer.reads, answer.log_reads = list(reads.outside), list(reads.log)
    return answer


def main(task: str, answer: str) -> None:
    """Do the task in the file `task` and write the answer to the file `answer`."""
    end_with_starter()
    told = msgspec.json.decode(Path(task).read_bytes(), type=Task, dec_hook=_decoded)
    Path(answer).write_bytes(msgspec.json.encode(work(told)))


def _decoded(kind: type, value: Any) -> Any:
    return kind(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
