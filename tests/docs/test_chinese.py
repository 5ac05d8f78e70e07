"""The Chinese pages name no command, code or setting that the English ones do not."""

import re
from pathlib import Path

import pytest

from tests.docs.test_guides import read, typed

CHINESE = {"README.zh.md": "README.md", "docs/zh/from-a-callback-bot.md": "docs/from-a-callback-bot.md"}


@pytest.mark.parametrize("name", CHINESE)
def test_every_command_of_a_chinese_page_stands_in_the_english_one(name):
    commands = typed(read(name))
    assert len(commands) > 5
    assert commands - typed(read(CHINESE[name])) == set()


@pytest.mark.parametrize("name", CHINESE)
def test_code_and_settings_of_a_chinese_page_stand_in_the_english_one(name):
    english = read(CHINESE[name])
    blocks = re.findall(r"^```(?:python|toml|json)\b[^\n]*\n(.*?)^```$", read(name), re.M | re.DOTALL)
    assert [block for block in blocks if block not in english] == []
    words = set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", read(name), flags=re.M | re.DOTALL)))
    assert {word for word in words if word not in english} == set()


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_and_english_pages_name_each_other(name):
    assert Path(name).name in read(CHINESE[name])
    assert Path(CHINESE[name]).name in read(name)
