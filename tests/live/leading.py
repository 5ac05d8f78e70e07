"""A session's process, of which a test needs no more than whom it starts: it starts them and is killed."""

import json
import os
import signal
from pathlib import Path

from adapters.replay.signals.recommendations import SignalOptions
from app.live.errand import Errand
from app.live.reading import Reading
from app.signals.child import Order
from app.signals.plugins import PluginOrder
from app.watch.processes import ListenerProcess
from tests.orphans import until
from tests.watch.events import TS, filled

LISTENERS = Path(__file__).parents[1] / "watch" / "listeners.py"
PLUGIN = """
import os, pathlib, subprocess, sys, time


def generate_signal(symbol):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    place = pathlib.Path(__file__)
    place.with_suffix(".new").write_text(f"[{os.getpid()}, {other.pid}]")
    place.with_suffix(".new").rename(place.with_suffix(".pids"))
    time.sleep(3600)
"""


def lead(log: Path, place: Path) -> None:
    """Start a plug-in that never answers, a listener that never returns and a careless child; be killed."""
    plugin, pids = place / "hangs.py", place / "hangs.pids"
    plugin.write_text(PLUGIN)
    options = SignalOptions(source="old", volatility=0.02)
    ask = PluginOrder(path=str(plugin), options=options, instruments=("ZVXA",), valid_ns=1)
    reading = Reading(Order(str(log), str(plugin), options, TS, plugin=ask), 0.0, 3600.0, "asking")
    listener = ListenerProcess("x", f"{LISTENERS}:Blocking", queue_max=9, errors_max=9)
    listener.offer([filled()])
    careless = Errand("tests.live.careless_child", b"")
    until(lambda: pids.exists() or not reading.running(0.0))
    started = {"plug-in": json.loads(pids.read_bytes()), "listener": [listener.pid]}
    (place / "started.json").write_text(json.dumps({**started, "careless": [careless._process.pid]}))
    os.kill(os.getpid(), signal.SIGKILL)
