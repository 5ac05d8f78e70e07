"""The one tree of errors, each class with the exit code of the command that ends with it.

An error here means that the program cannot go on as asked. A business "no" (a refused order, a
rejected row) is an event, never an exception. Foreign exceptions are translated at the edge with
``raise … from``. Messages name the place, the value, the expectation and the next step.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means; documented in docs/cli.md and never reused."""

    OK = 0
    FOUND = 1
    USAGE = 2
    BROKER_UNREACHABLE = 3
    RECONCILIATION = 4
    HALTED = 5
    STORE = 6
    DATA_MISSING = 7
    STRATEGY_RAISED = 8
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


def is_termination(error: BaseException) -> bool:
    """Return whether it is the exit that a termination signal asks for, and not a user's `sys.exit`."""
    return isinstance(error, SystemExit) and error.code == ExitCode.TERMINATED


class TapeError(Exception):
    """Base of all errors that a user may see; `str(error)` is the whole message."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(TapeError):
    """A wrong argument or an impossible combination of arguments."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """The configuration cannot be used; lists every problem, not the first."""


class InvalidEvent(UsageError):
    """An event carries a value that must never reach the log (NaN, infinity, a negative size)."""


class UnknownInstrument(UsageError):
    """An instrument that no `InstrumentDefined` event of the log describes."""


class UnknownPlugin(UsageError):
    """A name or `path.py:Class` that leads to no plug-in of its kind, or to one that does not load."""


class UnknownStrategy(UnknownPlugin):
    """A strategy name or `path.py:Class` that leads to no strategy."""


class StoreError(TapeError):
    """The log cannot be used; nothing is written after it is raised."""

    exit_code = ExitCode.STORE


class LogLocked(StoreError):
    """Another process holds the log's lock."""


class CorruptLog(StoreError):
    """Bytes that were durable are gone or differ; names file and offset."""


class LostDurableData(CorruptLog):
    """The log ends before its own durable high-water mark."""


class LogDead(StoreError):
    """A write or sync failed; the log accepts nothing more (fail-stop, never retry)."""


class UnsupportedFormat(StoreError):
    """The log, or an event in it, was written by a newer version."""


class DataMissing(TapeError):
    """The log holds no data for what was asked."""

    exit_code = ExitCode.DATA_MISSING


class StrategyRaised(TapeError):
    """A strategy's handler raised; the run is published all the same."""

    exit_code = ExitCode.STRATEGY_RAISED


class BrokerLibraryUnusable(UsageError):
    """The installed `ibapi` is absent, too old, or a mixture of two distributions."""


class UnsendableRequest(UsageError):
    """A request that the broker's protocol cannot carry at the agreed version; nothing was sent."""


class BrokerError(TapeError):
    """The broker cannot be reached, or a connection to it ended."""

    exit_code = ExitCode.BROKER_UNREACHABLE


class BrokerUnreachable(BrokerError):
    """Nobody answers at the configured address."""


class HandshakeFailed(BrokerUnreachable):
    """Somebody answers, but does not agree with us on a protocol version in time."""


class GatewayWedged(HandshakeFailed):
    """The gateway takes the connection and then says nothing: it wants to be restarted."""


class AccountRefused(UsageError):
    """The login's account is not the one, or not of the kind, that this session is for."""


class ConnectionLost(BrokerError):
    """The connection ended; what was sent before may or may not have arrived."""


class StreamOutOfStep(ConnectionLost):
    """The length of a frame is impossible, so nothing after it can be read.

    `frames` are the complete frames that came before it in the same bytes: they count.
    """

    def __init__(self, message: str, frames: tuple[bytes, ...] = ()) -> None:
        super().__init__(message)
        self.frames = frames


class RequestRefused(TapeError):
    """The broker answered a question about contracts or history with a refusal; `code` is its own."""

    exit_code = ExitCode.DATA_MISSING

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class WriteFailed(ConnectionLost):
    """A send did not complete. Only with `bytes_written` = 0 is it certain that nothing went out."""

    def __init__(self, message: str, bytes_written: int) -> None:
        super().__init__(message)
        self.bytes_written = bytes_written
