"""Structured logs: one line of JSON for each event that is not market data, in a file for each day.

For people and log collectors. The event log is the truth; this is a copy that may be thrown away. Secrets are
masked before anything is written. Only the shell writes it, in a thread; that it cannot be written is
reported and stops nothing.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec
import structlog

from app.configuration.settings import MASK, masked
from app.watch.alerts import alert_of
from app.watch.sinks import SinkThread
from core.clock import iso
from core.events import BY_TYPE, MARKET_DATA, Entry, Event, LateBarReported
from core.listener import Interest, Told

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_QUEUE_MAX = 100_000
_FILE = "tape-{:%Y-%m-%d}.jsonl"
_NAMED = re.compile(r"tape-\d{4}-\d{2}-\d{2}\.jsonl")
_IN_TEXT = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|credential)\w*[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]+"
)
_PLAIN = frozenset(("clock", "timer_fired", "account_reported", "account_marked", "recorded", "farm"))
"""Types that are told at level `debug` unless they are an alert: many, and rarely what one looks for."""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where structured logs go. Without a directory there are none; `keep_days` older ones are removed."""

    directory: Path | None = None
    level: Level = "info"
    keep_days: int = 30


class DayFiles:
    """A text file that is a new one each day (UTC); only so many are kept. `write` may raise `OSError`."""

    def __init__(
        self, directory: Path, keep_days: int, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        self._directory = directory
        self._keep_days = keep_days
        self._today = today
        self._day: date | None = None
        self._file: TextIO | None = None

    def write(self, text: str) -> None:
        """Write one line to today's file."""
        day = self._today()
        if self._file is None or day != self._day:
            self._turn(day)
        assert self._file is not None
        self._file.write(text + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _turn(self, day: date) -> None:
        self.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = (self._directory / _FILE.format(day)).open("a", encoding="utf-8")
        self._day = day
        names = sorted(path.name for path in self._directory.iterdir() if _NAMED.fullmatch(path.name))
        for name in names[: -self._keep_days]:
            (self._directory / name).unlink(missing_ok=True)


def mask_secrets(secrets: Iterable[str]) -> Callable[[Any, str, Mapping[str, Any]], dict[str, Any]]:
    """Return a structlog processor that hides values by key, known secrets, and `token=…` in any text."""
    known = [text for text in secrets if text]

    def hidden(value: Any) -> Any:
        if isinstance(value, str):
            for text in known:
                value = value.replace(text, MASK)
            return _IN_TEXT.sub(rf"\g<1>{MASK}", value)
        if isinstance(value, dict):
            return {key: hidden(item) for key, item in value.items()}
        return [hidden(item) for item in value] if isinstance(value, list) else value

    def process(_logger: Any, _method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        plain = msgspec.to_builtins(dict(fields), enc_hook=str, builtin_types=(Decimal,))
        shown: dict[str, Any] = hidden(masked(plain))
        return shown

    return process


def logger(files: DayFiles, level: Level, secrets: Iterable[str]) -> Any:
    """Return a structlog logger that writes JSON lines."""
    return structlog.wrap_logger(
        _Lines(files),
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="written"),
            mask_secrets(secrets),
            structlog.processors.JSONRenderer(
                serializer=lambda value, **_: json.dumps(value, default=str, ensure_ascii=False)
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )


class _Lines:
    """What structlog writes with."""

    def __init__(self, files: DayFiles) -> None:
        self._write = files.write

    def msg(self, text: str) -> None:
        self._write(text)

    debug = info = warning = error = critical = msg


def level_of(event: Event) -> str:
    """Return the level that an event is logged with: that of its alert, if it is one."""
    alert = alert_of(event)
    if alert is not None:
        return alert.severity
    return "debug" if BY_TYPE[type(event)].tag in _PLAIN else "info"


def log_sink(settings: LogSettings, secrets: Iterable[str], session: int) -> SinkThread:
    """Return a sink that writes every event but market data."""
    assert settings.directory is not None
    files = DayFiles(settings.directory, settings.keep_days)
    log = logger(files, settings.level, secrets).bind(session=session)
    least = LEVELS[settings.level]
    broken: list[str] = []

    def write(entry: Entry) -> list[str]:
        event = entry.event
        level = level_of(event)
        if LEVELS[level] < least:
            return []
        fields = msgspec.to_builtins(event)
        fields.pop("ts")
        clashing = {f"event_{key}" if key in _OWN else key: value for key, value in fields.items()}
        write_at = getattr(log, level)
        try:
            write_at(BY_TYPE[type(event)].tag, seq=entry.seq, ts=iso(event.ts), **clashing)
        except OSError as error:
            said = (
                [] if broken else [f"the structured log cannot be written: {error}; events go on without it"]
            )
            broken[:] = ["broken"]
            return said
        broken.clear()
        return []

    everything = tuple(kind for kind in BY_TYPE if kind not in (*MARKET_DATA, LateBarReported))
    interest = Interest([Told("", everything, frozenset())])
    return SinkThread("logs", interest, write, queue_max=_QUEUE_MAX, finish=files.close)


_OWN = frozenset(("event", "level", "seq", "session", "ts", "written"))
