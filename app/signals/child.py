"""The other side of `app.live.reading`: reads a file of signals, or asks a plug-in, and says what is in it.

Run as `python -m app.signals.child`; its order comes on stdin as a line of JSON, its answer goes to stdout.
It limits its own memory and processor time first, and ends with whoever asked. It reads the log, and writes
nothing. What a plug-in prints goes nowhere; threads that it leaves behind end with the answer.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from adapters.replay.importing import digest_of
from adapters.replay.signals.archive import size_of
from adapters.replay.signals.recommendations import SignalOptions
from app.lifeline import end_with_starter
from app.signals.plugins import PluginOrder, ask_plugin
from core.errors import TapeError
from core.events import RowRejected, SignalReceived

MEMORY_BYTES = 2 << 30
CPU_S = 20
PLUGIN_MEMORY_BYTES = 8 << 30


class Order(msgspec.Struct, frozen=True):
    """What to read: a file for the log at `root`, at `now`; contents in `known` need not be read again.

    With `plugin`, that is asked instead.
    """

    root: str
    path: str
    options: SignalOptions
    now: int
    known: list[str] = []
    plugin: PluginOrder | None = None


class Answer(msgspec.Struct, frozen=True):
    """What is in it. `same`: a known content; `changing`: the file was written meanwhile; `again`: it
    could not be read now, and may be later."""

    digest: str = ""
    same: bool = False
    changing: bool = False
    again: bool = False
    problem: str = ""
    signals: list[SignalReceived] = []
    rejections: list[RowRejected] = []


def main() -> int:
    """Read the order, answer it."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    end_with_starter()
    plugin = order.plugin
    if plugin is None:
        _limit_self(MEMORY_BYTES, CPU_S)
        sys.stdout.buffer.write(msgspec.json.encode(answer(order)))
        return 0
    _limit_self(PLUGIN_MEMORY_BYTES, plugin.cpu_s)
    with suppress(OSError):
        os.nice(5)  # whoever trades goes first
    with os.fdopen(os.dup(1), "wb") as told:
        os.dup2(2, 1)
        told.write(msgspec.json.encode(asked(order, plugin)))
    os._exit(0)


def answer(order: Order) -> Answer:
    """Return what is in the file; a problem of the whole file is part of the answer."""
    from app.signals.reading import read_file  # noqa: PLC0415  # after the limits
    from eventstore.reading.reader import LogReader  # noqa: PLC0415

    path = Path(order.path)
    digest = ""
    try:
        size_of(path)
        before = path.stat()
        # How the file is understood is part of what was read: another mapping is another content.
        digest = digest_of(path.read_bytes() + msgspec.json.encode(order.options, order="deterministic"))
        if digest in order.known:
            return Answer(digest, same=True)
        found = read_file(LogReader(Path(order.root)), path, order.options, order.now)
        after = path.stat()
    except TapeError as error:
        return Answer(digest, problem=str(error))
    except OSError as error:
        return Answer(problem=f"{path.name}: cannot be read: {error.strerror or error}", again=True)
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        return Answer(digest, changing=True)
    return Answer(digest, signals=found.signals, rejections=found.rejections)


def asked(order: Order, plugin: PluginOrder) -> Answer:
    """Return what the plug-in says; what concerns all of it is part of the answer."""
    from app.signals.reading import market_of  # noqa: PLC0415  # after the limits
    from eventstore.reading.reader import LogReader  # noqa: PLC0415

    try:
        said = ask_plugin(plugin, market_of(LogReader(Path(order.root)), order.now))
    except TapeError as error:
        return Answer(problem=str(error))
    signals = [one for one in said.items if isinstance(one, SignalReceived)]
    return Answer(
        said.digest, signals=signals, rejections=[one for one in said.items if isinstance(one, RowRejected)]
    )


def _limit_self(memory_bytes: int, cpu_s: int) -> None:
    with suppress(ImportError, OSError, ValueError):  # where there are no such limits, time alone is bounded
        import resource  # noqa: PLC0415  # not on Windows

        for what, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CPU, cpu_s)):
            resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    sys.exit(main())
