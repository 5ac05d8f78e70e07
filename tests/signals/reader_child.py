"""Reads files as signals, each in a process of its own; prints what came of it and the peak memory.

A line on stdin is `guarded FILE` or `bare FILE`: `bare` hands the file to openpyxl without our checks. The
process that reads is a fork of one that has imported all that it takes, so that reading alone is measured.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

from openpyxl import load_workbook

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from adapters.replay.signals.reading import read_signals
from adapters.replay.signals.recommendations import SignalOptions
from core.errors import TapeError
from tests.signals.workbooks import market

PATIENCE_S = 60


def bare(path):
    book = load_workbook(path, read_only=True, data_only=True)
    return sum(1 for sheet in book for _ in sheet.iter_rows(values_only=True))


def answer(how, path, listed):
    """Read a file and print what came of it; the fork is killed when it takes too long."""
    signal.alarm(PATIENCE_S)
    begun, said = time.process_time(), ""
    try:
        if how == "bare":
            bare(path)
        else:
            read = read_signals(path, SignalOptions(), listed)
            said = "; ".join(item.reason for item in read.rejections)
    except TapeError as error:
        said = str(error)
    # Not ru_maxrss, which a process inherits from the one that started it.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    peak_mb = int(found[1]) / 1024
    told = {"said": said, "peak_mb": peak_mb, "seconds": time.process_time() - begun}
    print(json.dumps(told), flush=True)


def main():
    listed = market()
    for line in sys.stdin:
        how, path = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if not child:
            answer(how, Path(path), listed)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"ended": os.waitstatus_to_exitcode(status)}), flush=True)


main()
