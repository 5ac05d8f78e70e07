"""What a notebook does: open the log read-only, ask in SQL, look at any moment.

Run it after `tape replay 2025-07-02`: `python examples/notebook.py [LOG]`.
"""

import sys

import truetape


def main(path: str) -> None:
    """Print a few results of the latest run."""
    with truetape.open_log(path) as log:
        run = log.run("latest")
        print("run", run.id, "end equity", run.summary["end_equity"])

        fills = log.sql(
            f"SELECT side, count(*) AS fills FROM fills WHERE run = '{run.id}' GROUP BY side"
        ).df()
        print(fills.sort_values("side").to_string(index=False))

        noon = log.state(at="2025-07-02T16:00:00Z")
        print("at noon", [(p.instrument, str(p.quantity)) for p in noon.positions], "equity", noon.equity)

        first = next(log.events(truetape.Filled, run="latest"))
        print("first fill", first.event)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tape-log")
