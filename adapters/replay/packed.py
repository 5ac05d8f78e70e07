"""Text files as they are or packed: gzip, bzip2, xz, zstd, or a zip of one file; told by their first bytes.

Reads in parts, in memory that does not depend on the size. Knows nothing of rows; never writes.
"""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from core.errors import UsageError

ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zip")
TEXT_BYTES_MAX = 64 << 30
LEAN_NAME = re.compile(r"\d{8}_(trade|quote)\.zip")


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading what is in it; what is wrong with it becomes a `UsageError`."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            with _reader(path, start)(file) as text:
                yield text
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise UsageError(f"{path}: cannot be unpacked ({error}); fetch it again") from error
    except (NotImplementedError, RuntimeError) as error:  # a zip with a password, or of an unusual kind
        raise UsageError(f"{path}: cannot be unpacked ({error}); unpack it first") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error


def member_of(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file in a zip; raises `UsageError` if there are several."""
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) != 1:
        raise UsageError(
            f"{path}: holds {len(members)} files, expected one CSV; unpack it, or fetch it again"
        )
    if members[0].file_size > TEXT_BYTES_MAX:
        raise UsageError(
            f"{path}: {members[0].file_size} bytes unpacked, more than {TEXT_BYTES_MAX}; fetch the file again"
        )
    return members[0]


def _reader(path: Path, start: bytes) -> Callable[[Any], Any]:
    for magic, reader in _READERS.items():
        if start.startswith(magic):
            return reader
    return _zip(path) if start.startswith(b"PK\x03\x04") else lambda file: file


def _zip(path: Path) -> Callable[[Any], Any]:
    @contextmanager
    def opened(file: Any) -> Iterator[Any]:
        with zipfile.ZipFile(file) as archive, archive.open(member_of(path, archive)) as text:
            yield text

    return opened


def _zstd(file: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415  (heavy: only where files are read)

    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"), 1 << 16)


_READERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}
