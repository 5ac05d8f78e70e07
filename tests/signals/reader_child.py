"""Reads one file as signals in a process of its own; prints the outcome and the peak memory.

`python reader_child.py guarded|bare FILE`: `bare` hands the file to openpyxl without our checks.
"""

import json
import re
import sys
import time
from pathlib import Path

from openpyxl import load_workbook

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from adapters.replay.signals.reading import read_signals
from adapters.replay.signals.recommendations import SignalOptions
from core.errors import TapeError
from tests.signals.workbooks import market


def bare(path):
    book = load_workbook(path, read_only=True, data_only=True)
    return sum(1 for sheet in book for _ in sheet.iter_rows(values_only=True))


def main():
    how, path = sys.argv[1], Path(sys.argv[2])
    begun, said = time.process_time(), ""
    try:
        if how == "bare":
            bare(path)
        else:
            read = read_signals(path, SignalOptions(), market())
            said = "; ".join(item.reason for item in read.rejections)
    except TapeError as error:
        said = str(error)
    # Not ru_maxrss, which a process inherits from the one that started it.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    peak_mb = int(found[1]) / 1024
    print(json.dumps({"said": said, "peak_mb": peak_mb, "seconds": time.process_time() - begun}))


main()
