"""What a page tells the reader to type exists, and the tests that it names are there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import cli
from app.configuration.settings import Settings
from core.strategy import Strategy
from tests.docs.test_docs import VERBS, settings_keys

PROJECT = Path(__file__).resolve().parents[2]
GUIDE = PROJECT / "docs" / "from-a-callback-bot.md"
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
NAMES = [page.relative_to(PROJECT).as_posix() for page in PAGES]
RISK = re.compile(r"^from (core\.(risk|exits|sizing|day_stop)|projections\.risk)\b", re.MULTILINE)


def read(name: str) -> str:
    return (PROJECT / name).read_text("utf-8")


def typed(text: str) -> set[str]:
    """Return the command lines of a page: those of its blocks, and those between backquotes."""
    blocks = re.findall(r"^```(?:bash|console)\b[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r"\n> |\\\n *", " ", block).splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    found = {line.removeprefix("$ ").partition("#")[0].strip() for line in [*lines, *inline]}
    return {line for line in found if re.match(r"(tape|python|pip|pytest)\b( |$)", line)}


def wrong(line: str) -> str:
    """Return what a `tape` command names that there is not, or an empty text."""
    context = click.Context(cli.tape)
    general = {option for item in cli.tape.params for option in item.opts}
    words = line.replace('"', " ").partition("|")[0].split()[1:]
    verb = next((word for word in words if word in VERBS), None)
    if verb is None:
        return "" if not words or words[0].startswith("-") or not words[0].islower() else words[0]
    command = cli.tape.get_command(context, verb)
    assert command is not None
    known = general | {option for item in command.params for option in [*item.opts, *item.secondary_opts]}
    given = [word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)]
    return " ".join(option for option in given if option not in {*known, "--help"})


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("CHANGELOG", "docs/adr"))])
def test_every_command_of_a_page_names_a_verb_and_options_that_exist(name):
    commands = [line for line in typed(read(name)) if line.startswith("tape ")]
    assert {line: wrong(line) for line in commands if wrong(line)} == {}


@pytest.mark.parametrize(
    ("line", "missing"),
    [("tape replya 2025-07-02", "replya"), ("tape replay 2025-07-02 --fats", "--fats"), ("tape status", "")],
)
def test_a_command_that_there_is_not_is_found(line, missing):
    assert wrong(line) == missing


def test_a_page_that_drifts_is_found():
    assert typed("```bash\ntape replay 1 # x\n```\n`tape status`") == {"tape replay 1", "tape status"}
    assert typed("`tape status --json`") - typed("`tape status`") == {"tape status --json"}


def test_the_guide_names_methods_and_settings_that_exist():
    text = GUIDE.read_text("utf-8")
    methods = set(re.findall(r"`self\.(\w+)\(", text))
    assert len(methods) > 8
    assert {name for name in methods if not hasattr(Strategy, name)} == set()
    keys = {f"{section} {key}" for section, key in settings_keys(Settings)}
    named = {f"{section} {key}" for section, key in re.findall(r"`\[(\w+)\] (\w+)", text)}
    assert len(named) > 5
    assert named - keys == set()


def test_the_python_of_the_guide_runs(tmp_path):
    blocks = re.findall(r"^```python file[^\n]*\n(.*?)^```$", GUIDE.read_text("utf-8"), re.M | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=PROJECT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def marks(path: Path) -> set[str]:
    """Return the names of the marks that a test module gives to all its tests."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return set(re.findall(r"pytest\.mark\.(\w+)", ast.unparse(node.value)))
    return set()


def test_the_tests_of_signals_and_of_risk_are_marked_and_can_be_run_by_themselves():
    tests = PROJECT / "tests"
    signals = sorted((tests / "signals").glob("test_*.py"))
    risk = [
        path
        for folder in ("core", "projections")
        for path in sorted((tests / folder).glob("test_*.py"))
        if RISK.search(path.read_text("utf-8"))
    ]
    assert len(signals) > 5
    assert len(risk) > 3
    assert [path.name for path in signals if "signal" not in marks(path)] == []
    assert [path.name for path in risk if "risk" not in marks(path)] == []
