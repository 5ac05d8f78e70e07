"""Metrics for Prometheus: text on loopback, served from a thread, written by the loop's shell once a second.

The server's thread only ever sees finished bytes. Off unless a port is configured; it listens on 127.0.0.1
and nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from core.errors import UsageError
from core.events import BY_TYPE, MARKET_DATA, Entry, Event

HOST = "127.0.0.1"
_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Figures = Callable[[], Mapping[str, float | None]]
"""What is shown beside the counts of events: names without prefix, values; `None` is left out."""

HELP = {
    "up": "1 while the session runs",
    "connected": "1 if the connection to the broker can be used",
    "open_positions": "open positions of the account",
    "working_orders": "orders that may still fill",
    "equity": "equity in the base currency",
    "day_pnl": "result of the day in the base currency",
    "last_seq": "seq of the last event that was passed on",
    "inputs_total": "inputs taken since the session began",
    "connection_down_seconds": "since when the connection cannot be used",
    "data_age_seconds": "age of the youngest market data while a session is open",
    "memory_megabytes": "resident memory of the process",
    "cpu_percent": "CPU of the process over the last minute, in per cent of a core",
    "disk_free_megabytes": "free where the log lies",
    "log_megabytes": "size of the log",
    "position_risk_ratio": "largest share of a risk limit that is used",
}


def rendered(
    figures: Mapping[str, float | None], counts: Mapping[str, int], health: Mapping[str, str]
) -> str:
    """Return the text format."""
    lines: list[str] = []
    for name, value in figures.items():
        if value is not None:
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [
                f"# HELP tape_{name} {HELP[name]}",
                f"# TYPE tape_{name} {kind}",
                f"tape_{name} {value:.12g}",
            ]
    lines += [
        "# HELP tape_events_total events by type, market data left out",
        "# TYPE tape_events_total counter",
    ]
    lines += [f'tape_events_total{{type="{tag}"}} {count}' for tag, count in sorted(counts.items())]
    lines += ["# HELP tape_health 0 ok, 1 warning, 2 critical", "# TYPE tape_health gauge"]
    places = ("ok", "warning", "critical")
    lines += [
        f'tape_health{{check="{check}"}} {places.index(state)}' for check, state in sorted(health.items())
    ]
    return "\n".join(lines) + "\n"


class Metrics:
    """A watcher of `app.watch.hub` with an HTTP server. Raises `UsageError` if the port is taken."""

    name = "metrics"
    types = frozenset(kind for kind in BY_TYPE if kind not in MARKET_DATA)

    def __init__(self, port: int, figures: Figures, health: Callable[[], Mapping[str, str]]) -> None:
        self._figures = figures
        self._health = health
        self._counts: dict[str, int] = {}
        self._last_seq = 0
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"[live] metrics_port = {port}: {error.strerror}; give another, or 0 for none"
            ) from error
        self.port = self._server.server_port
        self.reports(0)
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="tape-metrics", daemon=True
        )
        self._thread.start()

    def offer(self, entries: Sequence[Entry]) -> None:
        """Count events."""
        counts = self._counts
        for entry in entries:
            tag = BY_TYPE[type(entry.event)].tag
            counts[tag] = counts.get(tag, 0) + 1
        self._last_seq = entries[-1].seq

    def reports(self, ts: int) -> list[Event]:  # noqa: ARG002
        """Write the text that is served until the next call; there is nothing to report."""
        figures = {"up": 1.0, **self._figures(), "last_seq": float(self._last_seq) or None}
        self._server.text = rendered(figures, self._counts, self._health()).encode()
        return []

    def close(self, timeout_s: float) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    text = b""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        if self.path not in ("/metrics", "/"):
            self.send_error(404)
            return
        text = self.server.text
        self.send_response(200)
        self.send_header("Content-Type", _TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        """Stay silent: stderr is for people."""
