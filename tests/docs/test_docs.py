"""Documentation that cannot rot: what users can type, set, query or receive is described, all of it."""

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import click
import msgspec
import pytest

import cli
from app.commands.base import Verb
from app.configuration.settings import RiskSection, Settings
from app.version import VERSION
from core.errors import ExitCode
from core.events import BY_TAG, EVENT_CLASSES
from eventstore.sql.views import names

DOCS = Path(__file__).resolve().parents[2] / "docs"
VERBS = [verb for verbs in cli.GROUPS.values() for verb in verbs]


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def settings_keys(kind: type[msgspec.Struct], prefix: str = "") -> list[tuple[str, str]]:
    """Return `(section, key)` of every setting."""
    keys: list[tuple[str, str]] = []
    for name, hint in get_type_hints(kind).items():
        options = [
            item for item in (hint, *get_args(hint)) if isinstance(item, type) and get_origin(item) is None
        ]
        inner = next((item for item in options if issubclass(item, msgspec.Struct)), None)
        if inner is None or prefix:
            keys.append((prefix, name))
        if inner is not None:
            keys += settings_keys(inner, f"{prefix}.{name}" if prefix else name)
    return keys


def test_the_event_reference_is_what_the_types_say():
    spec = importlib.util.spec_from_file_location("build_events", DOCS / "build_events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert page("events.md") == module.render(), "run: python docs/build_events.py"
    assert set(module.CLASSES) == set(EVENT_CLASSES)


@pytest.mark.parametrize("tag", BY_TAG)
def test_every_event_type_is_described(tag):
    described = section(page("events.md"), BY_TAG[tag].type.__name__)
    assert f"`{tag}`" in described
    assert all(f"`{field}`" in described for field in BY_TAG[tag].type.__struct_fields__ if field != "ts")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_each_of_its_options_and_arguments_is_described(verb):
    described = section(page("cli.md"), f"`{verb}`")
    command = cli.tape.get_command(click.Context(cli.tape), verb)
    assert command is not None
    assert command.help
    missing = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            shown = (parameter.metavar or parameter.human_readable_name.upper()).strip("[].")
            missing += [] if shown in described else [shown]
        elif not parameter.hidden and "--json" not in parameter.opts:
            names = [*parameter.opts, *parameter.secondary_opts]
            missing += [name for name in names if name.startswith("--") and f"`{name}" not in described]
    assert missing == []


def parsed(verb: str, words: list[str]) -> click.Context:
    """Read the words after a verb as the command does, without running it."""
    command = cli.tape.get_command(click.Context(cli.tape), verb)
    assert command is not None
    before = {"config": [], "log": None, "json": False, "verbosity": 0}
    return command.make_context(verb, words, parent=click.Context(cli.tape, obj=before))


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_examples_that_it_understands(verb):
    command = cli.tape.get_command(click.Context(cli.tape), verb)
    assert isinstance(command, Verb)
    shown = command.get_help(click.Context(command, info_name=verb, terminal_width=40))
    assert command.examples
    for example in command.examples:
        program, name, *words = shlex.split(example)
        assert (program, name) == ("tape", verb)
        assert f"  {example}\n" in shown
        parsed(verb, words)


def test_an_example_that_is_not_understood_is_found():
    with pytest.raises(click.NoSuchOption):
        parsed("replay", ["2025-07-02", "--fats"])


def test_every_verb_described_exists():
    assert re.findall(r"^### `([\w-]+)`$", page("cli.md"), re.MULTILINE) == VERBS


@pytest.mark.parametrize(
    "option", [opt for item in cli.tape.params for opt in item.opts if opt.startswith("--")]
)
def test_every_global_option_is_described(option):
    assert f"`{option}" in section(page("cli.md"), "Global options") or f" {option}" in page("cli.md")


def test_the_table_of_exit_codes_is_complete():
    documented = [
        int(code) for code in re.findall(r"^\| (\d+) \|", section(page("cli.md"), "Exit codes"), re.MULTILINE)
    ]
    assert documented == [int(code) for code in ExitCode]


@pytest.mark.parametrize(("where", "key"), settings_keys(Settings))
def test_every_setting_is_described_in_the_table_of_its_section(where, key):
    text = page("configuration.md")
    described = section(text, f"`[{where.split('.')[0]}]`")
    assert f"| `{key}` |" in described


def test_every_setting_described_exists():
    described = re.findall(r"^\| `(\w+)` \|", page("configuration.md"), re.MULTILINE)
    assert sorted(described) == sorted(key for _, key in settings_keys(Settings))


def documented_defaults() -> dict[str, object]:
    """Return `section.key` with the default that its table says, where it says a value."""
    found: dict[str, object] = {}
    for name in get_type_hints(Settings):
        described = section(page("configuration.md"), f"`[{name}]`").partition("| key of ")[0]
        for key, shown in re.findall(r"^\| `(\w+)` \| (`[^|]*`|none) \|", described, re.MULTILINE):
            found[f"{name}.{key}"] = (
                None if shown == "none" else tomllib.loads(f"v = {shown.strip('`')}")["v"]
            )
    return found


def test_the_default_of_every_setting_is_what_its_table_says():
    defaults = {
        f"{name}.{key}": value
        for name, value in msgspec.to_builtins(Settings(risk_management=RiskSection()), enc_hook=str).items()
        for key, value in value.items()
    }
    told = documented_defaults()
    assert len(told) > 90
    assert {key: plain(value) for key, value in told.items()} == {key: plain(defaults[key]) for key in told}


def plain(value: object) -> object:
    """Return a value in which 5, 5.0 and "5" are the same, as they are in a configuration."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    try:
        return value if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return value


@pytest.mark.parametrize("view", names())
def test_every_sql_view_is_described(view):
    assert f"`{view}`" in page("sql.md")


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert cli.VERSION == VERSION == project["version"]


def test_each_row_of_the_table_of_faults_names_a_test_that_exists():
    rows = re.findall(r"^\|.*\| `(tests/\S+?)::(\w+)` \|$", page("operations.md"), re.MULTILINE)
    table = section(page("operations.md"), "When something breaks").splitlines()
    assert len(rows) == sum(line.startswith("|") for line in table) - 2 > 10
    missing = [
        f"{path}::{name}"
        for path, name in rows
        if f"\ndef {name}(" not in (DOCS.parent / path).read_text("utf-8")
    ]
    assert missing == []


def test_every_health_check_is_described():
    from app.configuration.settings import HealthSection  # noqa: PLC0415
    from app.watch.health import Checks  # noqa: PLC0415

    described = section(page("operations.md"), "Health")
    assert all(f"| `{check}` |" in described for check in Checks(HealthSection()).states)


def test_every_figure_of_a_report_is_defined():
    from app.report.lines import LINES  # noqa: PLC0415

    described = section(page("report.md"), "Figures") + "".join(
        section(page("report.md"), name) for name in ("Run", "Results", "Trades", "Costs", "Orders")
    )
    assert [key for key in LINES if f"`{key}`" not in described] == []
