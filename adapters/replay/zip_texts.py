"""Zips with one text file in them, read in pieces: memory does not depend on their size.

Owns the unpacking and what can be wrong with a zip. Knows nothing of rows' meaning; never writes.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple

from adapters.replay.lines import LineCount, Piece, cut, numbered
from adapters.replay.packed import member_of
from core.errors import UsageError

PART_BYTES = 1 << 20


class ZipText(NamedTuple):
    """A zip as it was found: the digest of its bytes, the rows and the length of the text in it."""

    path: Path
    name: str
    digest: str
    rows: int
    length: int

    def pieces(self) -> Iterator[Piece]:
        """Yield the text in whole lines; raises `UsageError` if the zip has changed since."""
        with _opened(self.path) as (digest, text):
            if digest != self.digest:
                raise UsageError(f"{self.path}: changed while it was being imported; run the import again")
            yield from numbered(cut(lambda: text.read(PART_BYTES), self.rows), self.name, 1)


def survey(path: Path, name: str) -> ZipText:
    """Read a zip once and describe it; raises `UsageError` if it is no zip with one text file."""
    lines, length = LineCount(), 0
    with _opened(path) as (digest, text):
        while part := text.read(PART_BYTES):
            if len(part) == PART_BYTES and b"\n" not in part:
                raise UsageError(f"{path}: holds a line of more than {PART_BYTES} bytes; expected a CSV")
            lines.add(part)
            length += len(part)
    return ZipText(path, name, digest, lines.rows, length)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Give the digest of the zip and its one member; what goes wrong inside becomes a `UsageError`."""
    try:
        with path.open("rb") as file:
            digest = blake2b(digest_size=16)
            while part := file.read(PART_BYTES):
                digest.update(part)
            with zipfile.ZipFile(file) as archive, archive.open(member_of(path, archive)) as text:
                yield digest.hexdigest(), text
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{path}: not a readable zip file ({error}); fetch it again") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
