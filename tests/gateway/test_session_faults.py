"""Faults of a session as a client sees them on the wire: outages, farms, clocks, halts, data."""

import pytest

from tests.gateway.observing import Observations, begin, codes, executions, fill, run, seen, seen_without
from tests.gateway.raw import Raw, connected

E308 = "1.7976931348623157E308"
OBSERVED = Observations()


# -- the session ---------------------------------------------------------------------------------


@OBSERVED.of("start 2: ids back=5")
def the_next_id_goes_back(gateway) -> bool:
    raw = begin(gateway)
    raw.place(41, "SELL", 100, "LMT", 99)
    raw.seek(3)
    raw.close()
    again = Raw(gateway.port).greet().start(1)
    return again.seek(9)[2] == "37"


def outage(gateway, raw: Raw | None = None) -> list[list[str]]:
    raw = raw or begin(gateway)
    raw.subscribe()
    raw.drain()
    raw.place(1)
    return raw.drain()


def between(messages: list[list[str]], first: str, last: str) -> list[str]:
    """Return the ids of the messages between two error codes."""
    found = [m[2] if m[0] == "4" else f"<{m[0]}>" for m in messages]
    return found[found.index(first) + 1 : found.index(last)] if first in found and last in found else ["?"]


@OBSERVED.of("order 1: outage run=600_S end=1102")
def a_fill_happens_during_an_outage_and_is_not_told(gateway) -> bool:
    return between(outage(gateway), "1100", "1102") == [] and len(executions(gateway)) == 1


@OBSERVED.of("order 1: outage run=600_S end=1102 deliver=true")
def a_fill_happens_during_an_outage_and_is_told(gateway) -> bool:
    return "<11>" in between(outage(gateway), "1100", "1102")


@OBSERVED.of("order 1: outage run=600_S end=1101")
def an_outage_ends_and_data_are_lost(gateway) -> bool:
    raw = begin(gateway)
    found = outage(gateway, raw)
    with connected(gateway.port, 3) as other:
        other.subscribe()
        other.drain()
        assert run(other, 5)
    return "1101" in codes(found) and not [m for m in raw.drain() if m[0] in ("1", "2")]


@OBSERVED.of("order 1: outage run=600_S end=0")
def an_outage_does_not_end(gateway) -> bool:
    found = codes(outage(gateway))
    return "1100" in found and not {"1101", "1102"} & set(found)


@OBSERVED.of("order 1: outage run=600_S end=1102")
def an_outage_ends_and_data_are_kept(gateway) -> bool:
    raw = begin(gateway)
    found = outage(gateway, raw)
    return "1102" in codes(found) and bool([m for m in run(raw, 5) if m[0] in ("1", "2")])


@OBSERVED.of("subscribe 1: notices codes=2103,2104,2103,2104")
def a_farm_flaps(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    return codes(raw.drain()) == ["2103", "2104"] * 2


@OBSERVED.of("start 1: skew seconds=-7200")
def the_clock_is_off(gateway) -> bool:
    raw = begin(gateway)
    raw.send(49, 1)
    return int(raw.seek(49)[2]) == 1_751_463_000 - 7200


@OBSERVED.of("subscribe 1: halt instrument=ZVXA")
def trading_halts_and_nothing_fills(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    halted = ["45", "6", "1", "49", "1"] in raw.drain()
    return halted and "exec" not in fill(raw)


@OBSERVED.of("subscribe 1: no_quote instrument=ZVXA")
def both_sides_show_nothing(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    found = raw.drain()
    return [m[3:6] for m in found if m[0] == "1" and m[4] == "-1"] == [["1", "-1", "0"], ["2", "-1", "0"]]


@OBSERVED.of("start 1: delayed")
def data_are_delayed(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    found = raw.drain()
    kinds = {m[3] for m in found if m[0] == "1"}
    return "10167" in codes(found) and {"66", "67", "68"} <= kinds


@OBSERVED.of("start 1: unset")
def unset_values_come_everywhere(gateway) -> bool:
    raw = begin(gateway)
    raw.send(92, 8, "", "")
    return raw.seek(94)[2:] == [E308] * 3


@OBSERVED.of("time 09:30:05: notices codes=2103")
def a_fault_comes_at_a_time_of_the_day(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    return "2103" in codes(run(raw, 150))


@OBSERVED.of("subscribe 1: run span=600_S")
def the_day_jumps(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    raw.drain()
    raw.send(49, 1)
    return int(raw.seek(49)[2]) == 1_751_463_000 + 600


@pytest.mark.parametrize(("script", "observation"), OBSERVED.values(), ids=list(OBSERVED))
def test_a_fault_is_seen_on_the_wire(ib_gateway, script, observation):
    assert seen(ib_gateway, script, observation)


@pytest.mark.parametrize("observation", [each for _, each in OBSERVED.values()], ids=list(OBSERVED))
def test_a_sound_gateway_shows_no_such_fault(ib_gateway, observation):
    assert not seen_without(ib_gateway, observation)
