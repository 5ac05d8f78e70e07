"""Metrics: the text that Prometheus reads, on loopback only, never waiting for whoever reads it."""

import socket
import urllib.error
import urllib.request

import pytest

from app.watch.metrics import Metrics, rendered
from core.errors import UsageError
from tests.watch.events import TS, filled, link


@pytest.fixture
def metrics():
    figures = {"connected": 1.0, "equity": None, "inputs_total": 12.0}
    watcher = Metrics(0, lambda: figures, lambda: {"disk": "warning", "memory": "ok"})
    yield watcher
    watcher.close(5)


def get(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_figures_counts_and_health_are_served_as_text(metrics):
    metrics.offer([filled(seq=1), filled(seq=2), link("up", seq=9)])
    metrics.reports(TS)
    kind, text = get(metrics.port)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    lines = text.splitlines()
    assert {
        "tape_up 1",
        "tape_connected 1",
        "tape_inputs_total 12",
        "tape_last_seq 9",
        'tape_events_total{type="filled"} 2',
        'tape_events_total{type="connection"} 1',
        'tape_health{check="disk"} 1',
        'tape_health{check="memory"} 0',
        "# TYPE tape_inputs_total counter",
        "# TYPE tape_connected gauge",
    } <= set(lines)
    assert "equity" not in text


def test_every_sample_has_a_type_before_it_and_a_number_after_it():
    text = rendered({"connected": 0.5, "inputs_total": 3.0}, {"filled": 1}, {"disk": "ok"})
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert {line.split("{")[0].split()[0] for line in samples} == typed
    assert all(float(line.rsplit(" ", 1)[1]) >= 0 for line in samples)


def test_what_is_counted_is_shown_from_the_next_second_on(metrics):
    metrics.offer([filled()])
    assert "filled" not in get(metrics.port)[1]
    metrics.reports(TS)
    assert "filled" in get(metrics.port)[1]


def test_it_listens_on_loopback_only(metrics):
    assert metrics._server.server_address[0] == "127.0.0.1"


def test_another_path_is_not_found(metrics):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(metrics.port, "/etc/passwd")
    assert caught.value.code == 404
    caught.value.close()


def test_a_client_that_reads_nothing_keeps_nobody_waiting(metrics):
    with socket.create_connection(("127.0.0.1", metrics.port)):
        metrics.offer([filled()])
        metrics.reports(TS)
        assert "filled" in get(metrics.port)[1]


def test_a_port_that_is_taken_is_refused_with_what_to_do(metrics):
    with pytest.raises(UsageError, match=r"metrics_port = \d+: .*; give another, or 0 for none"):
        Metrics(metrics.port, dict, dict)
