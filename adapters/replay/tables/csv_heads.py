"""The beginning of a delimited text: what comes before its header, the header, what cuts columns. Pure."""

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

from adapters.replay.numerals import number
from adapters.replay.tables.times import read_time

_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)


class Head(NamedTuple):
    """`skip` lines come before the first row; without a header, columns are named `1`, `2`, …"""

    skip: int
    header: Sequence[str]
    delimiter: str


def read_head(lines: Sequence[str]) -> Head | None:
    """Return the head of a text, given its first lines; `None` if nothing is in them.

    Blank lines, comments (`#`) and Excel's `sep=;` may come before the header; a header may begin with `#`.
    """
    skip, comment, delimiter = 0, "", ""
    for line in lines:
        stated = _SEPARATOR.fullmatch(line.strip())
        if stated is not None:
            delimiter = stated[1]
        elif line.lstrip().startswith("#"):
            comment = line.lstrip().lstrip("#")
        elif line.strip():
            break
        skip += 1
    else:
        return None
    delimiter = delimiter or max(_DELIMITERS, key=line.count)
    first = fields(line, delimiter)
    if not any(number(field) is not None or read_time(field) for field in first):
        return Head(skip + 1, [field.strip() for field in first], delimiter)
    named = [field.strip() for field in fields(comment, delimiter)]
    if len(named) == len(first) > 1:
        return Head(skip, named, delimiter)
    return Head(skip, [str(place + 1) for place in range(len(first))], delimiter)


def fields(line: str, delimiter: str) -> list[str]:
    """Return the fields of one line."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]
