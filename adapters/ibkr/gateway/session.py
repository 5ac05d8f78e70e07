"""The gateway without its sockets: handshake, requests, and the day that runs beneath them.

Takes what was read from each connection and leaves bytes to be written with its client. Routes requests
by id, turns refusals into error messages, and asks the fault script at each thing that it may be tied to.
Order of work in a turn: requests, market, book made durable; only then does the server write.
"""

from collections.abc import Callable

import msgspec

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.book import Held
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contracts
from adapters.ibkr.gateway.datarequests import DataRequests
from adapters.ibkr.gateway.faults import Fault, Faults
from adapters.ibkr.gateway.feeds import Feeds
from adapters.ibkr.gateway.market import Market
from adapters.ibkr.gateway.mischief import Mischief
from adapters.ibkr.gateway.reference import Reference
from adapters.ibkr.gateway.reports import Reports
from adapters.ibkr.gateway.scanner import Scanner
from adapters.ibkr.gateway.telling import Outbox
from adapters.ibkr.gateway.times import local_time
from adapters.ibkr.gateway.trading import Refusal, Trading
from adapters.ibkr.gateway.unavailable import NO_ANSWER, request_id, unavailable
from adapters.ibkr.gateway.wire import (
    VERSION_MAX,
    VERSION_MIN,
    BadFrame,
    Cursor,
    client_range,
    fields_of,
    message,
)
from core.clock import SECOND_NS
from core.events import Event, HaltChanged

Handler = Callable[[Client, Cursor], None]
SLICES_A_TURN = 512
OVER = "over"
_FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is told from outside. `server_version` is the highest it will speak."""

    account: str = "DU1000001"
    server_version: int = 200
    first_order_id: int = 1
    timezone: str = "America/New_York"


class Session:
    """All clients of one gateway, and what they may ask."""

    def __init__(
        self,
        settings: Settings,
        market: Market,
        trading: Trading,
        outbox: Outbox,
        feeds: Feeds,
        data: DataRequests,
        reports: Reports,
        reference: Reference,
        scanner: Scanner,
        contracts: Contracts,
        faults: Faults,
    ) -> None:
        assert VERSION_MIN <= settings.server_version <= VERSION_MAX
        self.settings = settings
        self.market = market
        self.trading = trading
        self.feeds = feeds
        self.data = data
        self.contracts = contracts
        self.faults = faults
        self.clients: list[Client] = []
        self.skew_ns = 0
        self.ids_back = 0
        self.connections = 0
        self._reports = reports
        self._scanner = scanner
        self._mischief = Mischief(self)
        self._fired_ticks = 0
        outbox.client = self.client
        outbox.position_changed = lambda instrument: reports.changed(self.ready(), instrument)
        trading.filled = self._filled
        feeds.on_bars = self._grow_bars
        self._routes: dict[int, Handler] = {
            **reference.routes(),
            **scanner.routes(),
            **reports.routes(),
            **data.routes(),
            1: self._subscribing(data.routes()[1]),
            97: self._subscribing(data.routes()[97]),
            20: self._asking(data.routes()[20]),
            3: self._place,
            4: self._cancel,
            58: self._global_cancel,
            8: self._ids,
            17: self._accounts,
            49: self._time,
            105: self._time_in_millis,
            104: lambda client, cursor: client.post([107, cursor.integer("reqId"), ""]),
        }

    # -- connections ---------------------------------------------------------------------------

    def connect(self) -> Client:
        """Take a new connection."""
        self.connections += 1
        client = Client(self.connections)
        self.clients.append(client)
        self.play("connect", client)
        return client

    def disconnect(self, client: Client) -> None:
        """Forget a connection; its orders stay, but for those that it never transmitted."""
        if client.stage != "closed":
            ready, client.stage = client.ready, "closed"
            if ready:
                self.trading.left(client.id)
            self.feeds.drop(client)
            self.clients.remove(client)

    def client(self, client_id: int) -> Client | None:
        """Return the ready client of an id."""
        return next((c for c in self.clients if c.id == client_id and c.ready), None)

    def ready(self) -> list[Client]:
        """Return the clients that may be told of things."""
        return [c for c in self.clients if c.ready]

    def receive(self, client: Client, data: bytes) -> None:
        """Take bytes from a client; what is not the protocol closes the connection."""
        try:
            for payload in client.frames.feed(data):
                if client.stage == "closed" or client.closing or client.reset:
                    return
                self._frame(client, payload)
        except BadFrame as error:
            if client.ready:
                self.error(client, -1, 507, f"Bad Message Length {error}")
            client.closing = True

    def _frame(self, client: Client, payload: bytes) -> None:
        if client.stage == "greeting":
            self._greet(client, payload)
        elif client.stage == "starting":
            self._start(client, payload)
        else:
            self._request(client, payload)

    def _greet(self, client: Client, payload: bytes) -> None:
        low, high = client_range(payload)
        if high < VERSION_MIN:
            raise BadFrame(f"the client speaks up to version {high}; expected at least {VERSION_MIN}")
        client.version = client.version or min(self.settings.server_version, high)
        del low  # the client itself refuses what is below its range
        now = local_time(self.market.now, self.settings.timezone)
        client.write(message([client.version, f"{now:%Y%m%d %H:%M:%S} {self.settings.timezone}"]))
        client.stage = "starting"

    def _start(self, client: Client, payload: bytes) -> None:
        cursor = Cursor(fields_of(payload))
        if cursor.integer("message") != 71:
            raise BadFrame("the first message must be START_API (71)")
        cursor.skip(1)
        wanted = cursor.integer("clientId")
        if self.client(wanted) is not None:
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            self.error(client, -1, 326, text)
            client.closing = True
            return
        client.id, client.stage = wanted, "ready"
        if self.play("start", client):
            return
        client.post([15, 1, self.settings.account])
        client.post([9, 1, self.next_id(client)])
        for code, text in _FARMS:
            self.error(client, -1, code, text)

    def next_id(self, client: Client) -> int:
        """Return the client's next valid order id; a fault may roll it back."""
        found = self.trading.book.next_order_id(client.id, self.settings.first_order_id)
        return max(1, found - self.ids_back)

    # -- requests ------------------------------------------------------------------------------

    def _request(self, client: Client, payload: bytes) -> None:
        fields = fields_of(payload)
        cursor = Cursor(fields)
        kind = cursor.integer("message")
        handler = self._routes.get(kind)
        if handler is None:
            if kind not in NO_ANSWER:
                self.error(client, request_id(fields, kind, client.version), *unavailable(kind))
            return
        try:
            handler(client, cursor)
        except Refusal as refusal:
            self.error(client, request_id(fields, kind, client.version), refusal.code, refusal.message)
        except BadFrame as error:
            text = f"Error validating request.-'bX' : cause - {error}"
            self.error(client, request_id(fields, kind, client.version), 321, text)

    def error(self, client: Client, req_id: int, code: int, text: str) -> None:
        """Tell a client of an error or notice."""
        client.post(answers.error(client.version, req_id, code, text, self.wall_ns // 1_000_000))

    def _subscribing(self, handler: Handler) -> Handler:
        def subscribe(client: Client, cursor: Cursor) -> None:
            handler(client, cursor)
            self.play("subscribe", client)

        return subscribe

    def _asking(self, handler: Handler) -> Handler:
        def ask(client: Client, cursor: Cursor) -> None:
            due, req_id = self.faults.count("history"), request_id(cursor.fields, 20, client.version)
            if not self._mischief.before(due, client, req_id):
                handler(client, cursor)
                self._mischief.after(due, client, req_id)

        return ask

    def _place(self, client: Client, cursor: Cursor) -> None:
        asked = requests.place_order(cursor, client.version)
        known = self.trading.book.find(client.id, asked.order_id) is not None
        due = [] if asked.what_if else self.faults.count("modify" if known else "order")
        if self._mischief.before(due, client, asked.order_id):
            return
        if any(fault.do == "fork" for fault in due):
            self.trading.fork(client, asked)
        else:
            self.trading.place(client, asked)
        self.market.start()
        self._mischief.after(due, client, asked.order_id)

    def _cancel(self, client: Client, cursor: Cursor) -> None:
        order_id = requests.cancel_order(cursor, client.version)
        due = self.faults.count("cancel")
        if self._mischief.before(due, client, order_id):
            return
        if not any(fault.do == "fill_after_cancel" for fault in due):
            self.trading.cancel(client, order_id)
        self._mischief.after(due, client, order_id)

    def _global_cancel(self, _client: Client, _cursor: Cursor) -> None:
        self.trading.cancel_all()

    def _ids(self, client: Client, _cursor: Cursor) -> None:
        client.post([9, 1, self.next_id(client)])

    def _accounts(self, client: Client, _cursor: Cursor) -> None:
        client.post([15, 1, self.settings.account])

    def _time(self, client: Client, _cursor: Cursor) -> None:
        client.post([49, 1, self.wall_ns // SECOND_NS])

    def _time_in_millis(self, client: Client, cursor: Cursor) -> None:
        # A field that only a client of ours sends: the time (ns) that is not to be passed.
        until = cursor.integer("until") if cursor.rest() else None
        if self.market.speed == "step" and self._waits(client):
            before = client.posted
            while client.posted == before and self.market.step(until):
                self._happened()
        # It alone is told of the end: that time is passed as well where a fault lets the day run.
        over = [OVER] if until is not None and self.market.over else []
        client.post([109, self.wall_ns // 1_000_000, *over])

    def _waits(self, client: Client) -> bool:
        """Return whether the client can hear of anything: else lock step would run through the whole day."""
        if client.streams or client.bars:
            return True
        return any(held.ticket.client_id == client.id for held in self.trading.book.open())

    @property
    def wall_ns(self) -> int:
        """The time that clients are told: the day's, unless a fault shifts it."""
        return self.market.now + self.skew_ns

    # -- the day -------------------------------------------------------------------------------

    def turn(self) -> None:
        """Let the market go on and make the book durable; the server may write afterwards."""
        before = self.market.events
        if not self.waiting:
            self.market.pump(SLICES_A_TURN)
        if self.market.events != before:
            self._happened(self.market.events - before)
        self.trading.book.commit()

    @property
    def waiting(self) -> bool:
        """Whether the day stands still at full speed, because nobody is there to read it."""
        return self.market.speed == "max" and not any(client.ready for client in self.clients)

    def _happened(self, events: int = 1) -> None:
        self.play("events", None, events)
        ticks, self._fired_ticks = self.feeds.sent - self._fired_ticks, self.feeds.sent
        if ticks:
            self.play("ticks", None, ticks)
        if self.faults.waits_for_time:
            clock = local_time(self.market.now, self.settings.timezone).strftime("%H:%M:%S")
            for fault in self.faults.at(clock):
                self._mischief.act(fault, None, -1)
        self._reports.tick(self.ready())
        self._scanner.tick(self.ready())

    def _grow_bars(self, instrument: str, event: Event) -> None:
        for client in self.clients:
            if client.bars:
                self.data.grow(client, instrument, event)

    def halt(self, instrument: str, *, on: bool) -> None:
        """Halt or resume an instrument beside what the recorded day says."""
        self.market.halt(HaltChanged(self.market.now, "gateway", instrument, on, "fault script"))

    # -- faults --------------------------------------------------------------------------------

    def _filled(self, held: Held) -> None:
        self.play("fill", self.client(held.ticket.client_id), order_id=held.ticket.order_id)

    def play(self, what: str, client: Client | None, by: int = 1, order_id: int = -1) -> list[Fault]:
        """Count something and do the faults that are due; return those that take the answer's place."""
        due = self.faults.count(what, by)
        for fault in due:
            self._mischief.act(fault, client, order_id)
        return [fault for fault in due if fault.do in ("refuse", "close", "reset", "mute", "pace")]

    @property
    def restart_s(self) -> float | None:
        """How long the server is to be away, once; `None` if it is to stay."""
        return self._mischief.take_restart()

    @property
    def frozen_s(self) -> float | None:
        """How long nothing is to be read or written, once; `None` if all is well."""
        return self._mischief.take_freeze()
