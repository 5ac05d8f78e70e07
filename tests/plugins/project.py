"""A user's directory with a plug-in, a strategy and a configuration, and commands that run in it."""

from pathlib import Path
from textwrap import indent
from typing import Any

from tests.conftest import Done, Tape

UNTIL = "2025-07-02T13:40:00Z"
_STRATEGY = '''from truetape import Parameters, Strategy


class In(Parameters):
    instrument: str


class Mine(Strategy[In]):
    """Acts at some trades of the morning."""

    def __init__(self, params):
        super().__init__(params)
        self.seen = 0

    def on_trade(self, trade):
        self.seen += 1
        name = self.params.instrument
'''


class Project:
    """`plugin` is the file that the plug-in is in, `acts` what the strategy does at a trade."""

    who = ("--strategy", "mine.py:Mine", "--set", "instrument=ZVXA")

    def __init__(self, tape: Tape, log: Path, place: Path, plugin: str, acts: str) -> None:
        self._tape, self._log, self._place = tape, log, place
        self._plugin = place / "plugins" / plugin
        self._plugin.parent.mkdir()
        (place / "mine.py").write_text(_STRATEGY + indent(acts, " " * 8))

    def write(self, code: str, config: str) -> None:
        """Write the plug-in, and the configuration that names it."""
        self._plugin.write_text(code)
        (self._place / "tape.toml").write_text(config)

    def under(self, code: str, config: str, *command: object) -> Done:
        """Run a command, or a replay, under a plug-in and a configuration that are written first."""
        self.write(code, config)
        return self.tape(*command) if command else self.replay()

    def tape(self, *command: object) -> Done:
        """Run a command on the project's log."""
        return self._tape("--log", self._log, *command)

    def replay(self) -> Done:
        """Replay the strategy."""
        return self.tape("replay", "2025-07-02", *self.who, "--json")

    def demo(self) -> Done:
        """Trade the strategy in a demo of as much of the day as it acts in."""
        return self.tape("-q", "live", "--demo", "2025-07-02", *self.who, "--until", UNTIL, "--json")

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one type in the latest run."""
        rows = self.tape("events", "--run", "latest", "--type", kind, "--json").json
        return [row["data"] for row in rows]
