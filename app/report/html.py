"""Pieces of an HTML page: the frame, tables, cards and tiles. Every text that comes in is escaped.

A page is one file: no script, no request to anywhere (its own policy forbids both), light or dark.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from app.version import VERSION

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, header: str, body: str) -> str:
    """Return a whole page; `header` and `body` are HTML."""
    style = files("app").joinpath("templates/report.css.txt").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body><header>{header}</header><main>{body}</main>"
        f"<footer>Made by truetape {VERSION} from the run's own files. "
        "Times in charts are those of the exchange. No investment advice.</footer></body></html>\n"
    )


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    caption: str = "",
    left: Iterable[int] = (0,),
    wide: int | None = None,
) -> str:
    """Return a table that scrolls sideways where it must; columns in `left` are text, `wide` may wrap."""
    text = frozenset(left)
    kinds = ["t w" if i == wide else "t" if i in text else "" for i in range(len(heads))]
    head = "".join(
        f'<th scope="col"{_class(kind)}>{escape(name)}</th>' for name, kind in zip(heads, kinds, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


class Signed(str):
    """A text that is coloured by its sign."""


def _cell(value: Any, kind: str) -> str:
    text = str(value)
    if isinstance(value, Signed):
        kind = f"{kind} {sign_class(text)}".strip()
    return f"<td{_class(kind)}>{escape(text)}</td>"


def sign_class(text: str) -> str:
    """Return the class of a text that is a number: a loss, a gain, or neither."""
    if text.startswith("-"):
        return "bad"
    return "good" if text.strip("0.,%–") else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def section(title: str, content: str) -> str:
    """Return a section under a heading; nothing if there is no content."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def cards(groups: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Return cards of names and values, as many in a row as fit."""
    return '<div class="cards">' + "".join(_card(title, values) for title, values in groups) + "</div>"


def _card(title: str, values: Mapping[str, str]) -> str:
    return f'<div class="card"><h3>{escape(title)}</h3>{pairs(values)}</div>'


def pairs(values: Mapping[str, str]) -> str:
    """Return a list of names and values."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in values.items())
    return f"<dl>{items}</dl>"


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """Return the most important figures, large."""
    return f'<ul class="tiles">{"".join(_tile(name, value) for name, value in values)}</ul>'


def _tile(name: str, value: str) -> str:
    kind = sign_class(value) if isinstance(value, Signed) else ""
    return f"<li><span>{escape(name)}</span><b{_class(kind)}>{escape(value)}</b></li>"


def note(text: str) -> str:
    """Return a remark that must not be missed."""
    return f'<p class="note failed">{escape(text)}</p>'


def notes(texts: Sequence[str]) -> str:
    """Return remarks in one box; nothing if there are none."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="note">{items}</ul>' if items else ""


def heat(heads: Sequence[str], rows: Iterable[Sequence[Any]], strongest: float) -> str:
    """Return a table of shares whose background tells sign and size; `None` is an empty cell."""
    head = "".join(f'<th scope="col">{escape(name.strip())}</th>' for name in heads)
    lines = []
    for name, *values in rows:
        cells = "".join(_heat_cell(value, strongest) for value in values)
        lines.append(f'<tr><th scope="row">{escape(str(name))}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table class="heat"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _heat_cell(value: float | None, strongest: float) -> str:
    if value is None:
        return "<td></td>"
    text = f"{value:.1%}"
    if not text.strip("-0.%"):
        return f"<td>{text.removeprefix('-')}</td>"
    depth = round(8 + 37 * min(abs(value) / strongest, 1)) if strongest else 8
    return f'<td class="{"up" if value > 0 else "down"}" style="--v:{depth}">{text}</td>'
