"""A process that writes, rolls and seals as fast as it can until its stdin ends: `rolling_child.py ROOT`."""

import sys
import threading
from pathlib import Path

from eventstore.journal.journal import Journal
from eventstore.journal.policy import Policy
from eventstore.sealing.client import SealWorker
from tests.eventstore.sealed_logs import tick


def main(root: Path) -> None:
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopping.set()), daemon=True).start()
    sealer = SealWorker(root)
    journal = Journal.open(root, sealer=sealer, policy=Policy(roll_events=4_000, seal_at_close_s=20.0))
    print("writing", flush=True)
    n = 0
    while not stopping.is_set():
        journal.extend([tick(n + i) for i in range(97)])
        n += 97
        journal.commit(sync=n % 7 == 0)
        stopping.wait(0.002)
    journal.close()
    sealer.close()
    print(len(sealer.failures), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
