"""How fast historical data may be asked for: the broker answers with code 162, and with nothing, above that.

Pure: time is passed in. The same request again after 15 s; fewer than six for one contract and kind of data
in 2 s; and, for bars of 30 s or less, at most 60 in 10 minutes, where BID_ASK counts twice. It never drops a
request: it only says how long to wait.
"""

from collections import deque
from collections.abc import Hashable

from core.clock import SECOND_NS

IDENTICAL_S = 15
SAME_CONTRACT_MAX, SAME_CONTRACT_S = 5, 2
SMALL_BARS_MAX, SMALL_BARS_S, SMALL_BAR_S = 60, 600, 30


class HistoryPace:
    """What was asked for lately, and when the next request may leave."""

    def __init__(self) -> None:
        self._identical: dict[Hashable, int] = {}
        self._contracts: dict[Hashable, deque[int]] = {}
        self._small: deque[int] = deque(maxlen=SMALL_BARS_MAX)

    def free_ns(self, request: Hashable, contract: Hashable, what: str, bar_s: int) -> int:
        """Return the earliest time (monotonic ns) at which the request may leave; 0 for at once."""
        earliest = 0
        if request in self._identical:
            earliest = self._identical[request] + IDENTICAL_S * SECOND_NS
        lately = self._contracts.get((contract, what))
        if lately is not None and len(lately) == SAME_CONTRACT_MAX:
            earliest = max(earliest, lately[0] + SAME_CONTRACT_S * SECOND_NS)
        weight = _weight(what)
        if bar_s <= SMALL_BAR_S and len(self._small) + weight > SMALL_BARS_MAX:
            last_in_the_way = self._small[len(self._small) + weight - SMALL_BARS_MAX - 1]
            earliest = max(earliest, last_in_the_way + SMALL_BARS_S * SECOND_NS)
        return earliest

    def asked(self, request: Hashable, contract: Hashable, what: str, bar_s: int, now_ns: int) -> None:
        """Note that a request leaves now."""
        horizon = now_ns - IDENTICAL_S * SECOND_NS
        self._identical = {key: at for key, at in self._identical.items() if at > horizon}
        self._identical[request] = now_ns
        self._contracts.setdefault((contract, what), deque(maxlen=SAME_CONTRACT_MAX)).append(now_ns)
        if bar_s <= SMALL_BAR_S:
            self._small.extend([now_ns] * _weight(what))


def _weight(what: str) -> int:
    return 2 if what == "BID_ASK" else 1
