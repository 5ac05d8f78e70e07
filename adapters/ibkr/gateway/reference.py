"""Requests about contracts: details, matching symbols, market rules, option parameters. Reads only."""

from collections.abc import Callable
from itertools import chain

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contract, Contracts
from adapters.ibkr.gateway.times import day, local_time
from adapters.ibkr.gateway.trading import Refusal
from adapters.ibkr.gateway.wire import Cursor
from projections.sessions import Sessions

Handler = Callable[[Client, Cursor], None]
_HOURS_DAYS = 8


class Reference:
    """Answers what is known of contracts."""

    def __init__(self, contracts: Contracts, sessions: Sessions, now: Callable[[], int]) -> None:
        self._contracts = contracts
        self._sessions = sessions
        self._now = now

    def routes(self) -> dict[int, Handler]:
        """Return the handlers by request id."""
        return {
            9: self._details,
            81: self._matching,
            91: self._market_rule,
            78: self._option_parameters,
            79: lambda client, cursor: client.post([77, cursor.integer("reqId"), 0]),
            80: lambda client, _cursor: client.post([78, 0]),
            82: lambda client, _cursor: client.post([80, 0]),
            85: lambda client, _cursor: client.post([85, 0]),
            83: self._smart_components,
        }

    def _details(self, client: Client, cursor: Cursor) -> None:
        asked = requests.contract_details(cursor)
        found = self._contracts.find(asked.contract)
        if not found:
            raise Refusal(200, "No security definition has been found for the request")
        for contract in found:
            hours = self._hours(contract)
            client.post(answers.contract_details(asked.req_id, contract, hours, client.version))
        client.post([52, 1, asked.req_id])

    def _hours(self, contract: Contract) -> answers.Hours:
        now = self._now()
        known = self._sessions.sessions(contract.calendar)
        days = [s for s in known if s.end >= now][:_HOURS_DAYS] or known[-1:]
        trading = ";".join(_span(s.begin, s.end, contract.timezone) for s in days)
        liquid = ";".join(_span(s.open, s.close, contract.timezone) for s in days)
        return answers.Hours(trading, liquid)

    def _matching(self, client: Client, cursor: Cursor) -> None:
        req_id, pattern = cursor.integer("reqId"), cursor.text("pattern")
        found = self._contracts.like(pattern) if pattern.strip() else []
        client.post(answers.symbol_samples(req_id, found, client.version))

    def _market_rule(self, client: Client, cursor: Cursor) -> None:
        rule = cursor.integer("marketRuleId")
        known = {answers.rule_id(c): c for c in self._contracts.by_instrument.values()}
        if rule not in known:
            raise Refusal(321, f"Error validating request.-'bX' : cause - Unknown market rule {rule}.")
        pairs = known[rule].steps.pairs
        client.post([93, rule, len(pairs), *chain.from_iterable(pairs)])

    def _option_parameters(self, client: Client, cursor: Cursor) -> None:
        req_id, symbol = cursor.integer("reqId"), cursor.text("underlyingSymbol")
        chains: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
        for c in self._contracts.options(symbol):
            dates, strikes = chains.setdefault((c.exchange, c.trading_class, c.multiplier), (set(), set()))
            dates.add(c.expiry)
            strikes.add(format(c.strike, "f"))
        con_id = cursor.fields[-1]
        for (exchange, trading_class, multiplier), (dates, strikes) in sorted(chains.items()):
            head: answers.Fields = [75, req_id, exchange, con_id, trading_class, multiplier]
            client.post([*head, len(dates), *sorted(dates), len(strikes), *sorted(strikes)])
        client.post([76, req_id])

    def _smart_components(self, client: Client, cursor: Cursor) -> None:
        client.post([82, cursor.integer("reqId"), 0])


def _span(begin: int, end: int, timezone: str) -> str:
    opened, closed = local_time(begin, timezone), local_time(end, timezone)
    return f"{day(begin, timezone)}:{opened:%H%M}-{day(end, timezone)}:{closed:%H%M}"
