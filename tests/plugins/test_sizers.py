"""A user's sizer: asked in replay and live alike, capped, named if it fails; no exit ever waits for it."""

import json

import pytest

from tests.plugins.project import Project

SIZER = '''from truetape import sizer


@sizer
def mine(case):
    """Mine."""
    {body}
'''
SIZED = """if self.seen in (10, 200) and (units := self.size(name)):
    self.buy(name, units, reason="in")
elif self.seen == 400 and self.position(name):
    self.sell(name, self.position(name), reason="out")
"""


@pytest.fixture
def project(tape, morning, tmp_path):
    """A project with a sizer."""
    return Project(tape, morning, tmp_path, "sizers.py", SIZED)


def sized(project, body, *command, text=SIZER, named="mine", more=""):
    """Run a command, or a replay, with a sizer with this body."""
    return project.under(text.format(body=body), f'[sizing]\nsizer = "{named}"\n{more}', *command)


def test_what_it_says_is_rounded_capped_and_recorded_with_what_it_knew(project):
    done = sized(
        project,
        "return case.parameters['share'] * float(case.equity / case.unit)",
        more="max_share = 0.01\nparameters = { share = 0.5 }\n",
    )
    assert (done.code, done.json["fills"]) == (0, 3)
    first, second = project.told("order_sized")
    assert (first["method"], first["capped_by"], first["quantity"]) == ("mine", "max_share", "11")
    assert int(first["wanted"]) > 500
    assert json.loads(first["inputs"])["sizer"] == "mine"
    assert json.loads(second["inputs"])["held"] == "11"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("1 / 0", "sizer mine raised ZeroDivisionError: division by zero (sizers.py:7)"),
        ("__import__('sys').exit(3)", "sizer mine raised SystemExit: 3 (sizers.py:7)"),
        ("float('inf')", "sizer mine raised TypeError: said inf: expected a finite number, or None"),
        ("-5", "sizer mine said -5: expected units of 0 or more"),
        ("None", "sizer mine has no size"),
    ],
)
def test_one_that_fails_is_named_and_enters_nothing_while_exits_go_on(said, reason, project):
    done = sized(project, f"return {said} if case.held else 10")
    assert (done.code, done.json["fills"], done.json["refused"]) == (0, 2, 0)
    second = project.told("order_sized")[1]
    assert (second["quantity"], second["capped_by"][: len(reason)]) == ("0", reason)


def test_a_class_is_a_sizer_too_is_found_by_its_path_and_listed(project):
    text = (
        "from truetape import sizer\n\n\n@sizer\nclass Ten:\n    def __call__(self, case):\n        {body}\n"
    )
    done = sized(project, "return 10", text=text, named="plugins/sizers.py:Ten")
    assert done.json["fills"] == 3
    assert "sizer  plugins/sizers.py:Ten" in project.tape("plugins").out


def test_the_source_of_a_sizer_belongs_to_the_run(project):
    first = sized(project, "return 10").json["run"]
    assert sized(project, "return 10").json["run"] == first
    again = sized(project, "return 10  # of another mind", "replay", first)
    assert (again.code, "the code of sizer mine" in again.err) == (0, True)
    changed = sized(project, "return 11", "replay", first)
    assert (changed.code, "the code of sizer mine" in changed.err) == (1, True)


def test_a_demo_sizes_as_the_replay_does_and_is_proven(project):
    replayed = sized(project, "return 10").json
    live = project.demo()
    assert (live.code, live.json["fills"]) == (0, replayed["fills"])
    assert sized(project, "return 10", "replay", "2025-07-02", "--fills", "recorded").code == 0
    assert sized(project, "return 12", "replay", "2025-07-02", "--fills", "recorded").code == 1


@pytest.mark.parametrize(
    ("text", "named", "said"),
    [
        ("1 / 0\n" + SIZER, "mine", "sizers.py:1: ZeroDivisionError"),
        ("x = 1\n", "mine", "sizer mine: no sizer 'mine'"),
        (SIZER, "nowhere.py", "sizer nowhere.py: nowhere.py: no such file"),
        (SIZER.replace("def mine", "def kelly"), "kelly", "kelly is a method of truetape"),
        ("def mine(case):\n    return 1\n", "plugins/sizers.py:mine", "no sizer 'mine'"),
        (
            "import truetape\n@truetape.sizer\nclass mine:\n    def __init__(self):\n        1 / 0\n",
            "mine",
            "sizers.py:5: raised ZeroDivisionError",
        ),
    ],
)
def test_one_that_does_not_load_stops_the_run_before_its_first_event(text, named, said, project):
    done = sized(project, "return 0", text=text, named=named)
    assert done.code == 2
    assert said in done.err


def test_kelly_that_could_never_have_its_trades_is_refused(project):
    done = sized(project, "return 1", named="", more='method = "kelly"\nkelly_trades = 10\n')
    assert done.code == 2
    assert "kelly_least = 30: only the last kelly_trades = 10 are looked at" in done.err
    fallback = 'method = "kelly"\nkelly_fallback = "fixed_fractional"\n'
    assert "kelly_fallback" in sized(project, "return 1", named="", more=fallback).err


def test_kelly_runs_on_the_sample_and_says_what_stood_in(project):
    done = sized(project, "return 1", named="", more='method = "kelly"\nkelly_least = 2\nquantity = 7\n')
    assert (done.code, done.json["fills"]) == (0, 3)
    assert [(one["quantity"], one["reason"]) for one in project.told("order_sized")] == [
        ("7", "fixed stands in for kelly: 0 of 2 closed trades"),
        ("7", "fixed stands in for kelly: 0 of 2 closed trades"),
    ]
