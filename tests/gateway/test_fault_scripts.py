"""Fault scripts: how they are written, and what a mistake in one is answered with."""

import pytest

from adapters.ibkr.gateway.faults import ACTS, COUNTED, Faults, parse
from core.errors import ConfigError

TOML = """
[[fault]]
when = "order 2"
do = "reset"
processed = false

[[fault]]
when = "time 10:30"
do = "outage"
run = "600 S"
"""
JSON = """[{"when": "order 2", "do": "reset", "processed": false},
           {"when": "time 10:30", "do": "outage", "run": "600 S"}]"""
TEXT = "order 2: reset processed=false; time 10:30: outage run=600_S"


def test_toml_json_and_text_say_the_same():
    assert parse(TOML) == parse(JSON) == parse(TEXT)
    assert [str(fault) for fault in parse(TEXT)] == [
        "order 2: reset processed=False",
        "time 10:30:00: outage run=600 S",
    ]


def test_no_script_is_no_fault():
    assert parse("") == parse(" \n") == ()


def test_a_fault_happens_once_when_its_count_is_reached():
    faults = Faults(parse("order 2: mute"))
    assert [len(faults.count("order")) for _ in range(4)] == [0, 1, 0, 0]
    assert len(faults.fired) == 1


def test_counts_of_many_at_once_pass_the_trigger():
    assert len(Faults(parse("ticks 100: mute")).count("ticks", 250)) == 1


def test_a_clock_time_is_due_from_then_on():
    faults = Faults(parse("time 10:30: mute"))
    assert [len(faults.at(clock)) for clock in ("10:29:59", "10:30:00", "10:30:01")] == [0, 1, 0]


def test_every_mistake_is_named_with_a_hint():
    script = (
        "ordr 2: mut; order 1: mut; order 1: split byte=2; order 1: split bytes=x; order 1: garbage kind=y"
    )
    with pytest.raises(ConfigError) as caught:
        parse(script, "faults.toml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert "fault 1: when = 'ordr 2'" in lines[0]
    assert "did you mean 'order'?" in lines[0]
    assert "did you mean 'mute'?" in lines[1]
    assert "fault 2" in lines[2]
    assert "did you mean 'bytes'?" in lines[3]
    assert "bytes = 'x': expected int" in lines[4]
    assert "expected one of" in lines[5]


@pytest.mark.parametrize("when", ["order ²", "time ¹⁰:30"])
def test_a_digit_that_is_no_number_is_a_mistake_like_others(when):
    with pytest.raises(ConfigError, match=f"fault 1: when = '{when}': expected time HH:MM:SS"):
        parse(f"{when}: mute")


def test_broken_toml_names_its_place():
    with pytest.raises(ConfigError, match=r"faults\.toml: Invalid value"):
        parse("[[fault]]\nwhen = \n", "faults.toml")


def test_every_trigger_and_act_is_documented():
    from pathlib import Path  # noqa: PLC0415

    page = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text("utf-8")
    assert [act for act in ACTS if f"| `{act}` |" not in page] == []
    assert [each for each in COUNTED if f"`{each} N`" not in page] == []
    for act, options in ACTS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{act}` |")]
        assert [key for key in options if f"`{key}`" not in row] == [], act
