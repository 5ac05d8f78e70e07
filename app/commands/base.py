"""What every verb shares: the global options, also after the verb, and what follows from them.

A verb is a function whose first argument is its `Call`. It may return an exit code. Owns nothing
that a single verb decides.
"""

import re
import shlex
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.output import Output

if TYPE_CHECKING:
    from app.configuration.reading import Config


class Whole(click.IntRange):
    """A whole number, in the digits 0 to 9."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails on any other text."""
        return super().convert(_in_ascii(value, param, ctx), param, ctx)


class Number(click.FloatRange):
    """A number, in the digits 0 to 9."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails on any other text."""
        return super().convert(_in_ascii(value, param, ctx), param, ctx)


def _in_ascii(value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
    # Python, and so click, would take the digits of every script.
    if isinstance(value, str) and not value.isascii():
        raise click.BadParameter(f"{value!r} is not a number in the digits 0 to 9.", ctx, param)
    return value


class _Amount(Number):
    """Milliseconds or seconds; click's own range lets NaN through, and nothing can wait for infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails on one that is negative, NaN or beyond a few decades."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number.", param, ctx)
        if not 0 <= number <= _AMOUNT_MAX:
            self.fail(f"{value} is not in the range 0<=x<={_AMOUNT_MAX:.0f}.", param, ctx)
        return super().convert(value, param, ctx)


_COMMAND = re.compile(r"(?:(?<=next: )|(?<=`))tape(?= [a-z])")
KEPT = "stopped; what is done is kept: the same command goes on from here"
_AMOUNT_MAX = 1e9
AMOUNT = _Amount(min=0)
COUNT = Whole(0, 1_000_000_000)
"""How many rows: more than anything can print, and no more than what counts them can hold."""


class Call:
    """One invocation of a verb: where to write, which configuration, which log."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self.out = Output(as_json=options["json"], verbosity=options["verbosity"], again=_again(options))

    @cached_property
    def config(self) -> "Config":
        """The configuration of files, environment and `--log`; raises `ConfigError` naming every problem."""
        import os  # noqa: PLC0415

        from app.configuration.reading import load  # noqa: PLC0415  # not every verb has use for it

        files = [Path(name) for name in self._options["config"]]
        config = load(files, log=self._options["log"], environment=os.environ)
        self.out.detail(
            f"configuration: {', '.join(config.files) or 'defaults'}; log: {config.settings.log.path}"
        )
        return config

    @property
    def root(self) -> Path:
        """The directory of the log: `--log`, else `[log] path`, else `./tape-log`."""
        return Path(self.config.settings.log.path).expanduser()

    def make_sample(self, dates: str | None) -> None:
        """Import the built-in sample if there is no log for `dates` yet, or a part of the sample only."""
        from app.replay.running import sample_note  # noqa: PLC0415

        note = sample_note(self.root, dates)
        if not note:
            return
        from app.data.importing import make_builtin_sample  # noqa: PLC0415

        self.out.note(note)
        with self.out.progress("rows", stopped=KEPT) as advance:
            make_builtin_sample(self.root, lambda: bool(sample_note(self.root, dates)), advance)


def repeatable(message: str, options: dict[str, Any]) -> str:
    """Return a message whose commands look at the same log with the same configuration as this one did.

    What raises an error knows neither, and writes `next: tape verify`.
    """
    again = shlex.join(["tape", *_again(options)])
    return _COMMAND.sub(lambda _: again, message)


def _again(options: dict[str, Any]) -> list[str]:
    """Return the global options that another command needs as well."""
    again = [part for name in options.get("config", ()) for part in ("-c", name)]
    return [*again, "--log", options["log"]] if options.get("log") else again


class Verb(click.Command):
    """A command that takes the global options after its name too, where `--json` alone is shown."""

    def __init__(self, *args: Any, examples: tuple[str, ...], **kwargs: Any) -> None:
        kwargs.setdefault("epilog", "Also -c FILE, --log DIR, -v, -q: see tape --help.")
        super().__init__(*args, **kwargs)
        self.params += _global_options()
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each in a line that can be copied however narrow the terminal is."""
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)


def verb(name: str, *, kind: type[Verb] = Verb, **settings: Any) -> Callable[[Callable[..., Any]], Verb]:
    """Make a verb of a function that takes its `Call` first; `examples` are command lines for its help."""

    def decorate(function: Callable[..., Any]) -> Verb:
        def invoke(*args: Any, **kwargs: Any) -> Any:
            call = Call(click.get_current_context().obj)
            with call.out.alone():
                return function(call, *args, **kwargs)

        invoke.__doc__ = function.__doc__
        # Options written above the function by decorators travel on this attribute.
        invoke.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        command = click.command(name, cls=kind, **settings)(invoke)
        assert isinstance(command, Verb)
        return command

    return decorate


def _global_options() -> list[click.Parameter]:
    def into(
        key: str, combine: Callable[[Any, Any], Any]
    ) -> Callable[[click.Context, click.Parameter, Any], None]:
        def store(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
            if value:
                ctx.obj[key] = combine(ctx.obj[key], value)

        return store

    def option(*names: str, **kwargs: Any) -> click.Option:
        return click.Option(list(names), expose_value=False, **kwargs)

    return [
        option(
            "--json", "as_json", is_flag=True, callback=into("json", max), help="Print the result as JSON."
        ),
        option(
            "-c",
            "--config",
            "config_files",
            multiple=True,
            hidden=True,
            callback=into("config", lambda a, b: [*a, *b]),
        ),
        option("--log", "log_dir", hidden=True, callback=into("log", lambda _a, b: b)),
        option(
            "-v", "--verbose", count=True, hidden=True, callback=into("verbosity", lambda a, b: max(a, 0) + b)
        ),
        option("-q", "--quiet", is_flag=True, hidden=True, callback=into("verbosity", lambda _a, _b: -1)),
    ]


def strategy_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--strategy` and `--set`, as `strategies` and `settings`."""
    strategy = click.option(
        "--strategy",
        "strategies",
        multiple=True,
        metavar="NAME|FILE.py:Class",
        help="Run this; may be repeated.",
    )
    setting = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A parameter; NAME.KEY=VALUE for one strategy.",
    )
    return strategy(setting(function))
