"""The built-in sample as a log, for the verbs that a newcomer may call before there is one."""

from app.commands.base import Call


def make_sample(call: Call, dates: str | None) -> None:
    """Make a log of the sample where there is none, if `dates` are of the sample; without dates, always."""
    from app.replay.running import needs_sample  # noqa: PLC0415  # help does not need it

    if not needs_sample(call.root, dates):
        return
    from app.data.importing import import_builtin_sample  # noqa: PLC0415  # a log is there already, mostly

    call.out.note(f"no log at {call.root}: making it from the built-in sample (synthetic data)")
    with call.out.progress("rows") as advance:
        import_builtin_sample(call.root, advance)
