"""What a study leaves in the log's directory: JSON of all of it, a page, and whole runs of what it chose."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import msgspec

from app.optimize.page import page
from app.optimize.study import StudyTold
from app.optimize.trials import TrialStore, expand, write_whole
from app.report.writing import write_bytes


class Kept(msgspec.Struct, frozen=True):
    """The study as plain data, its page, and the ids of the whole runs: the best, or those out of sample."""

    document: dict[str, Any]
    page: Path
    runs: list[str]


def keep_study(root: Path, told: StudyTold, pair: tuple[str | None, str | None], html: Path | None) -> Kept:
    """Write the study and make whole runs of what it chose; raises `StoreError`, `UsageError` for `html`."""
    store = TrialStore(root)
    chosen = [told.best.run] if told.best is not None else [fold.run for fold in told.folds if fold.run]
    trials = [trial for run in chosen if (trial := store.get(run)) is not None and trial.status == "done"]
    with redirect_stdout(sys.stderr):  # what a strategy prints is not the command's answer
        runs = [expand(root, trial) for trial in trials]
    document: dict[str, Any] = msgspec.to_builtins(told, enc_hook=str)
    directory = root / "optimize" / "studies"
    write_whole(directory / f"{told.study}.json", msgspec.json.encode(document))
    own = directory / f"{told.study}.html"
    text = page(told, *pair).encode()
    if html is None:
        write_whole(own, text)
    else:
        write_bytes(html, text, "--html")
    return Kept(document, html or own, runs)
