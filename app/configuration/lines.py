"""On which line of a TOML or JSON text a key stands, so that a problem can be named by its place.

The parsers of the standard library keep no positions. This is an index for messages only: it never
decides what a file means, and a key that it does not find is reported without a line.
"""

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""(?:^|[{,])\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+|\n')


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.split(r"\s*\.\s*", dotted)]


def toml_lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) of each table header and key, by path; arrays of tables are counted."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    section: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = tuple(_parts(header[2]))
            if header[1] == "[[":
                counts[section] = counts.get(section, -1) + 1
                found.setdefault(section, number)
                section = (*section, counts[section])
            found.setdefault(section, number)
            continue
        _toml_keys(line, number, section, found)
    return found


def _toml_keys(line: str, number: int, section: Path, found: dict[Path, int]) -> None:
    outer: Path = ()
    for match in _KEY.finditer(line):
        parts = tuple(_parts(match[1]))
        inside = match[0][:1] in "{," and outer
        path = (*section, *outer, *parts) if inside else (*section, *parts)
        found.setdefault(path, number)
        outer = outer if inside else parts


def json_lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) of each key of a JSON text, by path; list items are counted from 0."""
    found: dict[Path, int] = {}
    stack: list[str | int | None] = []
    line, pending = 1, None
    for piece in (match[0] for match in _JSON_TOKEN.finditer(text)):
        if piece == "\n":
            line += 1
        elif piece in "{[":
            stack.append(0 if piece == "[" else None)
            if piece == "{":
                found.setdefault(tuple(part for part in stack[:-1] if part is not None), line)
        elif piece in "}]":
            stack = stack[:-1]
        elif piece == ":" and pending is not None and stack:
            stack[-1] = pending
            found.setdefault(tuple(part for part in stack if part is not None), line)
        elif piece == "," and stack and isinstance(stack[-1], int):
            stack[-1] += 1
        pending = piece[1:-1] if piece.startswith('"') else None
    return found
