"""The page of modules has each module of a crowded folder, once and where it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "modules.md"
CROWDED = 20


def crowded() -> dict[str, set[str]]:
    """Return the modules of each folder that has too many to be seen at a glance."""
    found: dict[str, set[str]] = {}
    for package in ("core", "projections", "eventstore", "adapters", "app"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py":
                found.setdefault(path.parent.relative_to(ROOT).as_posix(), set()).add(path.stem)
    return {folder: modules for folder, modules in found.items() if len(modules) > CROWDED}


def listed(page: str) -> dict[str, list[str]]:
    """Return the modules that each section of the page names."""
    sections = re.split(r"^## (.+)$", page, flags=re.M)[1:]
    tables = zip(sections[::2], sections[1::2], strict=True)
    return {
        folder: re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\|.*\|(.*)\|$", text, flags=re.M)))
        for folder, text in tables
    }


def test_the_page_has_the_crowded_folders():
    assert list(crowded()) != []
    assert set(listed(PAGE.read_text("utf-8"))) == set(crowded())


@pytest.mark.parametrize("folder", sorted(crowded()))
def test_each_module_of_a_crowded_folder_stands_on_the_page_once(folder):
    assert sorted(listed(PAGE.read_text("utf-8"))[folder]) == sorted(crowded()[folder])


def test_a_module_that_the_page_lacks_is_noticed():
    page = PAGE.read_text("utf-8").replace("`loop`, ", "", 1)
    assert set(listed(page)["core"]) == crowded()["core"] - {"loop"}
