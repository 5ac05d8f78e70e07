"""What frames everything else: sessions, timers, recorded series, and the log's own housekeeping."""

from core.events.base import Event, event


@event("session_started", "session")
class SessionStarted(Event, frozen=True, gc=False):
    """A live session or a replay begins; holds all that a later replay needs to be the same.

    `mode` is `replay`, `demo`, `live`, `record` (market data alone) or `gateway` (a simulated gateway's
    book). `config` and `strategies` are canonical JSON; each strategy has `id`, `name`, `source` (digest of
    its code), `parameters` and `warm_up` (seq ranges).
    """

    session: int
    mode: str
    account: str
    code_version: str
    config: str
    config_hash: str
    strategies: str
    fill_model: str
    risk_profile: str
    seed: int = 0


@event("session_ended", "session")
class SessionEnded(Event, frozen=True, gc=False):
    """The session came to its end; `reason` is `finished`, `stopped`, `halted` or `failed`."""

    session: int
    reason: str


@event("strategy_failed", "session")
class StrategyFailed(Event, frozen=True, gc=False):
    """A handler raised while processing the input `input_seq`; nothing after it was traded."""

    strategy: str
    handler: str
    input_seq: int
    input_type: str
    error: str
    file: str
    line: int


@event("timer_fired", "timer")
class TimerFired(Event, frozen=True, gc=False):
    """A timer that a strategy set came due; `ts` is when it was due."""

    strategy: str
    name: str


@event("recorded", "decision")
class Recorded(Event, frozen=True, gc=False):
    """One value of a strategy's own named series."""

    strategy: str
    name: str
    value: float


@event("import_started", "storage")
class ImportStarted(Event, frozen=True, gc=False):
    """An import of files begins. `digest` names the content of all of them together.

    `files` is canonical JSON: a list of `{name, digest, rows}`.
    """

    digest: str
    feed: str
    format: str
    files: str


@event("import_resumed", "storage")
class ImportResumed(Event, frozen=True, gc=False):
    """An interrupted import goes on after the `done` events that it had already appended."""

    digest: str
    done: int


@event("import_finished", "storage")
class ImportFinished(Event, frozen=True, gc=False):
    """All rows of an import are in the log, as events or as `RowRejected`.

    `first_ts` and `last_ts` bound its market data; `None` if there are none.
    """

    digest: str
    read: int
    accepted: int
    rejected: int
    first_ts: int | None = None
    last_ts: int | None = None


@event("row_rejected", "storage")
class RowRejected(Event, frozen=True, gc=False):
    """A row of an imported file that could not become an event; kept with the reason."""

    file: str
    line: int
    reason: str
    row: str


@event("segment_sealed", "storage")
class SegmentSealed(Event, frozen=True, gc=False):
    """Entries `first_seq`..`last_seq` are in Parquet under `sealed/`; `chain` is their last hash."""

    first_seq: int
    last_seq: int
    chain: str


@event("recovered", "storage")
class Recovered(Event, frozen=True, gc=False):
    """The log was opened after a torn tail: `dropped_bytes` were set aside in quarantine.

    `mark` says what was wrong with the high-water mark, which is written anew (the log may have been
    whole otherwise: then nothing was dropped).
    """

    segment: int
    valid_length: int
    dropped_bytes: int
    mark: str = ""


@event("loss_accepted", "storage")
class LossAccepted(Event, frozen=True, gc=False):
    """The operator accepted damage: entries from `first_lost_seq` on are lost for good."""

    file: str
    offset: int
    first_lost_seq: int
    reason: str


@event("state_hash", "storage")
class StateHash(Event, frozen=True, gc=False):
    """The hash of a projection's state at `applied_seq`, so that a later replay can prove equality."""

    projection: str
    applied_seq: int
    digest: str
