"""Commands to the process that holds a log."""

import threading
from pathlib import Path

import pytest

from core.errors import StoreError, UsageError
from eventstore import control
from eventstore.layout import Layout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Layout(tmp_path / "log").create()
    return tmp_path / "log"


def test_a_request_is_taken_answered_and_gone(root: Path) -> None:
    key = control.request(root, "roll", reason="noon", depth=2)
    assert control.pending(root) == [control.Command(key, "roll", {"reason": "noon", "depth": 2})]
    control.answer(root, key, {"rolled": True})
    assert control.pending(root) == []
    assert control.wait(root, key, timeout_s=0) == {"rolled": True}
    assert list(Layout(root).control.iterdir()) == []


def test_requests_come_in_the_order_in_which_they_were_made(root: Path) -> None:
    keys = [control.request(root, "halt") for _ in range(5)]
    assert [command.id for command in control.pending(root)] == keys


def test_without_an_answer_the_request_is_withdrawn(root: Path) -> None:
    key = control.request(root, "roll")
    assert control.wait(root, key, timeout_s=0.05) is None
    assert control.pending(root) == []


def test_waiting_ends_with_the_answer(root: Path) -> None:
    key = control.request(root, "roll")
    holder = threading.Timer(0.05, control.answer, (root, key, {"n": 1}))
    holder.start()
    assert control.wait(root, key, timeout_s=10) == {"n": 1}
    holder.join()


def test_waiting_ends_when_the_holder_is_gone_but_not_without_its_last_answer(root: Path) -> None:
    key = control.request(root, "roll")
    assert control.wait(root, key, timeout_s=600, gone=lambda: True) is None
    assert control.pending(root) == []
    key = control.request(root, "roll")

    def answers_and_goes() -> bool:
        control.answer(root, key, {"n": 1})
        return True

    assert control.wait(root, key, timeout_s=600, gone=answers_and_goes) == {"n": 1}


@pytest.mark.parametrize("name", ["", "Roll", "../x", "rm -rf", "a" * 40])
def test_what_is_no_command_is_refused(root: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no command"):
        control.request(root, name)


def test_arguments_must_be_json_of_bounded_size(root: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        control.request(root, "roll", when=float("nan"))
    with pytest.raises(UsageError, match="at most 65536"):
        control.request(root, "roll", text="x" * 70_000)
    assert control.pending(root) == []


def test_a_file_that_is_no_request_is_answered_with_its_error_or_ignored(root: Path) -> None:
    directory = Layout(root).control
    key = control.request(root, "roll")
    for data in (b"", b"{", b"[]", b'{"id": "other", "command": "roll", "args": {}}', b"x" * 100_000):
        (directory / f"{key}.request").write_bytes(data)
        assert control.pending(root) == []
        assert control.wait(root, key, timeout_s=0) == {"error": "this file is no request"}
    (directory / "..request").write_bytes(b"{}")
    (directory / "evil.request").write_bytes(b"{}")
    assert control.pending(root) == []


def test_what_an_earlier_holder_left_is_cleared(root: Path) -> None:
    control.request(root, "halt")
    control.answer(root, control.request(root, "roll"), {})
    assert control.clear(root) == 1
    assert list(Layout(root).control.iterdir()) == []


def test_there_is_nobody_to_ask_where_there_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no log"):
        control.request(tmp_path, "roll")
