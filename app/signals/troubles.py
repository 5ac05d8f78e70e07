"""Sources of signals that are in trouble: what each file, model or plug-in said last, if that was bad.

A trouble begins and ends with a `SignalFileRead`; who reads or asks a source notes what it tells. Pure.
"""

from core.events import SignalFileRead


def trouble_of(told: SignalFileRead) -> str:
    """Return in words why nothing came of a source; empty if something did, or it had nothing to say."""
    if told.problem:
        return told.problem if told.file in told.problem else f"{told.file}: {told.problem}"
    if told.rejected and not told.accepted:
        return f"{told.file}: all {told.rejected} rows were rejected; tape events --type row_rejected"
    return ""


class Troubles:
    """The sources of one session that are in trouble now."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def note(self, told: SignalFileRead) -> None:
        """Take what a source told last."""
        self._known.pop((told.source, told.file), None)
        if said := trouble_of(told):
            self._known[told.source, told.file] = said

    def of(self, source: str, file: str) -> str:
        """Return the trouble of one source; empty if it has none."""
        return self._known.get((source, file), "")

    def __len__(self) -> int:
        return len(self._known)

    def words(self) -> list[str]:
        """Return each trouble as `source: what is wrong`, sorted."""
        return sorted(f"{source}: {said}" for (source, _), said in self._known.items())
