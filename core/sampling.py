"""Equity samples of a session: at full minutes (or hours) of event time, and at the end, where it changed."""

from collections.abc import Iterable

from core.agenda import Agenda
from core.clock import MINUTE_NS
from core.events import AccountMarked, Event
from core.views import AccountView


class EquitySampler:
    """Schedules itself on the agenda; a sample equal to the last one is not repeated."""

    def __init__(
        self,
        agenda: Agenda,
        accounts: AccountView,
        account: str,
        currency: str,
        interval_ns: int = MINUTE_NS,
    ) -> None:
        self._interval_ns = interval_ns
        self._agenda = agenda
        self._accounts = accounts
        self._account = account
        self._currency = currency
        self._last: AccountMarked | None = None

    def start(self, ts: int) -> None:
        """Sample from the next full interval after `ts` on."""
        self._agenda.set("mark", (ts // self._interval_ns + 1) * self._interval_ns, self._due)

    def sample(self, ts: int) -> Iterable[Event]:
        """Return the present value unless it is that of the last sample."""
        equity = self._accounts.equity(self._account, self._currency)
        cash = self._accounts.cash(self._account, self._currency)
        last = self._last
        if last is not None and equity == last.equity and cash == last.cash:
            return ()
        self._last = AccountMarked(ts, self._account, self._currency, equity, cash)
        return (self._last,)

    def _due(self, due: int) -> Iterable[Event]:
        # A night without data is one step, not a thousand: the next sample follows the input at hand.
        self.start(max(due, self._agenda.horizon))
        return self.sample(due)
