"""What the two hashes of a run are over; they are what a replay proves.

`run_hash` covers every event with its envelope; a source seq in `at` enters as its ordinal among the
inputs, so that equal data imported elsewhere hash alike. `decisions_hash` covers type, time and payload of
decisions only, without seqs and order ids.
"""

from collections.abc import Collection
from hashlib import blake2b

from core.events import BY_TYPE, EventType
from eventstore.runs.fingerprint import TableFingerprint
from eventstore.tables.schema import fields_of

HASH_VERSION = 1
"""What a run says its hashes were made by; changes with what they are over, and only with a new release.

Where it differs, a hash that differs is no sign of damage.
"""

NOT_PROVEN = frozenset({"order", "parent", "oca"})
"""Fields of decisions that `decisions_hash` leaves out: ids hold the session's number."""

_SOURCE_SEQS = frozenset({"input_seq"})
"""Fields that hold a seq of the source: another import of equal data has other ones; `at` says the same."""

ORDER_MARKS = {
    # What stands for a type in the order of decisions; never of zeros alone, which numpy would strip.
    event_type: blake2b(kind.tag.encode(), digest_size=7).digest() + b"!"
    if kind.event_class == "decision"
    else b""
    for event_type, kind in BY_TYPE.items()
}


def entire(kind: EventType) -> TableFingerprint:
    """Return the hash over all that a run holds of one type."""
    fields = [name for name in fields_of(kind) if name not in _SOURCE_SEQS]
    return TableFingerprint(kind.tag, kind.version, ["seq", "at", "cause", *fields])


def payload_of(kind: EventType, without: Collection[str] = ()) -> list[str] | None:
    """Return the columns that `decisions_hash` covers, `None` for a type that is no decision."""
    if kind.event_class != "decision":
        return None
    return [name for name in fields_of(kind) if name not in NOT_PROVEN and name not in without]


def joined_hash(*digests: bytes) -> str:
    """Return one hash of several, as text."""
    return blake2b(b"".join(digests), digest_size=16).hexdigest()
