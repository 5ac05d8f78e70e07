"""The command `tape` (also `python cli.py`): verbs, help and exit codes.

Owns the table of verbs and how errors become messages and exit codes. Imports nothing but click
until a verb runs, so that help is instant; what a verb does lives in `app.commands`.
"""

import os
import sys
from types import TracebackType

INTERRUPTED = 130
_told = sys.excepthook


def _leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the process where the imports below are interrupted, as a verb ends: nothing has begun yet."""
    if issubclass(kind, KeyboardInterrupt):
        os._exit(INTERRUPTED)
    _told(kind, error, trace)


sys.excepthook = _leave  # until `main` takes over; a handler of signals would cost an import more

import contextlib
import errno
from collections.abc import Sequence
from typing import Any

import click

VERSION = "0.1.0"

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Trade": {
        "live": ("app.commands.trade:live", "Trade live; --demo works offline, on a recorded day."),
        "halt": ("app.commands.control:halt", "Stop new orders, and cancel working ones if asked."),
        "resume": ("app.commands.control:resume", "Let trading go on after a halt."),
        "flatten": ("app.commands.control:flatten", "Halt, cancel everything, close all positions."),
        "kill": ("app.commands.control:kill", "Cancel everything, even if the session hangs."),
        "accept": ("app.commands.control:accept", "Accept the broker's word where the log differs."),
        "check": ("app.commands.control:check", "Say whether a session could trade now."),
    },
    "Test": {
        "replay": ("app.commands.runs:replay", "Run strategies over recorded days, as a run of its own."),
        "report": ("app.commands.report:report", "Show the results of a run; also as HTML, CSV or Excel."),
        "compare": ("app.commands.report:compare", "Show two runs side by side; also as HTML."),
        "lookahead": ("app.commands.research:lookahead", "Prove that a strategy never sees the future."),
        "optimize": ("app.commands.research:optimize", "Search a strategy's parameters, and judge the best."),
        "diff": ("app.commands.runs:diff", "Compare two runs: the first decision that differs."),
        "gateway": ("app.commands.gateway:gateway", "Serve a recorded day as a simulated IB Gateway."),
    },
    "Look": {
        "status": ("app.commands.operate:status", "Show what the log holds and who writes it."),
        "positions": ("app.commands.look:positions", "List positions."),
        "orders": ("app.commands.look:orders", "List orders, each as it stands."),
        "fills": ("app.commands.look:fills", "List executions and their commissions."),
        "events": ("app.commands.events:events", "List events, filtered; --follow waits for more."),
        "state": ("app.commands.look:state", "Show positions, orders, account and risk as of any moment."),
        "why": (
            "app.commands.events:why",
            "Show the chain from a tick to an order, its fills and costs.",
        ),
        "sql": ("app.commands.query:sql", "Run SQL over the log and its runs."),
        "preview": ("app.commands.broker_data:preview", "Ask the broker what an order would do to margins."),
    },
    "Data": {
        "fetch": ("app.commands.broker_data:fetch", "Bring historical bars from the broker into the log."),
        "record": ("app.commands.broker_data:record", "Record live market data, without any strategy."),
        "import": ("app.commands.data:import_", "Bring files of market data into the log."),
        "export": ("app.commands.data:export", "Write a slice of the log to Parquet, CSV or a test fixture."),
    },
    "Operate": {
        "init": ("app.commands.setup:init", "Start a project: configuration, code and its tests."),
        "config": ("app.commands.setup:config", "Show the effective configuration and where it comes from."),
        "strategies": ("app.commands.setup:strategies", "List strategies and their parameters."),
        "plugins": ("app.commands.setup:plugins", "List plug-ins of every kind, and what does not load."),
        "verify": ("app.commands.operate:verify", "Check every byte of the log."),
        "seal": ("app.commands.operate:seal", "Seal what is recorded so far to Parquet."),
    },
}

_STORAGE = {
    errno.ENOSPC,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    *({errno.EDQUOT} if hasattr(errno, "EDQUOT") else ()),
}
"""What the system says of a storage that is full or fails: no bug of ours, wherever it comes up."""

_NAMES = {errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOTDIR}
"""What the system says of a name that leads nowhere, or where this user may not go."""

_NAME_MAX = 100

_TARGETS = {verb: entry for verbs in GROUPS.values() for verb, entry in verbs.items()}


class Verbs(click.Group):
    """The group of all verbs; a verb's module is imported when that verb is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs in the order of the help."""
        return list(_TARGETS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a verb's command."""
        if cmd_name not in _TARGETS:
            return None
        import importlib  # noqa: PLC0415  # help does not need it

        module, _, name = _TARGETS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one may have been meant."""
        if args and args[0] not in _TARGETS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415

            near = [] if args[0] == "help" else get_close_matches(args[0], _TARGETS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "tape --help lists the verbs."
            ctx.fail(f"no verb {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs under the headings of their groups."""
        for group, verbs in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(verb, text) for verb, (_, text) in verbs.items()], col_max=12)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; a reader that went away (`tape events | head`) is a normal end."""
        _end_cleanly_on_termination()
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return result


def _end_cleanly_on_termination() -> None:
    """Turn SIGTERM into an exit that runs every `finally` on its way, as Ctrl-C does."""
    import signal  # noqa: PLC0415  # help does not need it

    def stop(_number: int, _frame: object) -> None:
        raise SystemExit(143)

    with contextlib.suppress(ValueError):  # not the main thread: whoever runs us there handles signals
        signal.signal(signal.SIGTERM, stop)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with tape replay 2025-07-02, or tape live --demo: both work offline, on a built-in sample. "
    "Global options may stand before or after the verb. Exit codes: docs/cli.md.",
)
@click.option(
    "-c",
    "--config",
    "config",
    multiple=True,
    metavar="FILE",
    help="Read this TOML or JSON file; later ones win.",
)
@click.option("--log", metavar="DIR", help="Directory of the event log (default: ./tape-log).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
@click.option("-v", "--verbose", count=True, help="Say more; with an error, show where it arose.")
@click.option("-q", "--quiet", is_flag=True, help="Say only results and errors.")
@click.version_option(VERSION, prog_name="truetape", message="%(prog)s %(version)s")
@click.pass_context
def tape(
    ctx: click.Context, config: tuple[str, ...], log: str | None, as_json: bool, verbose: int, quiet: bool
) -> None:
    """Replay recorded markets through strategies, and ask the log what happened and why."""
    ctx.ensure_object(dict).update(
        config=list(config), log=log, json=as_json, verbosity=-1 if quiet else verbose
    )


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never lets a traceback out unless `-v` asks for it."""
    try:
        return _run(args)
    except KeyboardInterrupt:  # before click takes care of it, or after
        return INTERRUPTED


def _run(args: Sequence[str] | None) -> int:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`tape status >&-`): nobody wants to read it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # open to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = list(sys.argv[1:] if args is None else args)
    asked: dict[str, Any] = {}
    try:
        code = tape.main(arguments, prog_name="tape", standalone_mode=False, obj=asked)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last line of defence: anything else is our bug
        return _failed(error, asked, verbose=_asked_for_details(arguments))
    return code if isinstance(code, int) else 0


def _asked_for_details(arguments: Sequence[str]) -> bool:
    return any(arg == "--verbose" or (arg[:1] == "-" and arg[1:2] != "-" and "v" in arg) for arg in arguments)


def _failed(error: Exception, asked: dict[str, Any], *, verbose: bool) -> int:
    """Print an error as people should see it and return its exit code."""
    from core.errors import ExitCode, TapeError  # noqa: PLC0415  # only when something went wrong

    if verbose:
        import traceback  # noqa: PLC0415

        _say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, TapeError):
        from app.commands.base import repeatable  # noqa: PLC0415

        _say(f"error: {repeatable(str(error), asked)}")
        return int(error.exit_code)
    if isinstance(error, OSError) and error.errno in _STORAGE:
        place = f"{error.filename}: " if error.filename else ""
        _say(
            f"error: {place}{error.strerror} (errno {error.errno}); what was being written is not kept: "
            "free some space or check the disk, then run the command again"
        )
        return int(ExitCode.STORE)
    if isinstance(error, OSError) and error.errno in _NAMES and isinstance(error.filename, str):
        name = error.filename if len(error.filename) <= _NAME_MAX else f"{error.filename[:_NAME_MAX]}…"
        _say(f"error: {name}: {error.strerror}; expected a place that this user can reach; check the name")
        return int(ExitCode.USAGE)
    what = " ".join(str(error).split()) or "no message"
    _say(f"bug: {type(error).__name__}: {what}")
    if not verbose:
        _say("This should not happen; run the same command with -v for the details to report.")
    return int(ExitCode.BUG)


def _say(text: str) -> None:
    """Print to stderr, if it takes anything: the exit code says it too."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

sys.excepthook = _told
