"""Whether a run that was made again came out as it did before: the proof behind `replay RUN`.

While nothing that a run's id follows from has changed, the run writer has compared both hashes already.
Otherwise the new run has another id, and this module compares what both decided and where they ended. Hashes
are not used for that: they cover the strategy's source, and another version may make them differently.
"""

from app.replay.comparing import first_difference
from core.errors import ExitCode, TapeError
from eventstore.runs.reader import RunReader

_OUTCOME = ("orders", "fills", "refused", "commissions", "end_equity", "max_drawdown")


class OutcomeChanged(TapeError):
    """A run that was made again came out different; both are kept."""

    exit_code = ExitCode.FOUND


def prove(recorded: RunReader, now: RunReader) -> str:
    """Return what changed since the run was recorded, empty if nothing did; the outcome is the same.

    Raises `OutcomeChanged` if it is not.
    """
    if now.id == recorded.id:
        return ""
    changed = _changed(recorded, now)
    difference = first_difference(recorded, now) or _figures(recorded, now)
    if difference:
        raise OutcomeChanged(
            f"run {recorded.id} comes out different now: {difference}; changed since then: {changed}. "
            f"The new result is kept as {now.id}; next: tape diff {recorded.id} {now.id}"
        )
    return changed


def _figures(recorded: RunReader, now: RunReader) -> str:
    before, after = recorded.summary, now.summary
    parts = [
        f"{name} was {before[name]} and is {after[name]}" for name in _OUTCOME if before[name] != after[name]
    ]
    return f"the decisions are the same, but {'; '.join(parts)}" if parts else ""


def _changed(recorded: RunReader, now: RunReader) -> str:
    before, after = recorded.summary, now.summary
    found = [
        f"the code of {old['id']} ({old['name']})"
        for old, new in zip(before["strategies"], after["strategies"], strict=False)
        if old["source"] != new["source"]
    ]
    rules = {one["name"]: one["source"] for one in after["options"]["limits"].get("rules", ())}
    found += [
        f"the code of rule {one['name']}"
        for one in before["options"]["limits"].get("rules", ())
        if rules.get(one["name"]) != one["source"]
    ]
    old, new = (told["options"].get("sizing", {}).get("own") or {} for told in (before, after))
    if old.get("source") != new.get("source"):
        found.append(f"the code of sizer {old.get('name') or new.get('name')}")
    if before["code_version"] != after["code_version"]:
        found.append(f"truetape, from {before['code_version']} to {after['code_version']}")
    if before["content"] != after["content"]:
        found.append("the market data")
    return ", ".join(found) or "its warm-up or its assumptions"
