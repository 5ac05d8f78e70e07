"""Signals: what a source says of an instrument, and what a strategy makes of several of them.

A signal that comes from outside (a file, a model) is an input, so that a replay needs neither. What is
computed from market data is not recorded as an input: it comes out again; the composite of all is a decision.
"""

from decimal import Decimal
from typing import Literal

from core.events.base import Event, event


@event("signal", "market")
class SignalReceived(Event, frozen=True, gc=False):
    """A source's opinion of an instrument; `ts` is when it may first be acted on.

    `value` is from -1 (sell) to 1 (buy), `confidence` from 0 to 1. `as_of` is the time the opinion rests on
    (at most `ts`), `horizon` how far ahead it looks, both in ns (0: not said). It holds from `ts` until
    before `expires`. `detail` says in words where the value comes from.
    """

    source: str
    instrument: str
    value: float
    confidence: float
    as_of: int
    horizon: int
    expires: int
    detail: str = ""


@event("composite", "decision")
class CompositeSignal(Event, frozen=True, gc=False):
    """The weighted composite of an instrument's signals, recorded when `stance` changes.

    `stance` is `buy`, `sell` or `hold`: from `threshold` on, from -`threshold` on, or between.
    `contributions` is canonical JSON: a list of `{source, value, confidence, freshness, weight, share,
    part, as_of}`, where
    `part` = `share` × `value` × `confidence` × `freshness` and the parts sum to `value`.
    """

    strategy: str
    instrument: str
    value: float
    stance: str
    threshold: float
    contributions: str


@event("signal_sources", "decision")
class SignalSourcesChanged(Event, frozen=True, gc=False):
    """Other sources make up an instrument's composite than before; the weights of the rest are spread anew.

    `used` is a comma-separated list. `dropped` is canonical JSON: reasons (`missing`, `expired`, `stale`,
    `not ready`) by source.
    """

    strategy: str
    instrument: str
    used: str
    dropped: str


@event("signal_file", "market")
class SignalFileRead(Event, frozen=True, gc=False):
    """A watched file was read or a plug-in asked: `accepted` signals, `rejected` rows follow; or a `problem`.

    `digest` names its content, `source` whose signals they are.
    """

    source: str
    file: str
    digest: str
    accepted: int
    rejected: int
    problem: str = ""


SizingPurpose = Literal["entry", "resize"]


@event("order_sized", "decision")
class OrderSized(Event, frozen=True, gc=False, omit_defaults=True):
    """How large a position is to be, and why; the intent that follows has this as its cause.

    `wanted` is what the `method` gives, `quantity` what is left of it by the cap that `capped_by` names (or
    0, with the reason why nothing could be worked out). `inputs` is canonical JSON: numbers as text, by name.
    `purpose` is `resize` where a holding is brought to that size, or left as it is because a sizer of the
    user's own failed (`quantity` is 0). `reason` says what else there is to say:
    by how much a holding had drifted, or why another method stood in.
    """

    strategy: str
    instrument: str
    method: str
    wanted: Decimal
    quantity: Decimal
    capped_by: str
    inputs: str
    purpose: SizingPurpose = "entry"
    reason: str = ""


@event("atr_measured", "decision")
class AtrMeasured(Event, frozen=True, gc=False):
    """The average true range that a holding's automatic exits are placed by, as long as they stand.

    `atr` is in the instrument's price. It is that of `length` bars; `bars` is 0 where there were too few, and
    a configured share of the cost stood in. `detail` says it in words.
    """

    account: str
    strategy: str
    instrument: str
    atr: Decimal
    bars: int
    length: int
    detail: str
