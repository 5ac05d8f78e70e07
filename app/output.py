"""What a command shows: its answer on stdout, as JSON or for people; prose, progress and hints on stderr.

Never decides what to show, and never prompts.
"""

import shlex
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import Any

from app.progress import Advance, progress
from app.tables import on_terminal, print_pairs, print_panels, print_table
from app.values import json_row, to_json


class Output:
    """Where a command writes. `as_json` keeps stdout for one JSON document; see `alone`."""

    def __init__(self, *, as_json: bool = False, verbosity: int = 0, again: Sequence[str] = ()) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self._tape = shlex.join(["tape", *again])
        self._answer = sys.stdout

    def alone(self) -> AbstractContextManager[Any]:
        """Return where a verb runs: under `--json` what others print, such as strategies, goes to stderr."""
        return redirect_stdout(sys.stderr) if self.as_json else nullcontext()

    def interactive(self) -> bool:
        """Return whether there is somebody to ask and to answer."""
        return sys.stdin.isatty() and self._answer.isatty()

    def result(self, value: Any) -> None:
        """Print the command's answer as JSON on stdout; does nothing unless JSON was asked for."""
        if self.as_json:
            print(to_json(value), file=self._answer)

    def lines(self, text: str) -> None:
        """Print lines of an answer that has no end, JSON or not, to be seen now."""
        print(text, file=self._answer, flush=True)

    def rows(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Print rows as JSON as they come, in the same bytes as `result` prints a list of them."""
        empty = True
        for row in found:
            print("[\n  " if empty else ",\n  ", json_row(row), sep="", end="", file=self._answer)
            empty = False
        print("[]" if empty else "\n]", file=self._answer)

    def line(self, text: str = "") -> None:
        """Print a line of the answer for people; silent under `--json`."""
        if not self.as_json:
            print(text)

    def flush(self) -> None:
        """Let what was printed be seen now: for commands that go on for long after their answer."""
        self._answer.flush()

    def note(self, text: str) -> None:
        """Say something about the work on stderr; silent under `-q`."""
        if self.verbosity >= 0:
            print(text, file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """Say something on stderr that only `-v` asks for."""
        if self.verbosity > 0:
            print(text, file=sys.stderr, flush=True)

    def command(self, verb: str) -> str:
        """Return how to call a verb again, with the `again` options that it needs."""
        return f"{self._tape} {verb}"

    def next(self, command: str, *, why: str = "") -> None:
        """Suggest the useful next command on stderr."""
        self.note(f"{why}next: {self.command(command)}")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        title: str = "",
        right: Collection[int] = (),
    ) -> None:
        """Print rows under their columns; silent under `--json`.

        Numbers are aligned to the right, and so are the columns `right`, whose numbers are text already.
        """
        if not self.as_json:
            print_table(columns, rows, title=title, right=right)

    def pairs(self, values: Mapping[str, Any], *, title: str = "") -> None:
        """Print names and values in two columns; silent under `--json`."""
        if not self.as_json:
            print_pairs(values, title=title)

    def narrower(self, columns: int) -> bool:
        """Return whether the answer goes to a terminal with less than so many columns."""
        return on_terminal(sys.stdout) and shutil.get_terminal_size().columns < columns

    def panels(self, groups: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Print groups of names and values: side by side on a terminal; silent under `--json`."""
        if not self.as_json:
            print_panels(groups)

    @contextmanager
    def progress(self, what: str, stopped: str = "") -> Iterator[Advance]:
        """Show progress on stderr unless `-q`; `stopped` is said if the user stops it: what that leaves."""
        try:
            if self.verbosity < 0:
                yield lambda _done, _total: None
            else:
                with progress(what) as advance:
                    yield advance
        except (KeyboardInterrupt, SystemExit):
            if stopped:
                self.note(stopped)
            raise
