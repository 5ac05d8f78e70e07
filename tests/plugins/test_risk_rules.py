"""A user's risk rule: asked last, of entries only, the same live and in replay, named if it fails."""

import pytest

from tests.plugins.project import Project

RULE = '''from truetape import risk_rule


@risk_rule
def mine(case):
    """Mine."""
    {body}
'''
LADDER = """if self.seen in (10, 200):
    self.buy(name, 10, reason="up")
elif self.seen == 400:
    self.sell(name, 10, reason="out")
"""
CONFIG = """[risk_management]
max_position_size = 1.0
max_portfolio_risk = 1.0
max_daily_loss = 1.0
[risk_management.rules.mine]
limit = {limit}
"""
HELD = "return case.held.get(case.proposal.instrument, 0)"


@pytest.fixture
def project(tape, morning, tmp_path):
    """A project with a risk rule."""
    return Project(tape, morning, tmp_path, "rules.py", LADDER)


def ruled(project, body, *command, limit="0", text=RULE, more=""):
    """Run a command, or a replay, under a rule with this body."""
    return project.under(text.format(body=body), CONFIG.format(limit=limit) + more, *command)


def test_an_entry_above_the_limit_is_refused_with_numbers_and_an_exit_is_not_asked_about(project):
    done = ruled(project, HELD)
    assert (done.code, done.json["refused"], done.json["fills"]) == (0, 1, 2)
    (no,) = project.told("risk_refused")
    assert (no["rule"], no["limit"], no["value"]) == ("mine", "0", "10")
    assert "mine is 10, above 0" in no["message"]
    assert ruled(project, HELD, limit="10").json["refused"] == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("1 / 0", "rule mine raised ZeroDivisionError: division by zero (rules.py:7)"),
        ("__import__('sys').exit(3)", "rule mine raised SystemExit: 3 (rules.py:7)"),
        ("float('nan')", "rule mine raised TypeError: said nan: expected a finite number, or None"),
        ("True", "said True"),
        ("'much'", "said 'much'"),
    ],
)
def test_one_that_fails_refuses_the_entry_by_name_and_stops_no_exit(said, reason, project):
    done = ruled(project, f"return {said} if case.held else None")
    assert (done.code, done.json["refused"], done.json["fills"]) == (0, 1, 2)
    (no,) = project.told("risk_refused")
    assert no["rule"] == "mine"
    assert reason in no["message"]


def test_a_class_is_a_rule_too_and_is_found_by_its_path(project, tmp_path):
    text = "from truetape import risk_rule\n\n\n@risk_rule\nclass Other:\n"
    text += "    def __call__(self, case):\n        {body}\n"
    done = ruled(project, HELD, text=text, more='path = "plugins/rules.py:Other"\n')
    assert done.json["refused"] == 1
    assert "risk rule  plugins/rules.py:Other" in project.tape("plugins").out


def test_the_source_of_a_rule_belongs_to_the_run(project):
    first = ruled(project, HELD).json["run"]
    assert ruled(project, HELD).json["run"] == first
    again = ruled(project, HELD + "  # of another mind", "replay", first)
    assert again.code == 0
    assert "the code of rule mine" in again.err
    changed = ruled(project, "return None", "replay", first)
    assert (changed.code, "the code of rule mine" in changed.err) == (1, True)


def test_a_demo_decides_as_the_replay_does_and_is_proven(project):
    replayed = ruled(project, HELD).json
    live = project.demo()
    assert live.code == 0
    assert (live.json["refused"], live.json["fills"]) == (replayed["refused"], replayed["fills"])
    assert ruled(project, HELD, "replay", "2025-07-02", "--fills", "recorded").code == 0
    changed = ruled(project, "return None", "replay", "2025-07-02", "--fills", "recorded")
    assert changed.code == 1


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("1 / 0\n" + RULE, "", "rules.py:1: ZeroDivisionError"),
        ("x = 1\n", "", "risk rule mine: no risk rule 'mine'"),
        (RULE, 'path = "nowhere.py"\n', "risk rule mine: nowhere.py: no such file"),
        (RULE, "[risk_management.rules.max_position_size]\nlimit = 1\n", "is a rule of truetape"),
        (RULE, "[risk_management.rules.other]\nlimit = nan\n", "limit = nan: expected a finite number"),
        (
            RULE,
            "[risk_management.rules.other]\nlimits = 1\n",
            'tape.toml:8: [risk_management.rules.other] unknown key "limits"; did you mean',
        ),
        (
            "import truetape\n@truetape.risk_rule\nclass mine:\n    def __init__(self):\n        1 / 0\n",
            "",
            "rules.py:5: raised ZeroDivisionError",
        ),
    ],
)
def test_one_that_does_not_load_stops_the_run_before_its_first_event(text, more, said, project):
    done = ruled(project, "return 0", text=text, more=more)
    assert done.code == 2
    assert said in done.err
