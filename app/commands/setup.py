"""`init`, `config`, `strategies`: what a project is made of, before any data."""

import shlex
from pathlib import Path
from typing import Any

import click

from app.commands.base import Call, verb
from app.tables import plain_table
from app.values import cell


@verb("init", examples=("tape init my_project",))
@click.argument("directory", default=".", type=click.Path(path_type=Path))
def init(call: Call, directory: Path) -> None:
    """Start a project in DIRECTORY: tape.toml, a strategy, a signal source, tests. Overwrites nothing."""
    from app.plugins.scaffold import scaffold  # noqa: PLC0415

    written = scaffold(directory)
    call.out.result({"directory": str(directory), "written": [str(path) for path in written]})
    for path in written:
        call.out.line(f"wrote {path}")
    where = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
    call.out.note(f"next: {where}python -m pytest -q    then: tape replay 2025-07-02")


@verb("config", examples=("tape config", "tape config migrate old.json --output tape.toml"))
@click.argument(
    "action",
    metavar="[show|schema|migrate]",
    default="show",
    type=click.Choice(["show", "schema", "migrate"]),
)
@click.argument("old", metavar="[OLD.json]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="With migrate: write this file."
)
def config(call: Call, action: str, old: Path | None, output: Path | None) -> int:
    """Show the effective configuration: every setting, its value and where it comes from.

    `config schema` prints a JSON Schema for editors. `config migrate OLD.json` makes our TOML of another
    bot's file and lists what it does not know; exit code 1 if anything was left out.
    """
    from core.errors import UsageError  # noqa: PLC0415

    if (action == "migrate") != (old is not None):
        raise UsageError("expected: tape config, tape config schema, or tape config migrate OLD.json")
    if output is not None and old is None:
        raise UsageError("--output goes with config migrate OLD.json")
    if old is not None:
        return _migrate(call, old, output)
    if action == "schema":
        _show_schema(call)
    else:
        _show_settings(call)
    return 0


def _show_schema(call: Call) -> None:
    import json  # noqa: PLC0415

    from app.configuration.migrating import schema  # noqa: PLC0415

    call.out.result(schema())
    call.out.line(json.dumps(schema(), indent=2))


def _migrate(call: Call, old: Path, output: Path | None) -> int:
    from app.configuration.migrating import migrate, write_new  # noqa: PLC0415

    told = migrate(old)
    if output is not None:
        write_new(output, told.text)
    call.out.result(
        {
            "carried": told.carried,
            "renamed": told.renamed,
            "left": told.left,
            "output": str(output) if output else None,
            "toml": told.text,
        }
    )
    call.out.line(f"wrote {output}" if output else told.text.rstrip())
    for before, after in told.renamed.items():
        call.out.note(f"renamed: {before} is {after} here")
    for line in told.left:
        call.out.note(f"left out: {line}")
    call.out.note(f"{len(told.carried)} keys carried over, {len(told.left)} left out")
    if output is not None:
        call.out.note(f"next: tape -c {output} config")
    return 1 if told.left else 0


def _show_settings(call: Call) -> None:
    from app.configuration.reading import canonical, effective  # noqa: PLC0415

    settings = effective(call.config)
    text, digest = canonical(call.config)
    call.out.result(
        {
            "files": list(call.config.files),
            "hash": digest,
            "settings": {key: {"value": value, "origin": origin} for key, value, origin in settings},
            "canonical": text,
        }
    )
    call.out.table(
        ["setting", "value", "from"], [(key, _value(value), origin) for key, value, origin in settings]
    )
    if call.config.settings.risk_management is None:
        call.out.line("risk_management  not configured: a replay runs the profile `none`")
    call.out.line(f"hash {digest}")
    call.out.next("strategies")


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else cell(value)


@verb("strategies", examples=("tape strategies sma_cross",))
@click.argument("names", nargs=-1)
def strategies(call: Call, names: tuple[str, ...]) -> int:
    """List strategies: bundled, from packages, in ./strategies and ./plugins, and configured; or those NAMED.

    A name is one of the list, or a file (`path/file.py:Class`). Shows each one's version and its parameters
    with their defaults. Exit code 1 if any does not load.
    """
    from app.plugins.discovery import STRATEGIES  # noqa: PLC0415
    from app.plugins.kinds import broken, listing, only  # noqa: PLC0415

    settings = call.config.settings
    configured = [entry.name for entry in (*settings.replay.strategy, *settings.live.strategy)]
    rows = only(STRATEGIES, names) if names else listing(STRATEGIES, configured)
    call.out.result(rows)
    for row in rows:
        _show_plugin(call, row)
    if broken(rows):
        return 1
    needed = [item.name for item in rows[0].parameters if item.required]
    values = [f"--set {name}={'ZVXA' if name == 'instrument' else '…'}" for name in needed]
    call.out.next(" ".join(["replay 2025-07-02 --strategy", shlex.quote(rows[0].name), *values]))
    return 0


@verb("plugins", examples=("tape plugins --json",))
def plugins(call: Call) -> int:
    """List plug-ins of every kind: from packages, in ./plugins and ./strategies, and configured ones.

    Shows each one's kind, origin, version and parameters. Exit code 1 if any does not load.
    """
    from app.plugins.kinds import broken, everything  # noqa: PLC0415

    rows = everything(call.config.settings)
    call.out.result(rows)
    for row in rows:
        _show_plugin(call, row, kind=True)
    if broken(rows):
        return 1
    call.out.next("config")
    return 0


def _show_plugin(call: Call, row: Any, *, kind: bool = False) -> None:
    of_kind = f"{row.kind}  " if kind else ""
    if row.error:
        call.out.line(f"{of_kind}{row.name}\n  does not load: {row.error}")
        return
    version = f" {row.version}" if row.version else ""
    call.out.line(
        f"{of_kind}{row.name}  ({row.origin}{version})\n  {row.summary or 'says nothing of itself'}"
    )
    cells = [
        (item.name, item.type, "required" if item.required else cell(item.default)) for item in row.parameters
    ]
    if cells:
        for line in plain_table(["parameter", "type", "default"], cells, [False] * 3):
            call.out.line(f"    {line}")
