"""What a replay is of: all that a run's id follows from, and how a run's first event states it.

Two replays of one identity must come out the same. Knows what is read and what runs on it; not how it is
played (app.replay.replaying), nor what came of it (app.replay.summary).
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from app.composition.seating import Seated
from app.replay import assumptions
from app.replay.options import ReplayOptions
from app.replay.planning import Plan
from app.version import VERSION
from core.events import SessionStarted

ACCOUNT = "SIM"
SESSION = 1
"""A run is a session of its own, whatever its log holds: ids and hashes do not depend on the log's past."""


class Identity(msgspec.Struct, frozen=True):
    """The plans of the period and its warm-up, the strategies, and every assumption.

    `config` is the whole configuration as JSON; only its hash is part of the id.
    """

    plan: Plan
    warm_plan: Plan | None
    seated: Sequence[Seated]
    options: ReplayOptions
    config: str
    config_hash: str

    @property
    def run_id(self) -> str:
        """The id that follows from content, configuration, strategies, fill model, code and seed."""
        identity = [
            VERSION,
            self.plan.content,
            self.warm_plan.content if self.warm_plan else "",
            [seated.described() for seated in self.seated],
            self.options.described(),
            self.config_hash,
        ]
        return blake2b(msgspec.json.encode(identity, order="deterministic"), digest_size=6).hexdigest()

    @property
    def fill_rules(self) -> str:
        """How orders fill, in words: by feed, ticks or bars."""
        return assumptions.fill_rules(self.plan, self.options.fills)

    def started(self) -> SessionStarted:
        """Return the event that a run begins with: its whole configuration."""
        strategies = [seated.described() for seated in self.seated]
        if self.warm_plan is not None:
            strategies = [{**s, "warm_up": self.warm_plan.content} for s in strategies]
        return SessionStarted(
            self.plan.begin_ts,
            SESSION,
            "replay",
            ACCOUNT,
            VERSION,
            self.config,
            self.config_hash,
            msgspec.json.encode(strategies, order="deterministic").decode(),
            self.fill_rules,
            self.options.limits.profile,
            self.options.seed,
        )
