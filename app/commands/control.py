"""`halt`, `resume`, `flatten`, `kill`, `accept`, `check`: the operator's word to trading."""

import click

from app.commands.base import AMOUNT, Call, Whole, verb
from app.values import counted

_REASON = click.option("--reason", metavar="TEXT", help="Goes into the log.")
_TIMEOUT = click.option(
    "--timeout", default=20.0, show_default=True, type=AMOUNT, help="Seconds to wait for a running session."
)


@verb("halt", examples=("tape halt --cancel --reason 'news at two'",))
@click.option("--cancel", "level", flag_value="cancel", help="Also cancel our own working orders.")
@click.option(
    "--cancel-all",
    "level",
    flag_value="cancel_all",
    help="Also cancel every order of the login, by hand ones too.",
)
@_REASON
@_TIMEOUT
def halt(call: Call, level: str | None, reason: str | None, timeout: float) -> int:
    """Stop new orders, until `resume`; it outlasts restarts.

    A session that runs obeys at once and shows what the broker says afterwards; otherwise the next one does.
    """
    return _halt(call, level or "halt", reason, timeout)


@verb("flatten", examples=("tape flatten --reason 'leaving for the day'",))
@_REASON
@_TIMEOUT
def flatten(call: Call, reason: str | None, timeout: float) -> int:
    """Halt, cancel every order of the login, and close the account's positions at the market.

    Positions are those that the broker shows, once it shows no working order; each is tried once.
    """
    return _halt(call, "flatten", reason, timeout)


def _halt(call: Call, level: str, reason: str | None, timeout: float) -> int:
    from app.operation.operator import ask, verified  # noqa: PLC0415
    from core.errors import ExitCode  # noqa: PLC0415

    told = ask(call.root, "halt", timeout, _currency(call), level=level, reason=reason or "")
    seen = verified(call.root, told, timeout) if told.running else None
    call.out.result({**told.told, "by": told.by, "verified": seen})
    call.out.line(f"trading is halted ({told.told['halt']}), recorded by {told.by}")
    if not told.running:
        call.out.note(
            "no session runs: the next one obeys. Orders that rest at the broker stay there; "
            "tape kill cancels them now"
        )
    elif seen is None:
        call.out.note(f"the broker's book was not seen within {timeout:g} s; next: tape status")
    else:
        orders, positions = (
            counted(seen.working_orders, "working order"),
            counted(seen.open_positions, "position"),
        )
        what = f"{orders}, {positions} at the broker"
        call.out.line(f"{seen.level}: {'reached' if seen.reached else 'NOT REACHED'}, {what}")
    call.out.next("resume --reason TEXT")
    return ExitCode.OK if seen is None or seen.reached else ExitCode.FOUND


@verb("resume", examples=("tape resume --reason 'checked in TWS'",))
@_REASON
@_TIMEOUT
def resume(call: Call, reason: str | None, timeout: float) -> None:
    """Let trading go on after a halt, and remove the kill file."""
    from app.operation.operator import ask  # noqa: PLC0415

    told = ask(call.root, "resume", timeout, _currency(call), reason=reason or "")
    call.out.result({**told.told, "by": told.by})
    call.out.line(f"trading may go on, recorded by {told.by}")
    call.out.next("status")


@verb("accept", examples=("tape accept AAPL --reason 'bought by hand'",))
@click.argument("instrument", required=False)
@click.option("--reason", required=True, metavar="TEXT", help="Goes into the log.")
@_TIMEOUT
def accept(call: Call, instrument: str | None, reason: str, timeout: float) -> None:
    """Accept what the broker reports where it differs from the log, so that INSTRUMENT may be traded again.

    Without INSTRUMENT all breaks are accepted. Our position becomes the broker's; the difference belongs to
    no strategy.
    """
    from app.operation.operator import ask  # noqa: PLC0415

    told = ask(call.root, "accept", timeout, _currency(call), instrument=instrument or "", reason=reason)
    call.out.result({**told.told, "by": told.by})
    call.out.line(f"accepted: {', '.join(told.told['accepted'])}, recorded by {told.by}")
    call.out.next("positions --run log")


@verb("kill", examples=("tape kill --port 4002",))
@_REASON
@click.option(
    "--host", metavar="ADDRESS", help="Where TWS or Gateway is, if no session runs and it is not configured."
)
@click.option("--port", metavar="N", type=Whole(1, 65535), help="Its port.")
def kill(call: Call, reason: str | None, host: str | None, port: int | None) -> int:
    """Cancel every order of the login and let none leave, whatever state the session is in.

    Works without the log's lock and beside a session that hangs: a kill file, and a connection of its own.
    """
    from app.live.killing import kill as carry_out  # noqa: PLC0415
    from core.errors import ExitCode  # noqa: PLC0415

    done = carry_out(call.root, call.config, reason or "killed by the operator", host=host, port=port)
    call.out.result({"done": done.done, **{name: getattr(done, name) for name in done.__struct_fields__}})
    if done.kill_file:
        call.out.line(f"no order leaves while {done.kill_file} is there")
    if done.cancelled is not None:
        told = done.cancelled
        call.out.line(f"{done.place}: {told.before} working orders before, {told.after} after")
    for problem in done.problems:
        call.out.note(f"FAILED: {problem}")
    call.out.next("resume --reason TEXT")
    if done.cancelled is None:
        return ExitCode.BROKER_UNREACHABLE
    return ExitCode.OK if done.done else ExitCode.FOUND


@verb("check", examples=("tape check --connect",))
@click.option("--connect", is_flag=True, help="Also visit the configured TWS or Gateway.")
def check(call: Call, connect: bool) -> int:
    """Say whether a session could trade now, point by point, and what to do where not."""
    from app.live.checking import check as look  # noqa: PLC0415
    from core.errors import ExitCode  # noqa: PLC0415

    points = look(call.root, call.config, connect=connect)
    call.out.result([{"check": p.what, "ok": p.ok, "found": p.found, "remedy": p.remedy} for p in points])
    call.out.table(
        ["check", "ok", "found", "what to do"],
        [(p.what, "yes" if p.ok else "NO", p.found, p.remedy) for p in points],
    )
    good = all(point.ok for point in points)
    begin, again = ("live --observe", "check --connect") if connect else ("live --demo", "check")
    call.out.next(begin if good else again)
    return ExitCode.OK if good else ExitCode.FOUND


def _currency(call: Call) -> str:
    return str(call.config.settings.replay.currency)
