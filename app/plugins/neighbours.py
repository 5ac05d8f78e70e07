"""Modules that lie beside the files of plug-ins: a process has one of each name, whoever asks for it.

Two plug-ins of two folders, each with a `helper.py` of its own, would both get that of the folder that came
first, and the second would run with code that is not its own, in silence.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from core.errors import UnknownPlugin

_folders: list[Path] = []
"""The folders that were put last on the path, in this order."""


def join(path: Path) -> None:
    """Put the folder of a file last on the path; its imports shadow nothing.

    Raises `UnknownPlugin` if what the file imports from beside itself would come from an earlier folder.
    """
    folder = path.parent
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        _folders.append(folder)
    before = _folders[: _folders.index(folder)] if folder in _folders else []
    for line, name in _imported(path) if before else ():
        own = _beside(folder, name)
        for other in before if own else ():
            there = _beside(other, name)
            if there and own and not _same(own, there):
                raise UnknownPlugin(
                    f"{path}:{line}: imports {name}, but {there} comes first and would be taken; "
                    f"give it or {own} another name"
                )


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # whoever runs it says what is wrong
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def _beside(folder: Path, name: str) -> Path | None:
    places = (folder / f"{name}.py", folder / name / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def _same(one: Path, other: Path) -> bool:
    return one.name != "__init__.py" and one.read_bytes() == other.read_bytes()
