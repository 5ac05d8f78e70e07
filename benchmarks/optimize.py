"""A search of 100 parameter pairs on a week of minute bars: `optimize.py [--lean DIR] [--rounds N]`.

Runs it in one process and in two, in turn, nothing known before, and prints how much faster two are (aim:
1.7), and what a light run costs against a whole one. On a machine that is busy with other things the times
tell of those; the critical path does not: the CPU time of the leader and of its busiest worker. Made-up bars
of one instrument; with `--lean`, SPY of 2013-10-07..11 from a folder in LEAN's layout.

Only what starts it is here: a worker process runs the head of the file that was started again, as it does
the few lines of the command `tape`, and would import all that a benchmark needs before it can begin.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from benchmarks.searching import main

    main(__doc__)
