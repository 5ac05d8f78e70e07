"""What a search tries: axes from options and declarations, and conditions that are read and never run."""

from typing import Annotated

import pytest
from msgspec import Meta

from app.optimize.searching import Bayesian, Chance, Grid, best_first, search
from app.optimize.space import Axis, axes, grid
from app.optimize.where import Where
from core.errors import UsageError
from core.strategy import Parameters, Strategy


class Declared(Parameters, frozen=True):
    fast: Annotated[int, Meta(ge=1, le=21)] = 3
    share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    slow: Annotated[int, Meta(ge=1)] = 9
    name: str = "a"
    loud: bool = False


class Sample(Strategy[Declared]):
    pass


def everything(_values: object) -> bool:
    return True


def test_a_range_is_inclusive_and_exact_in_decimals() -> None:
    (found,) = axes(Sample, ["share=0.1:0.7:0.2"], [])
    assert found.values() == [0.1, 0.3, 0.5, 0.7]
    (whole,) = axes(Sample, ["fast=5:8"], [])
    assert whole.values() == [5, 6, 7, 8]
    (uneven,) = axes(Sample, ["fast=1:10:4"], [])
    assert uneven.values() == [1, 5, 9]


def test_choices_have_the_declared_type() -> None:
    assert [axis.choices for axis in axes(Sample, [], ["name=1,b", "fast=3,5,3", "loud=true,false"])] == [
        ("1", "b"),
        (3, 5),
        (True, False),
    ]


def test_without_options_parameters_with_both_limits_are_searched() -> None:
    found = axes(Sample, [], [])
    assert [axis.name for axis in found] == ["fast", "share"]
    assert found[0].values() == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21]
    assert found[1].values()[:3] == [0.0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("ranges", "choices", "words"),
    [
        (["fats=1:2"], [], "did you mean 'fast'?"),
        (["fast"], [], "expected NAME=LOW:HIGH[:STEP]"),
        (["fast=1"], [], "expected fast=LOW:HIGH"),
        (["fast=9:1"], [], "9 is above 1"),
        (["fast=1:9:0"], [], "the step must be above 0"),
        (["fast=1:9:nan"], [], "the step 'nan': expected a finite number"),
        (["fast=1:9:0.5"], [], "whole numbers need a whole step"),
        (["fast=0:9"], [], "expected int >= 1"),
        (["fast=1:99"], [], "expected int <= 21"),
        (["share=0:nan"], [], "'nan'"),
        (["name=a:b"], [], "is not a number"),
        (["fast=1:2"], ["fast=3"], "given twice"),
        ([], ["fast=x"], "'x'"),
    ],
)
def test_what_is_no_axis_is_refused_with_its_place(ranges: list[str], choices: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=r"--(range|choice) ") as caught:
        axes(Sample, ranges, choices)
    assert words in str(caught.value)


def test_every_wrong_axis_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        axes(Sample, ["fats=1:2", "fast=9:1"], [])
    assert len(str(caught.value).splitlines()) == 2


def test_a_grid_has_every_combination_once_and_a_limit() -> None:
    found = axes(Sample, ["fast=1:3", "slow=1:2"], [])
    assert [tuple(values.values()) for values in grid(found)] == [(a, b) for a in (1, 2, 3) for b in (1, 2)]
    with pytest.raises(UsageError, match="at most 100,000"):
        grid([Axis("slow", 1, 1000, 1, whole=True), Axis("fast", 1, 1000, 1, whole=True)])
    with pytest.raises(UsageError, match="a grid needs a step"):
        list(grid(axes(Sample, ["share=0:1"], [])))


# -- conditions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fast < slow", True),
        ("fast * 2 + 1 <= slow and slow < 100", True),
        ("not (fast < slow) or name == 'b'", False),
        ("1 < fast < 4", True),
        ("-fast > -4 and slow % 2 == 1 and slow // 2 == 4 and slow / 2 > 4", True),
    ],
)
def test_a_condition_is_arithmetic_and_comparison(text: str, expected: bool) -> None:
    where = Where([text], ["fast", "slow", "name"])
    assert where({"fast": 3, "slow": 9, "name": "a"}) is expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "fast.__class__",
        "[x for x in (1,)]",
        "fast ** 99999 > 1",
        "(lambda: 1)()",
        "name['a']",
        "f'{fast}' == 'a'",
        "fast if slow else 1",
        "other < 3",
        "fast <",
        "",
        "(" * 300 + "1" + ")" * 300,
        "fast := 3",
    ],
)
def test_what_is_no_condition_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(UsageError, match="--where"):
        Where([text], ["fast", "slow", "name"])


@pytest.mark.parametrize("text", ["fast / 0 > 1", "name * 1000000 == 'a'", "name < fast"])
def test_a_condition_that_does_not_apply_names_the_values(text: str) -> None:
    with pytest.raises(UsageError, match="fast=3"):
        Where([text], ["fast", "name"])({"fast": 3, "name": "a"})


# -- searches ----------------------------------------------------------------------------------


def test_a_search_by_chance_follows_its_seed_and_repeats_nothing() -> None:
    found = axes(Sample, ["fast=1:21", "slow=1:20"], [])
    first, again, other = (next(Chance(found, everything, 50, seed).batches()) for seed in (1, 1, 2))
    assert first == again != other
    assert len({tuple(values.values()) for values in first}) == 50


def test_a_search_by_chance_ends_when_nothing_is_left() -> None:
    found = axes(Sample, ["fast=1:3", "slow=1:3"], [])
    chance = Chance(found, Where(["fast < slow"], ["fast", "slow"]), 50, 0)
    assert chance.total == 3
    assert chance.skipped == 6


def test_what_conditions_exclude_is_counted() -> None:
    found = axes(Sample, ["fast=1:3", "slow=1:3"], [])
    one = Grid(found, Where(["fast < slow"], ["fast", "slow"]))
    assert (one.total, one.skipped) == (3, 6)
    with pytest.raises(UsageError, match="excludes all 9"):
        search("grid", found, Where(["fast > 9"], ["fast"]), None, 0)


def peak(values: dict[str, float]) -> float:
    return -((values["fast"] - 13) ** 2) - (values["slow"] - 170) ** 2 / 100


def test_a_bayesian_search_follows_its_seed_and_finds_the_peak() -> None:
    pytest.importorskip("optuna")
    found = axes(Sample, ["fast=1:21", "slow=1:200"], [])

    def tried(seed: int) -> list[tuple[float, ...]]:
        one = Bayesian(found, everything, 80, seed)
        seen: list[tuple[float, ...]] = []
        for batch in one.batches():
            one.tell(batch, [peak(values) for values in batch])
            seen += [tuple(values.values()) for values in batch]
        return seen

    first, again = tried(5), tried(5)
    assert first == again != tried(6)
    late = sum(peak({"fast": a, "slow": b}) for a, b in first[-20:]) / 20
    early = sum(peak({"fast": a, "slow": b}) for a, b in first[:20]) / 20
    assert late > early / 3, "later trials are near the peak"


def test_the_best_comes_first_and_the_earlier_among_equals() -> None:
    assert best_first([(0, 1.0), (1, None), (2, 3.0), (3, 1.0)]) == [2, 0, 3]
