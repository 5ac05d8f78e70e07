"""Alerts to a webhook, posted from a thread of their own: JSON by HTTP(S), tried again while it fails.

The address is a secret: it appears in no event, log or message. A webhook that is down costs trading nothing.
"""

import http.client
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from app.version import VERSION
from app.watch.alerts import ALERTING, OWN_NAME, Alert, Severity, Throttle, alert_of
from app.watch.sinks import SinkThread
from core.clock import iso
from core.errors import UsageError
from core.events import Entry, SessionEnded, SessionStarted
from core.listener import Interest, Told

ATTEMPTS_MAX = 6
WAITING_MAX = 100
_WAIT_MAX_S = 60.0
_QUEUE_MAX = 10_000


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts go, from which severity on, and how many. Without a webhook there are none."""

    webhook: str = ""
    least: Severity = "warning"
    repeat_after_s: float = 900.0
    per_minute: int = 10
    timeout_s: float = 5.0


class Webhook:
    """One address to post to. Raises `UsageError` if it is none."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("[alerts] webhook: expected an address such as https://host/path")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._timeout_s = timeout_s
        self._target = parts.path + (f"?{parts.query}" if parts.query else "") or "/"

    def post(self, body: bytes) -> str:
        """Post JSON; return why it was not taken, or nothing."""
        connection = self._kind(self._host, self._port, timeout=self._timeout_s)
        headers = {"Content-Type": "application/json", "User-Agent": f"truetape/{VERSION}"}
        try:
            connection.request("POST", self._target, body, headers)
            answer = connection.getresponse()
            answer.read(1 << 16)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return "" if 200 <= answer.status < 300 else f"HTTP {answer.status} {answer.reason}"


class Waiting(msgspec.Struct):
    """A message that is still to be delivered."""

    body: bytes
    attempts: int = 0
    due_s: float = 0.0


class Outbox:
    """Decides, words and posts; what fails is tried again with growing waits. For one thread."""

    def __init__(
        self,
        settings: AlertSettings,
        post: Callable[[bytes], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._throttle = Throttle(settings.least, settings.repeat_after_s, settings.per_minute)
        self._post = post
        self._monotonic = monotonic
        self._waiting: deque[Waiting] = deque()
        self._failing = False
        self._session = 0

    def handle(self, entry: Entry) -> list[str]:
        """Take one event; return what went wrong."""
        if isinstance(entry.event, SessionStarted | SessionEnded):
            self._session = entry.event.session if isinstance(entry.event, SessionStarted) else 0
        alert = alert_of(entry.event)
        admitted = self._throttle.admit(alert, self._monotonic()) if alert is not None else None
        problems = [] if admitted is None else self._put(admitted, entry.event.ts, entry.seq)
        return problems + self.work()

    def work(self) -> list[str]:
        """Post what is due, in order; return what went wrong: that it begins to fail, what is lost."""
        now_s = self._monotonic()
        summary = self._throttle.summary(now_s)
        problems = [] if summary is None else self._put(summary, None, None)
        while self._waiting and self._waiting[0].due_s <= now_s:
            first = self._waiting[0]
            why = self._post(first.body)
            if not why:
                self._waiting.popleft()
                self._failing = False
                continue
            first.attempts += 1
            first.due_s = now_s + min(2.0**first.attempts, _WAIT_MAX_S)
            if not self._failing:
                problems.append(f"the webhook does not take alerts: {why}; they are tried again")
            self._failing = True
            if first.attempts >= ATTEMPTS_MAX:
                self._waiting.popleft()
                problems.append(f"an alert was given up after {ATTEMPTS_MAX} attempts: {why}")
        return problems

    def finish(self) -> None:
        """Tell of a session whose end did not get into the log: the log itself may be what broke."""
        if self._session:
            text = (
                f"session {self._session} broke off: its end is not in the log; see its exit code and message"
            )
            self._put(Alert("critical", "session ended", text), None, None)
            self.work()

    def _put(self, alert: Alert, ts: int | None, seq: int | None) -> list[str]:
        word = "over" if alert.over else alert.severity
        text = f"[truetape] {word}: {alert.text}"
        body = {
            "text": text,  # what Slack, Mattermost and Teams show
            "content": text,  # what Discord shows
            "severity": alert.severity,
            "over": alert.over,
            "key": alert.key,
            "time": None if ts is None else iso(ts),
            "seq": seq,
        }
        self._waiting.append(Waiting(msgspec.json.encode(body)))
        if len(self._waiting) <= WAITING_MAX:
            return []
        self._waiting.popleft()
        return [f"an alert was given up: {WAITING_MAX} others wait for the webhook"]


def alert_sink(settings: AlertSettings) -> SinkThread:
    """Return a sink that posts alerts."""
    outbox = Outbox(settings, Webhook(settings.webhook, settings.timeout_s).post)
    interest = Interest([Told("", tuple(ALERTING), frozenset())])
    return SinkThread(
        OWN_NAME, interest, outbox.handle, queue_max=_QUEUE_MAX, idle=outbox.work, finish=outbox.finish
    )
