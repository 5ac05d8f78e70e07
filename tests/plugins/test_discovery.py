"""Plug-ins of every kind: found in folders, by entry point and by path, and named when they do not load."""

import os
import sys

import pytest

from app.plugins.discovery import STRATEGIES, find, find_plugin, in_folders, load_file
from app.plugins.kinds import KINDS, LISTENERS, MODELS, SIGNAL_SOURCES, SIZERS
from core.errors import UnknownPlugin, UnknownStrategy
from tests.conftest import sampled

STRATEGY = '''"""A file."""
from truetape import Parameters, Strategy

__version__ = "1.4"


class Mine(Strategy[Parameters]):
    """Does nothing."""
'''
LISTENER = '''from truetape import Filled, Listener, on


class Desk(Listener):
    """Writes."""

    @on(Filled)
    def filled(self, event):
        pass
'''
SOURCE = '''import os


class Old:
    """The old bot."""

    def generate_signal(self, symbol):
        return 0.5
'''
SIZER = """import truetape


@truetape.sizer
def tenth(case):
    return case.equity / case.unit / 10
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return what installs a distribution of one module with entry points."""

    def install(text, *entry_points):
        site = tmp_path / "site"
        told = site / "gadgets-2.3.dist-info"
        told.mkdir(parents=True)
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: gadgets\nVersion: 2.3\n")
        (told / "entry_points.txt").write_text("\n".join(entry_points))
        (site / "gadgets_of_mine.py").write_text(text)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, "gadgets_of_mine", raising=False)

    yield install
    sys.modules.pop("gadgets_of_mine", None)


def test_each_kind_is_told_from_the_others_by_reading_the_file(folder):
    for name, text in (("a.py", STRATEGY), ("b.py", LISTENER), ("c.py", SOURCE), ("d.py", SIZER)):
        (folder / name).write_text(text + "\nraise SystemExit('was run')\n")
    found = {kind.name: in_folders(kind) for kind in KINDS}
    assert found["strategy"] == ["plugins/a.py:Mine"]
    assert found["listener"] == ["plugins/b.py:Desk"]
    assert found["signal source"] == ["plugins/c.py:Old"]
    assert found["sizer"] == ["plugins/d.py:tenth"]
    assert found["risk rule"] == []


def test_all_are_listed_with_kind_origin_version_and_parameters(tape, folder):
    for name, text in (("a.py", STRATEGY), ("b.py", LISTENER), ("c.py", SOURCE)):
        (folder / name).write_text(text)
    done = tape("plugins", "--json")
    assert done.code == 0
    rows = {(row["kind"], row["name"]): row for row in done.json}
    mine = rows["strategy", "plugins/a.py:Mine"]
    assert (mine["origin"], mine["version"]) == ("plugins/a.py:7", "1.4")
    assert rows["listener", "plugins/b.py:Desk"]["summary"] == "Writes."
    assert rows["signal source", "plugins/c.py:Old"]["origin"] == "plugins/c.py:4"
    assert rows["strategy", "sma_cross"]["parameters"][0]["name"] == "instrument"
    assert "listener  plugins/b.py:Desk  (plugins/b.py:4)" in tape("plugins").out


@pytest.mark.parametrize(
    "spoilt", sampled(["raise SystemExit(3)", "1 / 0", "x = (", "import nothing_of_this_name"], every=2)
)
def test_one_that_does_not_load_is_named_with_file_and_line_and_stops_no_other(spoilt, tape, folder):
    (folder / "bad.py").write_text(f"{STRATEGY}\n\n{spoilt}\n")
    (folder / "good.py").write_text(LISTENER)
    done = tape("plugins", "--json")
    assert done.code == 1
    bad = [row for row in done.json if row["error"]]
    assert [("bad.py:11" in row["error"], row["kind"]) for row in bad] == [(True, "strategy")]
    assert any(row["name"] == "plugins/good.py:Desk" and not row["error"] for row in done.json)
    assert tape("replay", "2025-07-02", "--strategy", "buy_and_hold", "--set", "instrument=ZVXA").code == 0
    done = tape("replay", "2025-07-02", "--strategy", "plugins/bad.py:Mine")
    assert (done.code, "bad.py:11" in done.err) == (2, True)


def test_the_short_name_of_one_in_a_folder_is_enough_while_it_is_the_only_one(folder):
    (folder / "a.py").write_text(STRATEGY)
    assert find("Mine").name == "plugins/a.py:Mine"
    (folder / "b.py").write_text(STRATEGY)
    with pytest.raises(UnknownStrategy, match=r"it may be plugins/a.py:Mine or plugins/b.py:Mine"):
        find("Mine")
    with pytest.raises(UnknownStrategy, match="did you mean 'Mine'"):
        find("Mime")


def test_an_entry_point_to_a_name_that_is_not_there_blames_no_file(package):
    package(STRATEGY, f"[{STRATEGIES.group}]", "gone = gadgets_of_mine:Gone")
    with pytest.raises(
        UnknownStrategy, match=r"does not load: AttributeError: module 'gadgets_of_mine' has no"
    ):
        find("gone")


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [(LISTENERS, LISTENER, "Desk"), (SIGNAL_SOURCES, SOURCE, "Old"), (SIZERS, SIZER, "tenth")],
)
def test_a_package_brings_plugins_by_entry_point(kind, text, name, package):
    package(text, f"[{kind.group}]", f"gadget = gadgets_of_mine:{name}")
    found = find_plugin(kind, "gadget")
    assert (found.origin, found.version, found.item.__name__) == ("gadgets", "2.3", name)
    assert len(found.source) == 32


def test_an_entry_point_that_raises_or_exits_is_named_with_its_place(package):
    package("import sys\n\nsys.exit(3)\n", f"[{STRATEGIES.group}]", "gadget = gadgets_of_mine:Mine")
    with pytest.raises(UnknownStrategy, match=r"gadgets_of_mine.py:3: SystemExit: 3"):
        find("gadget")


def test_an_entry_point_to_something_else_is_refused(package):
    package("Mine = 3\n", f"[{LISTENERS.group}]", "gadget = gadgets_of_mine:Mine")
    with pytest.raises(UnknownPlugin, match="3 is not a subclass of"):
        find_plugin(LISTENERS, "gadget")


def test_a_model_needs_predict(folder):
    (folder / "c.py").write_text(SOURCE)
    with pytest.raises(UnknownPlugin, match=r"has no model \(a class with predict\(window\)\)"):
        find_plugin(MODELS, "plugins/c.py")


def test_a_file_runs_as_it_is_written_also_if_its_change_cannot_be_seen_from_outside(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    for value in (1, 2):
        path.write_text(f"VALUE = {value}\n")
        os.utime(path, (10**9, 10**9))
        assert value == load_file(path).VALUE
    assert [found.name for found in tmp_path.iterdir()] == ["mine.py"]


def test_a_file_that_starts_a_command_which_reads_it_again_is_told_what_to_do(tmp_path):
    path = tmp_path / "own.py"
    again = "from app.plugins.discovery import load_file\nfrom pathlib import Path\n"
    again += f"load_file(Path({str(path)!r}))"
    for text in (again, "try:\n    " + again.replace("\n", "\n    ") + "\nexcept Exception:\n    pass"):
        path.write_text(text)
        with pytest.raises(UnknownPlugin, match=r"own\.py: the file starts a command.*__main__"):
            load_file(path)
    path.write_text("VALUE = 1")
    assert load_file(path).VALUE == 1


def test_two_plugins_with_a_helper_of_one_name_each_are_told_apart_or_refused(tmp_path):
    for folder, value in (("a", 1), ("b", 2), ("same", 1)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helper_of_mine.py").write_text(f"VALUE = {value}\n")
        (tmp_path / folder / "plugin.py").write_text("from helper_of_mine import VALUE\n")
    for folder in ("a", "same", "a"):
        assert load_file(tmp_path / folder / "plugin.py").VALUE == 1
    with pytest.raises(
        UnknownPlugin, match=r"b/plugin\.py:1: imports helper_of_mine, but .*a/helper_of_mine\.py"
    ):
        load_file(tmp_path / "b" / "plugin.py")
    (tmp_path / "a" / "helper_of_mine.py").unlink()
    (tmp_path / "same" / "helper_of_mine.py").unlink()
    sys.modules.pop("helper_of_mine")
    assert load_file(tmp_path / "b" / "plugin.py").VALUE == 2
