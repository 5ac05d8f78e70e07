"""`check --connect`: whether a session could trade now, point by point, each with what to do if not.

Looks at the installation, the log and the broker; changes none of them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from adapters.ibkr.link.probe import Visit, visit
from adapters.ibkr.wire.distribution import installed
from app.composition.past import past_of
from app.configuration.reading import Config
from app.live.accounts import is_paper
from app.live.kill_file import KillFile
from app.live.killing import CLIENT_OFFSET
from app.operation.operating import current_holder
from app.signals.weighing import neglected
from core.errors import BrokerLibraryUnusable, StoreError, TapeError
from eventstore.journal.inspection import inspect
from eventstore.layout import Layout
from eventstore.platform import choose
from eventstore.reading.reader import LogReader

PORTS = {
    7497: ("TWS", "paper"),
    7496: ("TWS", "real"),
    4002: ("IB Gateway", "paper"),
    4001: ("IB Gateway", "real"),
}
SKEW_MAX_MS = 1000
FREE_MIN_BYTES = 1 << 30
READ_ONLY = 321
_DAMAGED = "tape verify"


class Point(msgspec.Struct, frozen=True):
    """One thing that was looked at; `remedy` is empty if it is as it should be."""

    what: str
    found: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        return not self.remedy


def check(root: Path, config: Config, *, connect: bool) -> list[Point]:
    """Return all points; the broker's only with `connect`."""
    points = [*_library(), *_log(root, config), *_signals(config)]
    return [*points, *_broker(config)] if connect else points


def _library() -> Iterator[Point]:
    try:
        found = installed()
    except BrokerLibraryUnusable as error:
        text, _, remedy = str(error).rpartition("; run: ")
        yield Point("ibapi", text or str(error), remedy or "pip install ibapi-stable")
        return
    yield Point("ibapi", f"{', '.join(found.distributions)} {found.version}")


def _signals(config: Config) -> Iterator[Point]:
    for one in neglected(config.settings.signals):
        yield Point(f"signals of {one.source}", one.found, one.remedy)


def _log(root: Path, config: Config) -> Iterator[Point]:
    layout = Layout(root)
    if not layout.exists():
        yield Point("log", f"{root}: none yet; the first session makes it")
        return
    usable = _usable(root, layout)
    yield usable
    if usable.remedy == _DAMAGED:
        return  # what it says of halts and breaks may be old
    free = choose().free_bytes(root)
    enough = free >= FREE_MIN_BYTES
    yield Point("disk", f"{free / 2**30:.1f} GiB free", "" if enough else "free some space")
    gate = past_of(LogReader(root), config.settings.replay.currency).world.gate
    assert gate is not None
    killed = KillFile(root).exists()
    halt = gate.halt or ("kill file" if killed else "")
    yield Point("halt", halt or "none", "tape resume --reason ..." if halt else "")
    breaks = ", ".join(gate.breaks)
    yield Point("breaks", breaks or "none", "tape accept --reason ..." if breaks else "")


def _usable(root: Path, layout: Layout) -> Point:
    who = current_holder(layout)
    if who:
        holder = f"{root}: held by process {who.get('pid')}"
        return Point("log", holder, "stop it first, or use another --log")
    if not os.access(root, os.W_OK):
        return Point("log", f"{root}: cannot be written", "make it writable, or use another --log")
    try:
        inspect(root)
    except StoreError as error:
        return Point("log", str(error).partition("; ")[0], _DAMAGED)
    return Point("log", str(root))


def _broker(config: Config) -> Iterator[Point]:
    section = config.settings.ibkr
    place = f"{section.host}:{section.port}"
    usual = PORTS.get(section.port)
    kind = f"{usual[0]}, {usual[1]} money by default" if usual else "no usual port"
    yield Point("address", f"{place} ({kind})")
    try:
        found = visit(section.host, section.port, section.client_id + CLIENT_OFFSET)
    except TapeError as error:
        yield Point("connection", str(error).partition("; ")[0], _unreachable(section.port))
        return
    yield Point("connection", f"protocol {found.server_version}, next order id {found.next_order_id}")
    yield _account(config, found)
    yield _clock(found)
    yield _permissions(found)
    working = found.open_orders
    yield Point("orders at the broker", f"{working} working")


def _unreachable(port: int) -> str:
    others = ", ".join(f"{number} {name} {kind}" for number, (name, kind) in PORTS.items() if number != port)
    return (
        "start TWS or IB Gateway; in its API settings enable socket clients and check the port "
        f"({others}) and the trusted addresses"
    )


def _account(config: Config, found: Visit) -> Point:
    names = ", ".join(found.accounts)
    wanted = getattr(config.settings.ibkr, "account", "")
    real = config.settings.trading.mode == "live"
    if wanted and wanted not in found.accounts:
        return Point("account", f"{names}; configured is {wanted}", "correct [ibkr] account, or the login")
    chosen = [wanted] if wanted else list(found.accounts)
    wrong = [name for name in chosen if is_paper(name) == real]
    if wrong:
        kind = "paper" if real else "real"
        remedy = (
            'set [trading] mode = "paper"'
            if real
            else 'log in to paper trading, or set [trading] mode = "live"'
        )
        return Point("account", f"{', '.join(wrong)}: {kind} money", remedy)
    many = len(chosen) > 1
    return Point("account", names + ("; name one with --account" if many else ""))


def _clock(found: Visit) -> Point:
    skew = found.skew_ms
    if skew is None:
        return Point("clock", "the broker's clock was not told")
    good = abs(skew) <= SKEW_MAX_MS
    return Point(
        "clock", f"{skew:+,} ms from the broker's", "" if good else "set this machine's clock by NTP"
    )


def _permissions(found: Visit) -> Point:
    refused = [text for code, text in found.messages if code == READ_ONLY or "read-only" in text.lower()]
    if refused:
        return Point("API", refused[0], "untick Read-Only API in the API settings of TWS or Gateway")
    troubles = [f"{code}: {text}" for code, text in found.messages if not 2100 <= code < 2200]
    return Point(
        "API",
        "; ".join(troubles) or "orders are not refused as far as can be seen",
        "see the message" if troubles else "",
    )
