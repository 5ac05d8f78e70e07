"""The other side of `app.live.scheduling`: says when exchanges are open. It writes nothing, and reads no log.

Run as `python -m app.live.calendar_child`; its order comes on stdin as a line of JSON, the sessions go to
stdout. It ends with whoever asked.
"""

import os
import sys
from contextlib import suppress

import msgspec

from app.data.definitions import hours
from app.lifeline import end_with_starter
from app.live.scheduling import ScheduleOrder


def main() -> int:
    """Read the order, answer it."""
    with suppress(OSError):
        os.nice(5)  # whoever trades goes first
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=ScheduleOrder)
    end_with_starter()
    found = [day for one in order.instruments for day in hours(one, order.first, order.last)]
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
