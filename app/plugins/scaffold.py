"""`tape init`: a project to start from, every file of which works as it stands.

Writes only into the directory it is given and overwrites nothing.
"""

from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from core.errors import UsageError

_FILES = {
    "tape.toml.txt": "tape.toml",
    "strategy.py.txt": "strategies/breakout.py",
    "test_strategy.py.txt": "tests/test_breakout.py",
    "signal_source.py.txt": "plugins/opinion.py",
    "test_signal_source.py.txt": "tests/test_opinion.py",
    "sizer.py.txt": "plugins/sizing.py",
    "test_sizer.py.txt": "tests/test_sizing.py",
    "conftest.py.txt": "conftest.py",
}


def scaffold(directory: Path) -> list[Path]:
    """Write the starting files and return their paths; raises `UsageError` if any of them exists."""
    targets = {directory / target: template for template, target in _FILES.items()}
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory}: is a file; expected a directory, which is made if it is not there")
    taken = [str(path) for path in targets if path.exists()]
    if taken:
        raise UsageError(
            f"init overwrites nothing, and these exist: {', '.join(taken)}; choose another directory"
        )
    templates = files("app") / "templates"
    path = directory
    try:
        for path, template in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((templates / template).read_text("utf-8"), "utf-8")
    except OSError as error:
        with suppress(OSError):
            for written in targets:
                written.unlink(missing_ok=True)  # or the next try would find them in its way
        raise UsageError(f"{path}: cannot write it: {error.strerror}; nothing was kept") from error
    return list(targets)
