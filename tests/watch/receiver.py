"""A webhook on loopback that answers as it is told and keeps what it got."""

import http.server
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any


class Receiver(http.server.ThreadingHTTPServer):
    def __init__(self):
        self.got, self.answer, self.changed = [], 200, Condition()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook?key=geheim"

    def wait_for(self, count, patience_s=60):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, patience_s), self.got
            return self.got


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.changed:
            self.server.got.append((self.path, body))
            self.server.changed.notify_all()
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *args): ...


@contextmanager
def receiving() -> Iterator[Any]:
    """Serve in a thread."""
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(60)
