"""Run the examples of README.md and docs/*.md and write their real output: `python docs/build_examples.py`.

Each page has a directory of its own, in which its blocks run from top to bottom:

* `console`: lines that begin with `$ ` are commands (`tape` is this checkout's), the rest is output.
  `console head=N` keeps the first N lines of each command's output.
* A block of any kind with `file=NAME` is a file that the commands use.
* A file of `examples/` that a command names is there.
* `python run` is a script, and the `text` block after it is what it prints.

Any other block stays as it is.

A test renders the pages and compares, so what they show is what a reader gets.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "docs/composite.md",
    "docs/from-a-callback-bot.md",
    "docs/sql.md",
    "docs/strategies.md",
)
_BLOCK = re.compile(r"^```([^\n`]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"\bexamples/[\w/.-]*\w")
ENVIRONMENT = {
    "PYTHONPATH": str(PROJECT),
    "PYTHONUNBUFFERED": "1",  # prose and answers, in the order in which they are made
    "PYTHONDONTWRITEBYTECODE": "1",
    "NO_COLOR": "1",
    "COLUMNS": "100",
}
_TIMEOUT_S = 240
_PROGRESS = re.compile(r"^\w+: [\d,]+ of [\d,]+\n", re.MULTILINE)
"""What long work says of itself every few seconds: more on a slow machine."""


class Page:
    """One page and the directory that its blocks run in."""

    def __init__(self, name: str, directory: Path) -> None:
        self.text = (PROJECT / name).read_text("utf-8")
        self.directory = directory
        self._printed: str | None = None  # by the last script, for the text block after it

    def render(self) -> str:
        """Return the page's text with the output that its blocks have now."""
        return _BLOCK.sub(self._block, self.text)

    def _block(self, match: re.Match[str]) -> str:
        kind, *options = match[1].split()
        settings = dict(option.partition("=")[::2] for option in options)
        body, printed = match[2], self._printed
        self._printed = None
        if kind == "console":
            body = self._session(body, int(settings.get("head", 0)))
        elif "file" in settings:
            path = self.directory / settings["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, "utf-8")
        elif kind == "python" and "run" in settings:
            self._printed = _tidied(self._run([sys.executable, "-c", body]))
        elif kind == "text" and printed is not None:
            body = printed
        return f"```{match[1]}\n{body}```"

    def _session(self, body: str, head: int) -> str:
        commands = re.findall(r"^\$ (.*(?:\n> .*)*)", body, re.MULTILINE)
        for name in {name for command in commands for name in _EXAMPLE.findall(command)}:
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, self.directory / name)
        return "".join(f"$ {command}\n{self._output(command, head)}" for command in commands)

    def _output(self, command: str, head: int) -> str:
        lines = _tidied(self.shell(command.replace("\n> ", "\n"))).splitlines(keepends=True)
        if head and len(lines) > head:
            lines = [*lines[:head], "…\n"]
        return "".join(lines)

    def shell(self, line: str) -> str:
        """Return what a command line prints."""
        tape = f'tape() {{ "{sys.executable}" "{PROJECT / "cli.py"}" "$@"; }}; pytest() {{ '
        tape += f'"{sys.executable}" -m pytest -p no:cacheprovider "$@"; }}'
        return self._run(["bash", "-c", f"{tape}\n{line}"])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(  # noqa: S603  (the commands are this project's own pages)
            command,
            cwd=self.directory,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
            text=True,
            encoding="utf-8",
        )
        return done.stdout


def _tidied(text: str) -> str:
    """Return output without what differs from one machine to another."""
    text = re.sub(r"( passed.*) in \d+\.\d+s", r"\1", text)  # pytest's closing line
    text = _PROGRESS.sub("", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def render(name: str, page: type[Page] = Page) -> str:
    """Return a page with the output that its examples have now."""
    with tempfile.TemporaryDirectory(prefix="tape-docs-") as scratch:
        return page(name, Path(scratch)).render()


if __name__ == "__main__":
    for page in sys.argv[1:] or PAGES:
        (PROJECT / page).write_text(render(page), "utf-8")
