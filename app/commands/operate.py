"""`status`, `verify`, `seal`: the log as files and processes."""

import shlex
from typing import Any

import click

from app.commands.base import AMOUNT, Call, verb
from app.live.missed import missed
from app.values import counted, size, when
from core.errors import StoreError, UsageError


@verb("status", examples=("tape status --json",))
def status(call: Call) -> None:
    """Show what the log holds, who writes it, how large it is, and how trading stands."""
    from app.look.status import status as look  # noqa: PLC0415

    found = look(call.root)
    call.out.result(found)
    who = found.holder
    call.out.pairs(
        {
            "log": found.log,
            "held by": f"process {who.get('pid')} since {who.get('start')} ({who.get('command')})"
            if who
            else "nobody",
            "trading": _trading(found),
            **_live(found.live),
            "events": f"{found.last_seq:,}, sealed up to {found.sealed_seq:,}",
            "sealed": f"{counted(found.sealed.count, 'directory', 'directories')}, "
            f"{size(found.sealed.bytes)}",
            "hot": f"{counted(found.hot.count, 'segment')}, {size(found.hot.bytes)}",
            "runs": f"{found.runs.count}, {size(found.runs.bytes)}, latest {found.latest_run or 'none'}",
            "sessions": _span(found.sessions),
            "disk free": size(found.free_bytes),
        }
    )
    cells = [
        (
            item["feed"],
            item["instrument"],
            item["type"],
            item["count"],
            when(item["first_ts"]),
            when(item["last_ts"]),
        )
        for item in found.coverage
    ]
    if cells:
        call.out.table(["feed", "instrument", "type", "events", "from", "to"], cells)
    for text in found.unfinished:
        call.out.note(f"{text}; next: run that import again")
    if found.damage:
        for damage in found.damage:
            call.out.note(f"damaged: {damage}")
        call.out.next("verify")
    else:
        call.out.next(f"report {found.latest_run}" if found.latest_run else _first_replay(call, found))


def _first_replay(call: Call, found: Any) -> str:
    """Return a replay of the last data there are, with a strategy unless one is configured."""
    if not found.coverage:
        return "import --help"
    if not found.sessions:  # of what no importer brought, no session is known
        return "events --run log"
    last = max(found.coverage, key=lambda item: (item["last_ts"], item["instrument"]))
    days = [day for day in found.sessions if day <= when(last["last_ts"])[:10]]
    chosen = "" if call.config.settings.replay.strategy else " --strategy sma_cross --set instrument="
    return f"replay {(days or found.sessions)[-1]}" + (chosen and chosen + shlex.quote(last["instrument"]))


def _trading(found: Any) -> str:
    state = "connected" if found.connected else "not connected"
    text = f"{state}, {counted(found.active_positions, 'position')}, "
    text += counted(found.pending_orders, "working order")
    text += f", HALTED ({found.halt})" if found.halt else ""
    return text + "".join(f", BREAK in {name}" for name in found.breaks)


def _live(told: dict[str, Any] | None) -> dict[str, str]:
    """Return what a running session says of itself, for people."""
    if told is None:
        return {}
    held = {name: value for name, value in told["limits"].items() if value not in (None, False, [])}
    limits = ", ".join(f"{name} {_limit(name, value)}" for name, value in held.items())
    age = told["data_age_s"]
    place = f"{told['host']}:{told['port']}, client {told['client_id']}"
    return {
        "session": f"{told['session']} ({told['mode']}), account {told['account']} at {place}",
        "session time": when(told["time"]),
        "gate": told["gate"],
        "equity": f"{told['equity']} {told['currency']}, day {told['day_pnl']}",
        "limits": limits or "none",
        "data age": "no data" if age is None else f"{age:.1f} s",
        **_gaps(told["gaps"]),
        "queue": f"{told['queue']} requests",
        "journal sync": f"{told['journal_sync_ms']:.1f} ms, longest {told['journal_sync_ms_max']:.1f} ms",
        "memory, CPU": f"{size(told['memory_bytes'])}, {told['cpu_pct']:.0f} %",
        "health": _health(told["health"]),
        **({"signals": "; ".join(told["troubles"])} if told["troubles"] else {}),
    }


def _gaps(told: list[dict[str, Any]]) -> dict[str, str]:
    """Return what became of each instrument's last gap, those that failed first."""
    last = {gap["instrument"]: gap for gap in told}
    ordered = sorted(last.values(), key=lambda gap: gap["state"] != "failed")
    keys = ("instrument", "state", "begin", "end", "rows", "reason")
    words = [missed(*(gap[key] for key in keys)) for gap in ordered]
    return {"missed data": "; ".join(words[:3]) + ("; …" if len(words) > 3 else "")} if words else {}


def _health(states: dict[str, str]) -> str:
    bad = [f"{name} {state}" for name, state in states.items() if state != "ok"]
    return ", ".join(bad) or ("ok" if states else "not watched")


def _limit(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, bool) or name.endswith("_s") or isinstance(value, int) or name == "max_leverage":
        return "on" if value is True else f"{value:g}"
    return f"{value:.0%}"


def _span(dates: list[str]) -> str:
    if not dates:
        return "none"
    return dates[0] if len(dates) == 1 else f"{len(dates)}, {dates[0]}..{dates[-1]}"


@verb("seal", examples=("tape seal",))
@click.option("--timeout", default=60.0, show_default=True, type=AMOUNT, help="Seconds to wait.")
def seal(call: Call, timeout: float) -> None:
    """Seal what is recorded so far to Parquet, while a process writes the log or not."""
    from app.operation.operating import seal_log  # noqa: PLC0415

    done = seal_log(call.root, timeout)
    call.out.result(done)
    call.out.line(f"sealed {done.events:,} events, now up to seq {done.sealed_seq:,} (by {done.by})")
    call.out.next("verify")


def _told(problems: int) -> str:
    return counted(problems, "problem") if problems else "no damage"


@verb("verify", examples=("tape verify --deep",))
@click.option("--deep", is_flag=True, help="Also compare every sealed event with its archived journal.")
@click.option(
    "--accept-loss", metavar="REASON", help="Go on without what is damaged; REASON goes into the log."
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Make damaged sealed files again from the archive beside them, and the high-water mark.",
)
def verify(call: Call, deep: bool, accept_loss: str | None, rebuild: bool) -> int:
    """Check every byte of the log; exit code 1 if there is damage.

    With --accept-loss, the log goes on behind its good prefix; with --rebuild, sealed tables and
    manifests are made again and all is checked again. Either way damaged files are set aside in quarantine/.
    """
    from app.operation.operating import UPGRADE, accept, newer, rebuild_tables  # noqa: PLC0415

    if rebuild and accept_loss:
        raise UsageError(
            "--rebuild comes before --accept-loss: give one of them; next: tape verify --rebuild"
        )
    found = _checked(call, deep)
    if newer(found) and (rebuild or accept_loss):
        raise StoreError(f"{found.findings[0].path}: {found.findings[0].message}; next: {UPGRADE}")
    rebuilt = rebuild_tables(call.root, found) if rebuild else []
    if rebuilt:
        found = _checked(call, deep)
    lost = accept(call.root, accept_loss, found) if accept_loss and found.findings else None
    told = {name: getattr(found, name) for name in found.__struct_fields__}
    call.out.result({**told, "ok": found.ok, "accepted": lost, "rebuilt": rebuilt})
    _show_checked(call, found, rebuilt)
    _say_next(call, found, lost)
    return 0 if found.ok or lost is not None else 1


def _checked(call: Call, deep: bool) -> Any:
    from app.operation.operating import check  # noqa: PLC0415

    with call.out.progress("directories") as advance:
        return check(call.root, deep=deep, progress=advance)


def _show_checked(call: Call, found: Any, rebuilt: list[str]) -> None:
    for name in rebuilt:
        place = name if name == "HWM" else f"sealed/{name}"
        call.out.line(f"rebuilt {place}; what was damaged is in quarantine/")
    call.out.pairs(
        {
            "sealed": f"{counted(found.sealed, 'directory', 'directories')}, {counted(found.files, 'file')}",
            "journal": counted(found.segments, "segment"),
            "events": f"{found.events:,}, last seq {found.last_seq:,}",
            "runs": found.runs,
            "chain": found.chain,
        },
        title=f"{call.root}: {_told(len(found.findings))}",
    )
    cells = [(item.path, "" if item.offset is None else item.offset, item.message) for item in found.findings]
    if cells:
        call.out.table(["file", "offset", "problem"], cells)
    if (tail := found.tail) is not None:
        call.out.line(
            f"note: {tail.path}: the last {counted(tail.bytes, 'byte')}, from offset {tail.offset} on, are "
            f"no whole block ({tail.why}) and not known to have been durable: they are being written, or "
            "a crash left them; the next writer sets them aside in quarantine/"
        )


def _say_next(call: Call, found: Any, lost: dict[str, Any] | None) -> None:
    from app.operation.operating import RESTORE, UPGRADE, newer, next_command  # noqa: PLC0415

    if lost is not None:
        call.out.next("verify", why=f"accepted: entries from seq {lost['first_lost_seq']:,} on are lost; ")
    elif newer(found):
        call.out.note(f"next: {UPGRADE}")
    elif command := next_command(found):
        call.out.next(command)
    else:
        call.out.note(f"next: {RESTORE}")
