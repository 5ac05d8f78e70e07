"""A first look through a whole text file: its digest, how many lines it has, and how letters are written.

Owns encodings: UTF-8 with or without BOM, GBK, else Latin-1. Refuses what is no text; never writes.
"""

from codecs import getincrementaldecoder
from hashlib import blake2b
from pathlib import Path

from adapters.replay.lines import LineCount
from adapters.replay.packed import unpacked
from core.errors import UsageError

BLOCK_BYTES = 2 << 20
PEEK_BYTES = 1 << 16


def scan(path: Path) -> tuple[str, int, str]:
    """Return digest of the content, number of lines and encoding of a text file, in bounded memory."""
    digest = blake2b(digest_size=16)
    newlines = returns = 0
    lines = LineCount()
    has_zeros = False
    try:
        with unpacked(path) as file:
            while data := file.read(BLOCK_BYTES):
                if not newlines and _has_no_header(data):
                    raise _no_text(path)
                has_zeros = has_zeros or b"\0" in data
                digest.update(data)
                lines.add(data)
                newlines += data.count(b"\n")
                returns += data.count(b"\r")
        if returns > 1 and not newlines:
            raise UsageError(
                f"{path}: its lines end with a carriage return alone; save it with line feeds and import it "
                "again"
            )
        encoding = next((name for name in ("utf-8", "gb18030") if _decodes(path, name)), "latin-1")
        if encoding != "utf-8" and has_zeros:
            raise _no_text(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest(), lines.rows, encoding


def _has_no_header(data: bytes) -> bool:
    """Return whether zero bytes or the mark of UTF-16 are where a header line should be."""
    return data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:PEEK_BYTES].split(b"\n", 1)[0]


def _no_text(path: Path) -> UsageError:
    return UsageError(
        f"{path}: is UTF-16 or UTF-32 text, or no text at all; save it as CSV in UTF-8 and import it again"
    )


def _decodes(path: Path, encoding: str) -> bool:
    decoder = getincrementaldecoder(encoding)()
    with unpacked(path) as file:
        try:
            while data := file.read(BLOCK_BYTES):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
