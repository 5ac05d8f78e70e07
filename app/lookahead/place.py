"""A directory that looks like the user's, in links, but for the log's place, where a prefix lies."""

from pathlib import Path

LOG_NAME = "tape-log"


def mirror_directory(real: Path, here: Path, log: Path, prefix: Path) -> Path:
    """Make `here` with links to all that is in `real`, and return it.

    The log's place below `real` holds the `prefix`, as does `tape-log`, where `open_log()` looks.
    """
    here.mkdir(parents=True)
    log = log.absolute()
    parts = log.relative_to(real).parts if log.is_relative_to(real) and log != real else ()
    _link_all(real, here, skipped={LOG_NAME, *parts[:1]})
    inner, source = here, real
    for part in parts[:-1]:
        inner, source = inner / part, source / part
        inner.mkdir()
        _link_all(source, inner, skipped={parts[len(inner.relative_to(here).parts)]})
    if parts:
        (inner / parts[-1]).symlink_to(prefix.absolute())
    if not (here / LOG_NAME).exists():
        (here / LOG_NAME).symlink_to(prefix.absolute())
    return here


def _link_all(source: Path, target: Path, skipped: set[str]) -> None:
    for entry in source.iterdir():
        if entry.name not in skipped:
            (target / entry.name).symlink_to(entry.absolute())
