"""Models and plug-ins that a live session asks for signals: when each is due, and what it said as events.

Each is asked in a process of its own (`app.live.reading`), one question at a time, and never waited for. What
it says becomes inputs at the time at which the session learns of it; a replay calls none of them.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from app.configuration.reading import Config
from app.configuration.settings import SignalPluginSection
from app.live.reading import SAID_MAX, Reading, learnt
from app.signals.child import Answer, Order
from app.signals.plugins import PluginOrder
from app.signals.reading import market_of, options_of
from app.signals.troubles import Troubles
from core.clock import DAY_NS, SECOND_NS, iso, local
from core.events import Event, SignalFileRead
from core.ports import EntryReader, entries_of

_WAIT_S = 0.02


class PluginToAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A plug-in and when to ask it: every so often, at times of day, or, with neither, once a session."""

    order: PluginOrder
    every_s: float | None = None
    at: tuple[str, ...] = ()
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        """What events call it: its path without folders."""
        return Path(self.order.path).name


def configured_plugins(config: Config) -> tuple[PluginToAsk, ...]:
    """Return the plug-ins that the configuration wants asked."""
    return tuple(_configured(config, one) for one in config.settings.signals.plugin)


def configured_models(config: Config) -> tuple[PluginToAsk, ...]:
    """Return the models that the configuration wants asked, each once a session at the last close."""
    return tuple(
        PluginToAsk(
            order=PluginOrder(
                path=one.path,
                options=options_of(config, source=one.source),
                instruments=tuple(one.instruments),
                cpu_s=round(one.timeout_s) + 1,
                model=True,
            ),
            timeout_s=one.timeout_s,
        )
        for one in config.settings.signals.model
    )


def _configured(config: Config, one: SignalPluginSection) -> PluginToAsk:
    options = msgspec.structs.replace(options_of(config, source=one.source), symbols=dict(one.symbols))
    valid_s = one.valid_s or (2 * one.every_s + one.timeout_s if one.every_s else None)
    order = PluginOrder(
        path=one.path,
        options=options,
        method=one.method or "",
        argument=one.argument,
        instruments=tuple(one.instruments or config.settings.trading.watchlist),
        valid_ns=round(valid_s * SECOND_NS) if valid_s else round(options.valid_days * DAY_NS),
        cpu_s=round(one.timeout_s) + 1,
    )
    return PluginToAsk(order=order, every_s=one.every_s, at=tuple(one.at), timeout_s=one.timeout_s)


class _Plugin:
    """One plug-in: when it was asked last in this session, when it last answered at all."""

    def __init__(self, plugin: PluginToAsk, told: int, reader: EntryReader) -> None:
        self.plugin = plugin
        self._reader = reader
        self._zone: str | None = None
        self.asked: int | None = None
        self._told = told
        self.reading: Reading | None = None

    def due(self, now: int) -> bool:
        """Return whether it is to be asked at `now`; times of day are those of its first instrument."""
        plugin, asked = self.plugin, self.asked
        if plugin.every_s is not None and (asked is None or now - asked >= plugin.every_s * SECOND_NS):
            return True
        if not plugin.at:
            return asked is None and plugin.every_s is None
        zone = self._zone = self._zone or self._found_zone(now)
        day = iso(now // SECOND_NS * SECOND_NS, zone)[:10]
        before = self._told if asked is None else asked
        return any(before < local(day, clock, zone) <= now for clock in plugin.at)

    def _found_zone(self, now: int) -> str:
        known = market_of(self._reader, now).instruments
        wanted = self.plugin.order.instruments
        named = [one.timezone for one in known if one.instrument in wanted]
        return next(iter([*named, *(one.timezone for one in known)]), "UTC")


class SignalPlugins:
    """Called by the source at each look, like the watched files; never blocks.

    `wait` is for a session in lock step, whose time stands still meanwhile: its models have spoken before it
    begins, so that it comes out the same however long they take.
    """

    def __init__(
        self,
        root: Path,
        plugins: Sequence[PluginToAsk],
        reader: EntryReader,
        clock: Callable[[], float] = time.monotonic,
        troubles: Troubles | None = None,
    ) -> None:
        self.troubles = Troubles() if troubles is None else troubles
        self._root = root
        self._clock = clock
        told, self._said = _told(reader) if plugins else ({}, set())
        self._plugins = [
            _Plugin(one, told.get((one.order.options.source, one.name), 0), reader) for one in plugins
        ]

    def __call__(self, now: int) -> list[Event]:
        """Return what plug-ins have said since the last call; those that are due are asked."""
        events: list[Event] = []
        now_s = self._clock() if self._plugins else 0.0
        for one in self._plugins:
            if one.reading is not None:
                answer = one.reading.answer(now_s)
                if answer is not None:
                    one.reading = None
                    events += self._learnt(one.plugin, answer, now)
            elif one.due(now):
                self._ask(one, now, now_s)
        return events

    def wait(self, now: int) -> None:
        """Ask all models, and wait until each has answered or its time is over."""
        models = [one for one in self._plugins if one.plugin.order.model]
        for one in models:
            self._ask(one, now, self._clock())
        for one in models:
            assert one.reading is not None
            while one.reading.running(self._clock()):
                time.sleep(_WAIT_S)

    def _ask(self, one: _Plugin, now: int, now_s: float) -> None:
        one.asked = now
        order = Order(str(self._root), "", one.plugin.order.options, now, plugin=one.plugin.order)
        one.reading = Reading(order, now_s, one.plugin.timeout_s, f"asking {one.plugin.name}")

    def close(self) -> None:
        """End those that are being asked."""
        for one in self._plugins:
            if one.reading is not None:
                one.reading.end()
                one.reading = None

    def _learnt(self, plugin: PluginToAsk, answer: Answer, now: int) -> list[Event]:
        source, name = plugin.order.options.source, plugin.name
        if plugin.order.model and (source, answer.digest) in self._said:
            return []  # an earlier session of the day asked the same model of the same closes
        signals, rejections = learnt(answer, name, now)
        said = answer.problem[:SAID_MAX]
        told = SignalFileRead(now, source, name, answer.digest, len(signals), len(rejections), said)
        self.troubles.note(told)
        return [told, *rejections, *signals]


def _told(reader: EntryReader) -> tuple[dict[tuple[str, str], int], set[tuple[str, str]]]:
    """Return when each plug-in of a source last answered, in any session, and the digests of good answers."""
    told: dict[tuple[str, str], int] = {}
    said: set[tuple[str, str]] = set()
    for entry in entries_of(reader, frozenset({SignalFileRead})):
        one = entry.event
        assert isinstance(one, SignalFileRead)
        told[one.source, one.file] = one.ts
        if not (one.problem or one.rejected):
            said.add((one.source, one.digest))
    return told, said
