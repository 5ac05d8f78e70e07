"""Tell a strategy's fault from ours, and say where it is."""

from collections.abc import Collection
from pathlib import PurePath

from core.errors import StrategyRaised
from core.events import StrategyFailed
from core.present import Present
from core.strategy import AnyStrategy


def failure_of(
    error: BaseException, strategies: dict[str, AnyStrategy], present: Present
) -> StrategyFailed | None:
    """Return what to record if the error came out of a strategy's handler, else `None`.

    The handler is the outermost frame of the traceback that runs in a strategy; file and line are
    those of the innermost frame in the same file.
    """
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    for frame, _ in frames:
        owner = _owner(frame.f_locals.get("self"), strategies)
        if owner is None:
            continue
        source = frame.f_code.co_filename
        line = [number for inner, number in frames if inner.f_code.co_filename == source][-1]
        text = f"{type(error).__name__}: {error}"
        handler, file = frame.f_code.co_name, PurePath(source).name
        subject = handler.removeprefix("on_")
        return StrategyFailed(present.ts, owner, handler, present.seq, subject, text, file, line)
    return None


def raised(failure: StrategyFailed) -> StrategyRaised:
    """Return the error that the command ends with."""
    return StrategyRaised(
        f"strategy {failure.strategy} raised in {failure.handler} at {failure.file}:{failure.line} "
        f"while processing {failure.input_type} {failure.input_seq}: {failure.error}"
    )


def _owner(candidate: object, strategies: dict[str, AnyStrategy]) -> str | None:
    names: Collection[str] = [name for name, strategy in strategies.items() if strategy is candidate]
    return next(iter(names), None)
