"""Equity samples: at full intervals of event time, and only where equity changed."""

from decimal import Decimal

from core.agenda import BEFORE_PRICES, Agenda
from core.clock import HOUR_NS, MINUTE_NS
from core.sampling import EquitySampler
from tests.core.bench import OPEN, S


class Account:
    """An account whose equity is one more each time it is asked for."""

    asked = 0

    def equity(self, account, currency):
        self.asked += 1
        return Decimal(self.asked)

    def cash(self, account, currency):
        return Decimal(0)


def samples(interval, minutes):
    agenda = Agenda()
    sampler = EquitySampler(agenda, Account(), "SIM", "USD", interval)
    sampler.start(OPEN + S)
    found = []
    for minute in range(1, minutes + 1):
        agenda.horizon = until = OPEN + minute * MINUTE_NS
        while agenda.due <= until and (item := agenda.pop(until, BEFORE_PRICES)) is not None:
            found += [(mark.ts - OPEN) // MINUTE_NS for mark in item[1](item[0])]
    return found


def test_samples_come_at_full_minutes_or_hours():
    assert samples(MINUTE_NS, 3) == [1, 2, 3]
    assert samples(HOUR_NS, 200) == [30, 90, 150]  # the open is at half past
