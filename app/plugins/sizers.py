"""Users' sizers: from `sizer` in `[sizing]` to what a run records, and to loaded code.

What a run records has the digest of the sizer's source, so that the same run has the same code.
"""

import msgspec

from app.configuration.settings import SizingSection
from app.plugins.discovery import Found
from app.plugins.kinds import SIZERS, instance_of, load_named
from core.errors import UsageError
from core.sizing.own import LoadedSizer, asking
from core.sizing.rules import METHODS, OwnSizer, OwnSizing, SizingRules


def own_sizing(section: SizingSection) -> OwnSizing | None:
    """Return the configured sizer; raises `UsageError` for one that does not load."""
    if not section.sizer:
        return None
    found = _load(section.sizer)
    name = found.name.rpartition(":")[2]
    if name in METHODS:
        raise UsageError(
            f"[sizing] sizer {section.sizer}: {name} is a method of truetape; name yours otherwise"
        )
    return OwnSizing(name, found.name, section.parameters, found.source)


def renewed_sizing(rules: SizingRules) -> SizingRules:
    """Return rules that name the code that is there now."""
    if rules.own is None:
        return rules
    own = msgspec.structs.replace(rules.own, source=_load(rules.own.path).source)
    return msgspec.structs.replace(rules, own=own)


def load_sizer(rules: SizingRules) -> OwnSizer | None:
    """Load the code of a sizer, if there is one; raises `UsageError` with file and line of what fails."""
    own = rules.own
    if own is None:
        return None
    return asking(LoadedSizer(own, instance_of(f"sizer {own.name}", _load(own.path))))


def _load(path: str) -> Found:
    return load_named(SIZERS, f"sizer {path}", path)
