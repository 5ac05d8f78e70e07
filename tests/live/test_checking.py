"""`check`: what would keep a session from trading, and what to do about it; `kill` without any session."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from adapters.ibkr.link.probe import cancel_everything, visit
from app.configuration.reading import load
from app.live.accounts import account_for
from core.errors import BrokerUnreachable, UsageError
from tests.gateway.raw import connected

ACCOUNT = "DU1000001"


def configured(path: Path, port: int, *more: str) -> Path:
    path.write_text("\n".join([f"[ibkr]\nport = {port}", *more]))
    return path


def points(done):
    return {point["check"]: (point["ok"], point["found"], point["remedy"]) for point in done.json}


def test_all_is_well_with_a_gateway_that_is_there(ib_gateway, log, tmp_path, tape):
    served = ib_gateway(speed=1)
    config = configured(tmp_path / "tape.toml", served.port, "[trading]\nmode = 'paper'")
    done = tape("-c", config, "--log", log, "check", "--connect", "--json")
    found = points(done)
    assert found["account"] == (True, ACCOUNT, "")
    assert found["connection"][1].startswith("protocol 200")
    assert found["orders at the broker"][1] == "0 working"
    assert found["clock"][0] is False  # the gateway's clock is that of its day
    assert "NTP" in found["clock"][2]
    assert done.code == 1
    assert all(ok for name, (ok, _, _) in found.items() if name != "clock")


def test_a_wrong_port_names_the_usual_ones(log, tmp_path, tape):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = tape("-c", configured(tmp_path / "t.toml", port), "--log", log, "check", "--connect", "--json")
    ok, found, remedy = points(done)["connection"]
    assert not ok
    assert str(port) in found
    assert "4002 IB Gateway paper" in remedy
    assert done.code == 1


def test_an_account_of_the_other_kind_is_told(ib_gateway, log, tmp_path, tape):
    served = ib_gateway(speed=1)
    config = configured(tmp_path / "tape.toml", served.port, "[trading]\nmode = 'live'")
    ok, found, remedy = points(tape("-c", config, "--log", log, "check", "--connect", "--json"))["account"]
    assert (ok, found) == (False, f"{ACCOUNT}: paper money")
    assert 'mode = "paper"' in remedy


def test_a_halt_and_a_kill_file_are_told(log, tape):
    assert points(tape("--log", log, "check", "--json"))["halt"] == (True, "none", "")
    (log / "control" / "KILL").write_text("x")
    ok, found, remedy = points(tape("--log", log, "check", "--json"))["halt"]
    assert (ok, found, remedy) == (False, "kill file", "tape resume --reason ...")


def test_a_source_that_would_not_count_is_told(log, tmp_path, tape):
    book = tmp_path / "there.xlsx"
    book.touch()
    text = f"""
[signals]
weights = {{bma = 0.6, lstm = 0.4}}
[[signals.file]]
path = "{book}"
source = "bma"
[[signals.file]]
path = "{tmp_path / "gone.xlsx"}"
source = "bmaa"
"""
    config = tmp_path / "tape.toml"
    config.write_text(text)
    done = tape("-c", config, "--log", log, "check", "--json")
    assert done.code == 1
    assert [point["remedy"] for point in done.json if point["check"] == "signals of bmaa"] == [
        "did you mean bma?",
        "a session watches for it; correct the path",
    ]
    config.write_text(text.replace("bmaa", "bma").replace("gone", "there"))
    assert tape("-c", config, "--log", log, "check").code == 0


def test_a_log_that_no_session_could_write_is_told(log, tape, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: (str(path), mode) != (str(log), os.W_OK))
    ok, found, remedy = points(tape("--log", log, "check", "--json"))["log"]
    assert (ok, found, remedy) == (
        False,
        f"{log}: cannot be written",
        "make it writable, or use another --log",
    )


def test_a_log_that_ends_too_early_is_told(log, tape):
    for segment in (log / "hot").glob("*.evj"):
        segment.unlink()
    done = tape("--log", log, "check", "--json")
    ok, found, remedy = points(done)["log"]
    assert (done.code, ok, remedy) == (1, False, "tape verify")
    assert "was durable" in found
    assert done.err == f"next: tape --log {log} check\n"


def test_a_visit_changes_nothing(ib_gateway):
    served = ib_gateway(speed=1)
    first, second = visit(served.host, served.port, 901), visit(served.host, served.port, 901)
    assert (first.accounts, first.open_orders) == ((ACCOUNT,), 0)
    assert first.next_order_id == second.next_order_id


def test_a_kill_cancels_the_orders_of_other_clients(ib_gateway, log, tmp_path, tape):
    served = ib_gateway(speed=1)
    config = configured(tmp_path / "tape.toml", served.port)
    with connected(served.port, client_id=7) as raw:
        raw.place(1, kind="LMT", limit="1.00")
        raw.seek(3)
        done = tape("-c", config, "--log", log, "kill", "--reason", "test", "--json")
    assert done.code == 0, done.err
    assert (done.json["done"], done.json["cancelled"]["before"], done.json["cancelled"]["after"]) == (
        True,
        1,
        0,
    )
    assert cancel_everything(served.host, served.port, 902).before == 0


def test_a_kill_without_a_broker_leaves_the_kill_file_and_says_what_failed(log, tmp_path, tape):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = tape("--log", log, "kill", "--port", str(port))
        assert done.code == 3
        assert (log / "control" / "KILL").exists()
        assert "cancel by hand in TWS" in done.err
        shutil.rmtree(log)
        assert "FAILED" in tape("--log", log, "kill", "--port", str(port)).err


def test_a_server_that_says_nothing_is_not_waited_for_for_ever():
    from adapters.ibkr.wire.transport import TimeLimits  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(BrokerUnreachable):
        visit("127.0.0.1", mute.getsockname()[1], 1, limits=TimeLimits(handshake_s=0.2))


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("", "DU123", "DU123"),
        ("[ibkr]\naccount = 'DU9'", None, "DU9"),
        ("[trading]\nmode = 'live'", "U123", "U123"),
        ("", None, "no account"),
        ("", "U123", '[trading] mode = "live"'),
        ("[trading]\nmode = 'live'\n[ibkr]\naccount = 'U123'", None, "say so on the command line"),
        ("[trading]\nmode = 'live'", "DU123", "is a paper account"),
    ],
)
def test_real_money_has_to_be_asked_for_twice(tmp_path, text, given, expected):
    path = tmp_path / "tape.toml"
    path.write_text(text)
    config = load([path])
    if expected.startswith(("DU", "U1")):
        assert account_for(config, given) == expected
    else:
        with pytest.raises(UsageError, match=expected.replace("[", r"\[")):
            account_for(config, given)
