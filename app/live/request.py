"""What a live session is asked to be, complete: nothing is left to look up when it begins."""

import msgspec

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.composition.trading_rules import TradingRules
from app.live.asking import PluginToAsk
from app.live.watched_files import FilesToWatch
from app.watch.watching import Watching


class LiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to run live. `until_ts` ends the session; `mode` is `demo`, `live` or `observe`.

    `speed` paces a demo: session time passes so many times faster than real time; `None` waits for nothing.
    `day` bounds a demo's day (ns UTC), for its progress. `config` is the configuration as JSON.
    """

    mode: str
    link: LinkSettings
    strategies: tuple[StrategySpec, ...]
    account: str
    rules: TradingRules = TradingRules()
    watchlist: tuple[str, ...] = ()
    files: FilesToWatch = FilesToWatch()
    plugins: tuple[PluginToAsk, ...] = ()
    config: str = "{}"
    config_hash: str = ""
    until_ts: int | None = None
    watching: Watching = Watching()
    speed: float | None = None
    day: tuple[int, int] | None = None
