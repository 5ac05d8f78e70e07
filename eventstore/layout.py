"""The names of all files and directories of a log, and the making of an empty one.

Names only: this module opens no file of the log and knows no format, so that the journal, the
sealer and every reader agree on where things are without knowing each other. Segments are numbered
from 1; a sealed directory is named for the seqs it holds, zero-padded so that names sort by seq.
"""

import os
import re
from pathlib import Path

import msgspec

SEGMENT_SUFFIX = ".evj"
ARCHIVE_NAME = "journal.evj.zst"
MANIFEST_NAME = "seal.json"

_SEGMENT = re.compile(r"(\d{8})\.evj")
_SEALED = re.compile(r"(\d{14})-(\d{14})")


class Layout(msgspec.Struct, frozen=True):
    """Where everything of the log at `root` lives."""

    root: Path

    @property
    def lock(self) -> Path:
        """The file that the writer holds a lock on."""
        return self.root / "LOCK"

    @property
    def hwm(self) -> Path:
        """The durable high-water mark."""
        return self.root / "HWM"

    @property
    def hot(self) -> Path:
        """Journal segments that are not sealed yet, the active one among them."""
        return self.root / "hot"

    @property
    def tmp(self) -> Path:
        """Build area on the same file system; wiped at start by the lock holder."""
        return self.root / "tmp"

    @property
    def build_lock(self) -> Path:
        """The file that is locked by who builds in `tmp`."""
        return self.tmp / "LOCK"

    @property
    def sealed(self) -> Path:
        """One directory per sealed range of seqs; published by rename only."""
        return self.root / "sealed"

    @property
    def schema(self) -> Path:
        """An empty typed Parquet file per event type."""
        return self.root / "schema"

    @property
    def runs(self) -> Path:
        """Published runs, one directory each."""
        return self.root / "runs"

    @property
    def control(self) -> Path:
        """Commands to the running process, by rename."""
        return self.root / "control"

    @property
    def quarantine(self) -> Path:
        """Copies of torn tails and refused files."""
        return self.root / "quarantine"

    @property
    def snapshots(self) -> Path:
        """Snapshots of projections; always safe to delete."""
        return self.root / "snapshots"

    @property
    def views_sql(self) -> Path:
        """The views over sealed data for plain DuckDB."""
        return self.root / "views.sql"

    @property
    def directories(self) -> tuple[Path, ...]:
        """Every directory that a complete log has."""
        return (
            self.hot,
            self.tmp,
            self.sealed,
            self.schema,
            self.runs,
            self.control,
            self.quarantine,
            self.snapshots,
        )

    def segment_path(self, number: int) -> Path:
        """Return the path of hot segment `number` (from 1)."""
        return self.hot / f"{number:08d}{SEGMENT_SUFFIX}"

    def sealed_path(self, first_seq: int, last_seq: int) -> Path:
        """Return the path of the sealed directory of these seqs (inclusive)."""
        return self.sealed / sealed_name(first_seq, last_seq)

    def segments(self) -> list[Path]:
        """Return the hot segments in order; foreign names are not listed."""
        return [self.hot / name for name in _names(self.hot, _SEGMENT)]

    def sealed_directories(self) -> list[Path]:
        """Return the sealed directories ordered by first seq; foreign names are not listed."""
        return [self.sealed / name for name in self.sealed_names()]

    def sealed_names(self) -> list[str]:
        """Return the names of the sealed directories ordered by first seq; foreign ones are not listed."""
        return _names(self.sealed, _SEALED)

    def exists(self) -> bool:
        """Return whether `root` looks like a log."""
        return self.hot.is_dir() or self.sealed.is_dir()

    def foreign(self) -> list[str]:
        """Return what keeps a log from being made at `root`: another program's files, hidden ones aside.

        Empty for a log, for an empty directory and where nothing is. `tmp/` is wiped by the lock holder
        and LOCK overwritten, so a directory that is in use for something else must never become a log.
        """
        # Listed before it is asked: another process that makes the log makes `hot/` first.
        try:
            names = sorted(path.name for path in self.root.iterdir() if not path.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [] if self.exists() else names

    def create(self) -> None:
        """Make the directories that are missing; the journal syncs them with its own files."""
        for directory in (self.root, *self.directories):
            directory.mkdir(parents=True, exist_ok=True)


def sealed_name(first_seq: int, last_seq: int) -> str:
    """Return the name of the sealed directory of these seqs (inclusive)."""
    return f"{first_seq:014d}-{last_seq:014d}"


def sealed_range(path: Path) -> tuple[int, int] | None:
    """Return the first and last seq that a sealed directory's name states; `None` for another name."""
    match = _SEALED.fullmatch(path.name)
    return (int(match[1]), int(match[2])) if match else None


def segment_number(path: Path) -> int | None:
    """Return the number in a segment's name; `None` for another name."""
    match = _SEGMENT.fullmatch(path.name)
    return int(match[1]) if match else None


def _names(directory: Path, pattern: re.Pattern[str]) -> list[str]:
    # No path is made of a name before it is wanted: there may be thousands.
    try:
        with os.scandir(directory) as found:
            return sorted(entry.name for entry in found if pattern.fullmatch(entry.name))
    except FileNotFoundError:
        return []
