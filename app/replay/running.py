"""What `replay` runs: dates through strategies, recorded sessions again, or a run again to prove it.

Composes what was asked and what the configuration says into a call of `app.replay.replaying`.
"""

import re
from pathlib import Path

import msgspec

from adapters.replay.sample_names import DAYS, FEED, INSTRUMENT
from app.composition.trading_rules import rules_of
from app.configuration.reading import Config, canonical
from app.data.unfinished import unfinished, worded
from app.look.books import open_log
from app.plugins.rules import renewed
from app.replay.carrying import carried
from app.replay.identity import ACCOUNT
from app.replay.period import Period, parse_period
from app.replay.recorded import Recorded, recorded_sessions, session_of, specs_of
from app.replay.replaying import Replay, again
from app.replay.request import ReplayRequest, options, strategies
from app.replay.watched import Progress
from core.errors import DataMissing, UnknownPlugin, UsageError
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader, find_run

_DATE = re.compile(r"\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?")
_NO_RUN = re.compile(r"-|/|\.\.|\d\.\d")
"""No run's name has one of these; a date in another form has."""


class Proven(msgspec.Struct, frozen=True):
    """A recorded session that came out as it was recorded, and the run that shows it."""

    session: int
    run: RunReader


def is_date(what: str) -> bool:
    """Return whether `replay`'s argument is a date or range of dates, and not a run."""
    return bool(_DATE.fullmatch(what))


def sample_note(root: Path, what: str | None) -> str:
    """Return what to say before the built-in sample is imported for the dates `what` (`None`: any), or "".

    It is where there is no log yet, and where an import of it was interrupted: a part of a day would pass for
    the day.
    """
    if what is not None and not (is_date(what) and set(DAYS) & set(what.split(".."))):
        return ""
    if not Layout(root).exists() or LogReader(root).last_seq() == 0:  # or it was only just made
        free = root.is_dir() or not root.exists()
        mine = what is None or set(what.split("..")) <= set(DAYS)
        return (
            f"no log at {root}: making it from the built-in sample (synthetic data)" if free and mine else ""
        )
    if any(started.feed == FEED for started in unfinished(LogReader(root))):
        return f"{root} holds a part of the built-in sample only: importing the rest of it"
    return ""


class Replayed(msgspec.Struct, frozen=True):
    """A run, and, of one that was made again, what changed since without changing its outcome."""

    run: RunReader
    changed: str = ""


def run_replay(
    root: Path, config: Config, request: ReplayRequest, progress: Progress | None = None
) -> Replayed:
    """Replay dates through strategies, or a run again to prove it.

    Raises what `app.replay.replaying` raises, and `OutcomeChanged`.
    """
    reader = open_log(root)
    if not is_date(request.what):
        return _again(root, request, progress)
    text, digest = canonical(config, replay=True)
    period = parse_period(request.what)
    before = None if request.strategies else _traded(reader, period)
    # Whether the log is the sample's is a question only where nothing else says what to run.
    unsaid = not request.strategies and before is None and not config.settings.replay.strategy
    specs = strategies(config, request, sample=unsaid and _is_sample(reader), recorded=before)
    assumed = options(config, request)
    if before is not None and config.settings.risk_management is None:
        then = rules_of(before.started)
        judged = msgspec.structs.replace(renewed(then.limits), margin=assumed.limits.margin)
        assumed = msgspec.structs.replace(assumed, limits=judged, exits=then.exits)
    replay = Replay(root, reader, period, specs, assumed, config=text, config_hash=digest)
    if request.carry is not None:
        if request.cash is not None:
            raise UsageError("--carry brings cash along: leave out --cash")
        assumed = msgspec.structs.replace(
            assumed, carried=carried(root, request.carry, replay.plan, assumed.currency, ACCOUNT)
        )
        replay = Replay(root, reader, period, specs, assumed, config=text, config_hash=digest)
    return Replayed(replay.run(progress))


def partly_imported(root: Path, run: RunReader) -> list[str]:
    """Return what to say of imports that did not end, if the run read of their feeds."""
    from app.report.summary import summarise  # noqa: PLC0415  # not needed to begin a replay

    feeds = set(summarise(run).assumptions["feeds"])
    return [worded(one) for one in unfinished(LogReader(root)) if one.feed in feeds]


def run_proofs(root: Path, request: ReplayRequest) -> list[Proven]:
    """Feed the sessions recorded on the dates asked for through their strategies again, oldest first.

    Raises `Differs` for the first one that decides otherwise, `DataMissing` if there is none.
    """
    from app.live.proving import prove  # noqa: PLC0415  # as in `_again`

    reader = open_log(root)
    _refuse_extra(request, {"what", "fills"}, "a recorded session")
    period = parse_period(request.what)
    found = recorded_sessions(reader, period.first, period.last)
    if not found:
        raise DataMissing(
            f"no session was recorded on {period}; next: tape live --demo {period.first} records one"
        )
    return [Proven(one.started.session, prove(root, one)) for one in found]


def _traded(reader: LogReader, period: Period) -> Recorded | None:
    """Return the last session of these dates that had strategies."""
    found = [one for one in recorded_sessions(reader, period.first, period.last) if specs_of(one.started)]
    return found[-1] if found else None


def _again(root: Path, request: ReplayRequest, progress: Progress | None) -> Replayed:
    if _NO_RUN.search(request.what):
        raise UsageError(
            f"{request.what!r} is neither a date (2025-07-02, or 2025-07-02..2025-07-03) nor the id of a run"
        )
    # Dates need neither trials nor proofs.
    from app.live import proving  # noqa: PLC0415
    from app.optimize.trials import expand, find_trial  # noqa: PLC0415
    from app.replay.proving import prove  # noqa: PLC0415

    trial = find_trial(root, request.what)
    light = trial is not None and not (Layout(root).runs / trial.run).is_dir()
    run = None if light else _run(root, request.what)
    _refuse_extra(request, {"what"}, f"run {request.what}")
    if run is None:
        assert trial is not None
        return Replayed(RunReader(Layout(root).runs / expand(root, trial)))
    if "session" in run.summary:
        return Replayed(proving.prove(root, session_of(LogReader(root), run)))
    try:
        replay = again(root, open_log(root), run)
    except UnknownPlugin as error:
        raise type(error)(
            f"{error}; so run {run.id} names it, from the directory in which it was made: replay it there, "
            f"or its date with --strategy; next: tape replay {run.summary['period']} --strategy FILE.py:Class"
        ) from error
    now = replay.run(progress)
    return Replayed(now, prove(run, now))


def _run(root: Path, name: str) -> RunReader:
    try:
        return find_run(root, name)
    except DataMissing as error:
        raise DataMissing(f"{error}; dates are written 2025-07-02") from error


def _refuse_extra(request: ReplayRequest, known: set[str], source: str) -> None:
    given = [
        name
        for name in request.__struct_fields__
        if name not in known and getattr(request, name) not in (None, ())
    ]
    if given:
        raise UsageError(
            f"replaying {source} again takes all from the run: leave out {', '.join(given)}, "
            f"or replay a DATE with simulated fills"
        )


def recompute_signals(root: Path, config: Config, what: str, now: int) -> None:
    """Ask the configured models anew for what the dates `what` trade on; see `app.signals.models.recompute`.

    A plug-in that is no model knows the present only: what the log has of it stays.
    """
    from app.signals.models import configured_models, recompute  # noqa: PLC0415  # a plain replay knows no model
    from app.signals.plugins import plugin_models  # noqa: PLC0415

    if not is_date(what):
        raise UsageError("--recompute-signals: give a DATE; a run is made again from what its log holds")
    period = parse_period(what)
    models = [*configured_models(config), *plugin_models(config)]
    if not models and config.settings.signals.plugin:
        raise UsageError(
            "--recompute-signals: generate_signal and load_custom_recommendations know the present only; "
            "their recorded signals stay: leave the option out"
        )
    recompute(root, models, period.first, period.last, now)


def _is_sample(reader: LogReader) -> bool:
    return any(item.instrument == INSTRUMENT for item in reader.coverage())
