"""What a zip file must look like before anything in it is inflated: workbooks and npz files are zips.

A directory that lies about a size cannot hurt: `zipfile` gives no more bytes than the directory says. So the
directory alone decides. Everything here refuses with `UsageError` that names the file and the limit.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import DataMissing, UsageError

FILE_BYTES_MAX = 32 << 20
DIRECTORY_BYTES_MAX = 512 << 10
ENTRIES_MAX = 2_000
TOTAL_BYTES_MAX = 64 << 20
RATIO_MAX = 200
RATIO_FROM_BYTES = 1 << 20
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x07"
_END_BYTES = 22
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def size_of(path: Path, limit: int = FILE_BYTES_MAX) -> int:
    """Return a file's size; raises `DataMissing` if there is none, `UsageError` if it is too large."""
    if not path.is_file():
        what = "is no file" if path.exists() else "no such file"
        what = "is a directory: name the files in it" if path.is_dir() else what
        raise DataMissing(f"{path}: {what}")
    size = path.stat().st_size
    if size > limit:
        raise UsageError(
            f"{path.name}: has {size:,} bytes, at most {limit:,} are read; keep the needed rows only"
        )
    return size


@contextmanager
def opened(path: Path, parts: Mapping[str, int]) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose directory is harmless; `parts` limits the inflated size by beginning of a name."""
    size = size_of(path)
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(max(0, size - _END_BYTES - 0xFFFF - 20))
        tail = file.read()
    _check_ends(path.name, head, tail)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise UsageError(f"{path.name}: a damaged zip ({error}); save the file again") from error
    with archive:
        _check_entries(path.name, archive.infolist(), parts)
        yield archive


def _check_ends(name: str, head: bytes, tail: bytes) -> None:
    if head.startswith(_OLE):
        raise UsageError(
            f"{name}: is encrypted or in the old .xls format; save it as .xlsx without a password"
        )
    place = tail.rfind(_END)
    if not head.startswith(b"PK") or place < 0 or len(tail) - place < _END_BYTES:
        raise UsageError(f"{name}: is no zip, which a workbook or npz must be; export it again")
    if _END64 in tail[:place]:
        raise UsageError(f"{name}: is a zip64 archive, which no small file needs; save it anew")
    entries = int.from_bytes(tail[place + 10 : place + 12], "little")
    directory = int.from_bytes(tail[place + 12 : place + 16], "little")
    if entries > ENTRIES_MAX or directory > DIRECTORY_BYTES_MAX:
        raise UsageError(
            f"{name}: its directory has {entries:,} parts in {directory:,} bytes; at most {ENTRIES_MAX:,} in "
            f"{DIRECTORY_BYTES_MAX:,} are read"
        )


def _check_entries(name: str, entries: list[zipfile.ZipInfo], parts: Mapping[str, int]) -> None:
    if len(entries) > ENTRIES_MAX:
        raise UsageError(f"{name}: has {len(entries):,} parts; at most {ENTRIES_MAX:,} are read")
    if len({entry.filename for entry in entries}) < len(entries):
        raise UsageError(f"{name}: holds two parts of one name; save the file again")
    total = sum(entry.file_size for entry in entries)
    if total > TOTAL_BYTES_MAX:
        raise UsageError(
            f"{name}: inflates to {total:,} bytes, at most {TOTAL_BYTES_MAX:,} are read; keep the needed "
            "rows and sheets only"
        )
    for entry in entries:
        _check_entry(name, entry, parts)


def _check_entry(name: str, entry: zipfile.ZipInfo, parts: Mapping[str, int]) -> None:
    part, size = entry.filename, entry.file_size
    if entry.flag_bits & 1:
        raise UsageError(f"{name}: {part} is encrypted; save the file without a password")
    if entry.compress_type not in _STORED_OR_DEFLATED:
        raise UsageError(f"{name}: {part} is packed in an unusual way; save the file again")
    if size > RATIO_FROM_BYTES and size > RATIO_MAX * max(1, entry.compress_size):
        raise UsageError(
            f"{name}: {part} inflates {entry.compress_size:,} bytes to {size:,}: more than "
            f"{RATIO_MAX} times, as no real data do"
        )
    for beginning, limit in parts.items():
        if part.lower().startswith(beginning) and size > limit:
            raise UsageError(
                f"{name}: {part} inflates to {size:,} bytes; at most {limit:,} are read; keep the needed rows"
            )
