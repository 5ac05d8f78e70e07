"""The index of lines: where keys stand in TOML and JSON texts."""

import json
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from app.configuration.lines import json_lines, toml_lines
from tests.conftest import examples


def test_toml_keys_are_found_in_tables_inline_tables_and_arrays_of_tables():
    text = """
top = 1
[a.b]          # comment
x = { y = 1, z = 2 }
"quoted key" = 3
dotted.key = 4
[[list]]
n = 1
[[list]]
n = 2
"""
    tomllib.loads(text)
    lines = toml_lines(text)
    assert lines["top",] == 2
    assert lines["a", "b"] == 3
    assert lines["a", "b", "x", "y"] == lines["a", "b", "x", "z"] == 4
    assert lines["a", "b", "quoted key"] == 5
    assert lines["a", "b", "dotted", "key"] == 6
    assert (lines["list", 0, "n"], lines["list", 1, "n"]) == (8, 10)


def test_json_keys_are_found_in_objects_and_lists():
    text = '{\n"a": {"b": 1,\n"c": [{"d": 1},\n{"d": "x, {\\"q\\": 1}"}]},\n"e": 2}'
    json.loads(text)
    lines = json_lines(text)
    assert lines["a",] == 2
    assert lines["a", "b"] == 2
    assert lines["a", "c"] == 3
    assert (lines["a", "c", 0, "d"], lines["a", "c", 1, "d"]) == (3, 4)
    assert lines["e",] == 5
    assert all("q" not in path for path in lines)


NESTED = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: (
        st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3) | st.lists(inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("abcd"), NESTED, min_size=1, max_size=3))
@settings(max_examples=examples(60), deadline=None)
def test_every_top_key_of_any_json_text_stands_on_its_line(data):
    lines = json_lines(
        "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in data.items()) + "\n}"
    )
    assert {key: lines[key,] for key in data} == {key: number for number, key in enumerate(data, 2)}
