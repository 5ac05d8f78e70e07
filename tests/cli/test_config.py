"""`config` as users call it: what is in effect, the schema, and files of other bots."""

import json

from app.configuration.reading import load

OLD = {"ibkr": {"port": 4002, "clientId": 7}, "risk_management": {"stop_loss_pct": 5}}


def test_the_environment_is_read_and_named(tape, monkeypatch):
    monkeypatch.setenv("TAPE_REPLAY__CURRENCY", "EUR")
    told = tape("config", "--json").json
    assert told["settings"]["replay.currency"] == {"value": "EUR", "origin": "TAPE_REPLAY__CURRENCY"}
    monkeypatch.setenv("TAPE_REPLAY__CURENCY", "EUR")
    done = tape("config")
    assert (done.code, 'did you mean "currency"?' in done.err) == (2, True)


def test_the_schema_is_json_with_and_without_the_flag(tape):
    assert tape("config", "schema").json == tape("config", "schema", "--json").json


def test_migrate_ends_with_1_if_anything_was_left_out(tape, tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(OLD))
    done = tape("config", "migrate", "old.json", "--json")
    assert done.code == 1
    assert done.json["carried"] == ["ibkr.port", "ibkr.client_id"]
    assert done.json["renamed"] == {"ibkr.clientId": "ibkr.client_id"}
    assert len(done.json["left"]) == 1
    del OLD["risk_management"]
    (tmp_path / "old.json").write_text(json.dumps(OLD))
    assert tape("config", "migrate", "old.json", "-o", "new.toml").code == 0
    assert load([tmp_path / "new.toml"]).settings.ibkr.client_id == 7


def test_calls_that_fit_nothing_are_refused(tape):
    for args in (["migrate"], ["show", "x.json"], ["-o", "x"], ["migrat", "x"], ["migrate", "none.json"]):
        assert tape("config", *args).code == 2
