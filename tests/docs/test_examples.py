"""What the pages show is what a reader gets: examples run, code parses, links lead somewhere."""

import ast
import importlib.util
import io
import os
import re
import shlex
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import cli
from tests.conftest import sampled

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(p for p in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
NAMES = [page.relative_to(PROJECT).as_posix() for page in PAGES]


def load_builder():
    spec = importlib.util.spec_from_file_location("build_examples", PROJECT / "docs" / "build_examples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILDER = load_builder()


class Here(BUILDER.Page):
    """A page whose commands run in this process; what only a shell or another program can do runs there."""

    def shell(self, line: str) -> str:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command, *args = words
        if command != "tape" or any(re.fullmatch(r"[();<>|&]+|.*\$.*", word) for word in args):
            return super().shell(line)
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile() as file:
            patch.chdir(self.directory)
            for name, value in BUILDER.ENVIRONMENT.items():
                patch.setenv(name, value)
            with printing_to(file.fileno()):
                cli.main(args)
            file.seek(0)
            return file.read().decode("utf-8")


@contextmanager
def printing_to(target: int) -> Iterator[None]:
    """Send what this process and its children print to a file, in the order in which it is printed."""
    kept = {number: os.dup(number) for number in (1, 2)}
    for number in kept:
        os.dup2(target, number)
    out = io.TextIOWrapper(os.fdopen(os.dup(target), "wb", 0), "utf-8", write_through=True)
    try:
        with out, redirect_stdout(out), redirect_stderr(out):
            yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\b[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are for a POSIX shell")
@pytest.mark.parametrize("name", sampled(BUILDER.PAGES, 3))
def test_examples_print_what_the_page_shows(name):
    shown = (PROJECT / name).read_text("utf-8")
    assert BUILDER.render(name, Here).splitlines() == shown.splitlines(), (
        f"run: python docs/build_examples.py {name}"
    )


def test_the_pages_have_blocks_to_parse():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert len(blocks(text, "python")) > 10
    assert len(blocks(text, "toml")) > 10


@pytest.mark.parametrize("name", NAMES)
def test_python_blocks_parse(name):
    for block in blocks((PROJECT / name).read_text("utf-8"), "python"):
        ast.parse(block)


@pytest.mark.parametrize("name", NAMES)
def test_toml_blocks_parse(name):
    for block in blocks((PROJECT / name).read_text("utf-8"), "toml"):
        tomllib.loads(block)


_NOT_OURS = ("[[fault]]", "[project")
"""What TOML blocks begin with that are no configuration: faults of a gateway, a package's entry points."""


@pytest.mark.parametrize("name", NAMES)
def test_toml_blocks_are_configurations_that_are_accepted(name, tmp_path):
    from app.configuration.reading import load  # noqa: PLC0415

    for block in blocks((PROJECT / name).read_text("utf-8"), "toml"):
        if not block.startswith(_NOT_OURS):
            (tmp_path / "tape.toml").write_text(block, "utf-8")
            load([tmp_path / "tape.toml"], environment={})


def test_a_toml_block_with_a_key_that_there_is_not_is_found(tmp_path):
    from app.configuration.reading import load  # noqa: PLC0415
    from core.errors import ConfigError  # noqa: PLC0415

    (tmp_path / "tape.toml").write_text("[replay]\ncahs = 1\n")
    with pytest.raises(ConfigError, match="did you mean"):
        load([tmp_path / "tape.toml"], environment={})


@pytest.mark.parametrize("name", NAMES)
def test_python_blocks_that_need_no_gateway_run(name):
    text = (PROJECT / name).read_text("utf-8")
    for options, block in re.findall(r"^```python\b([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        alone = not re.search(r"ib_gateway|^import ib_async|^from opening_range", block, re.MULTILINE)
        if alone and "run" not in options.split():
            exec(compile(block, name, "exec"), {"__name__": "page"})


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get: lower case, without punctuation, dashes for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead to no file, or to no heading of it."""
    broken = []
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name):
    assert broken_links(PROJECT / name) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[here](#a-title) [gone](gone.md) [page](page.md#nothing) [web](https://x.org)"
    )
    assert broken_links(page) == ["gone.md", "page.md#nothing"]


def test_every_page_can_be_reached_from_the_readme():
    seen, waiting = set(), [PROJECT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if not re.match(r"[a-z]+:", link)]
    unreached = {page.relative_to(PROJECT).as_posix() for page in (PROJECT / "docs").rglob("*.md")} - {
        page.relative_to(PROJECT).as_posix() for page in seen
    }
    assert unreached == set()


def test_the_readme_names_the_two_commands_that_set_it_up():
    shown = "".join(blocks((PROJECT / "README.md").read_text("utf-8"), "bash"))
    assert "pip install -e . && python cli.py replay 2025-07-02\n" in shown
    assert "pip install -e '.[test]' && pytest\n" in shown


def test_the_dependencies_without_ibapi_are_those_of_the_package():
    shown = "".join(blocks((PROJECT / "README.md").read_text("utf-8"), "bash"))
    listed = re.search(r"^pip install (click.*)$", shown, re.MULTILINE)
    assert listed
    names = {re.split(r"[<>=]", word.strip("'"))[0] for word in listed[1].split()}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[<>=;]", dependency)[0] for dependency in project["dependencies"]}
    assert names == wanted - {"ibapi-stable", "tzdata"}


def test_the_versions_that_continuous_integration_installs_satisfy_the_package():
    from packaging.requirements import Requirement  # noqa: PLC0415

    pins = dict(
        line.split("==")
        for line in (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line
    )
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [Requirement(text) for text in [*project["dependencies"], *extras["test"], *extras["dev"]]]
    for requirement in needed:
        if requirement.name != project["name"] and not requirement.marker:
            assert requirement.specifier.contains(pins[requirement.name]), requirement.name


@pytest.fixture(scope="module")
def sql(tmp_path_factory):
    from eventstore.layout import Layout  # noqa: PLC0415
    from eventstore.sql.connection import connect  # noqa: PLC0415

    root = tmp_path_factory.mktemp("log")
    Layout(root).create()
    with connect(root) as connection:
        yield connection


def test_every_view_is_described_with_its_columns(sql):
    from eventstore.sql.views import names  # noqa: PLC0415

    text = (PROJECT / "docs" / "sql.md").read_text("utf-8")
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == names()
    for name, described in sections.items():
        columns = {row[0] for row in sql.query(f"SELECT column_name FROM (DESCRIBE {name})").rows}
        common = re.search(r"Common columns: (.*)\.$", described, re.MULTILINE)
        listed = re.findall(r"`(\w+)`", common[1] if common else "")
        listed += re.findall(r"^\| `(\w+)` \|", described, re.MULTILINE)
        assert set(listed) == columns, name
        assert len(listed) == len(columns), name


def test_there_is_one_version():
    from app.version import VERSION  # noqa: PLC0415

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    changes = re.search(r"^## \[([\d.]+)\]", (PROJECT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert changes
    assert {cli.VERSION, VERSION, changes[1]} == {project["version"]}
