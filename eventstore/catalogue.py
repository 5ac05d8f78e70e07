"""Which sealed directories hold a log, and their manifests as far as they are asked for.

Directories are self-describing: there is no list of them that could go out of step. Their names state their
seqs, so who asks for some seqs has only those manifests read. After a compaction that was interrupted, a
wider directory hides those inside it. That the ranges tile 1..N is for others to judge, who know what the
journal holds. Reading only.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from core.errors import CorruptLog
from eventstore.layout import MANIFEST_NAME, Layout, sealed_range
from eventstore.manifest import SealedPart, read_manifest

_MAX_RETRIES = 100
_MAX_SEQ = 1 << 62
_ADVICE = "no event can be read without it; next: tape verify, which says whether it can be made again"


class Catalogue:
    """The sealed directories of a log; manifests are read once and kept, listing is done anew each time."""

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)
        self._known: dict[str, SealedPart] = {}

    def parts(self, first_seq: int = 1, last_seq: int = _MAX_SEQ) -> list[SealedPart]:
        """Return the directories that hold any of these seqs, in seq order, without those inside a wider one.

        Raises `CorruptLog` if any two overlap otherwise. Gaps are for the reader to judge.
        """
        for _ in range(_MAX_RETRIES):
            paths = [path for path in self._listing() if _meets(path, first_seq, last_seq)]
            parts = [part for path in paths if (part := self._part(path))]
            if len(parts) == len(paths):
                return parts
        raise self._vanishing()

    def ending(self, enough: Callable[[SealedPart], bool]) -> tuple[list[Path], list[SealedPart]]:
        """Return the last directories in seq order, back to the first one that is `enough`.

        Before them come the paths of the others, whose manifests were not read.
        """
        for _ in range(_MAX_RETRIES):
            paths = self._listing()
            parts = self._backwards(paths, enough)
            if parts is not None:
                return paths[: len(paths) - len(parts)], parts
        raise self._vanishing()

    def _backwards(
        self, paths: Sequence[Path], enough: Callable[[SealedPart], bool]
    ) -> list[SealedPart] | None:
        parts: list[SealedPart] = []
        for path in reversed(paths):
            part = self._part(path)
            if part is None:
                return None
            parts.append(part)
            if enough(part):
                break
        return parts[::-1]

    def _listing(self) -> list[Path]:
        paths = visible(stable_listing(self._layout))
        names = {path.name for path in paths}
        self._known = {name: part for name, part in self._known.items() if name in names}
        return paths

    def _part(self, path: Path) -> SealedPart | None:
        known = self._known.get(path.name)
        if known is None:
            known = _read(path)
            if known is not None:
                self._known[path.name] = known
        return known

    def _vanishing(self) -> CorruptLog:
        return CorruptLog(f"{self._layout.sealed}: its directories keep vanishing while they are read")


def _read(path: Path) -> SealedPart | None:
    try:
        return SealedPart(path, read_manifest(path))
    except FileNotFoundError as error:
        if path.is_dir():
            raise CorruptLog(
                f"{path / MANIFEST_NAME}: missing: sealed data without a manifest; {_ADVICE}"
            ) from error
        return None  # removed by a compaction since it was listed
    except CorruptLog as error:
        raise CorruptLog(f"{error}; {_ADVICE}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise CorruptLog(f"{path / MANIFEST_NAME}: cannot be read: {why}; {_ADVICE}") from error


def _meets(path: Path, first_seq: int, last_seq: int) -> bool:
    first, last = _span(path)
    return first <= last_seq and first_seq <= last


def _span(path: Path) -> tuple[int, int]:
    span = sealed_range(path)
    assert span is not None, path
    return span


def stable_listing(layout: Layout) -> list[Path]:
    """Return the sealed directories as they were at one moment.

    A compaction makes the wider directory before it removes the narrower ones. One pass over a directory
    may miss the first and see the second; two passes that agree cannot.
    """
    paths = layout.sealed_directories()
    for _ in range(_MAX_RETRIES):
        again = layout.sealed_directories()
        if again == paths:
            return paths
        paths = again
    raise CorruptLog(f"{layout.sealed}: it keeps changing while it is read")


def hidden(paths: Iterable[Path]) -> list[Path]:
    """Return the directories that a wider one hides, going by their names."""
    found: list[Path] = []
    reached = 0
    for path in _widest_first(paths):
        last_seq = _span(path)[1]
        if last_seq <= reached:
            found.append(path)
        reached = max(reached, last_seq)
    return found


def visible(paths: Sequence[Path]) -> list[Path]:
    """Return the directories in seq order without those inside a wider one, going by their names.

    Raises `CorruptLog` if two overlap otherwise.
    """
    unread = set(hidden(paths))
    shown = [path for path in _widest_first(paths) if path not in unread]
    for before, path in pairwise(shown):
        first_seq = _span(path)[0]
        if first_seq <= _span(before)[1]:
            raise CorruptLog(f"{path}: overlaps {before.name}: seq {first_seq} is sealed twice")
    return shown


def _widest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: (_span(path)[0], -_span(path)[1]))
