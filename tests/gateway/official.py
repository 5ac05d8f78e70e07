"""The official client's whole round, as a script: any release of ibapi that is on the path.

`python official.py PORT` connects with its own EClient, streams, asks for history, trades, cancels, reads
back, and prints what it heard as JSON. It runs in a process of its own, because each release of ibapi needs
one. The official reader may lose what ends on a 4096-byte boundary, so nothing here asks for bursts.
"""

import inspect
import json
import sys
import threading
from decimal import Decimal
from queue import Empty, Queue

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper

try:
    from ibapi.order_cancel import OrderCancel
except ImportError:  # before 10.30
    OrderCancel = None

TIMEOUT_S = 60.0


class App(EWrapper, EClient):
    def __init__(self):
        EWrapper.__init__(self)
        EClient.__init__(self, self)
        self.queue = Queue()
        self.kinds = {}

    def heard(self, name, *args):
        self.kinds[name] = self.kinds.get(name, 0) + 1
        self.queue.put((name, args))

    def wait(self, name, where=lambda *args: True):
        while True:
            try:
                kind, args = self.queue.get(timeout=TIMEOUT_S)
            except Empty:
                raise SystemExit(f"no {name}: heard {self.kinds}") from None
            if kind == name and where(*args):
                return args


def listen(name):
    def method(self, *args):
        self.heard(name, *args)

    return method


HEARD = (
    "nextValidId managedAccounts error tickPrice tickSize tickString marketDataType tickReqParams",
    "orderStatus",
    "openOrder openOrderEnd execDetails execDetailsEnd commissionReport commissionAndFeesReport position",
    "positionEnd updateAccountValue updatePortfolio accountDownloadEnd accountSummary accountSummaryEnd pnl",
    "pnlSingle contractDetails contractDetailsEnd historicalData historicalDataEnd tickByTickAllLast",
    "historicalTicks historicalTicksLast",
    "completedOrder completedOrdersEnd currentTime symbolSamples marketRule",
)
for line in HEARD:
    for each in line.split():
        setattr(App, each, listen(each))


def contract():
    made = Contract()
    made.symbol, made.secType, made.exchange, made.currency = "ZVXA", "STK", "SMART", "USD"
    return made


def order(action, kind, price=None, ref=""):
    made = Order()
    made.action, made.orderType, made.totalQuantity, made.orderRef = action, kind, Decimal(100), ref
    if price is not None:
        made.lmtPrice = price
    return made


def standing(app, order_id, word):
    """Wait until an order has a status."""
    app.wait("orderStatus", lambda id_, status, *rest: (id_, status) == (order_id, word))


def every_type(app, first):
    """Place each type of order, a bracket and a pair; change one, cancel them; return the next id."""
    given = (
        {"orderType": "STP", "auxPrice": 60.0},
        {"orderType": "STP LMT", "auxPrice": 60.0, "lmtPrice": 59.0, "outsideRth": True},
        {"orderType": "LIT", "auxPrice": 98.0, "lmtPrice": 99.0},
        {"orderType": "TRAIL", "auxPrice": 20.0},
        {"orderType": "TRAIL", "trailingPercent": 25.0},
        {"orderType": "MOC"},
        {"orderType": "MKT", "tif": "OPG"},
        {"orderType": "LMT", "lmtPrice": 99.0, "tif": "GTD", "goodTillDate": "20250702-19:00:00"},
        {"orderType": "LMT", "lmtPrice": 98.0, "ocaGroup": "pair", "ocaType": 2},
        {"orderType": "LMT", "lmtPrice": 99.0, "ocaGroup": "pair", "ocaType": 2},
        {"action": "BUY", "orderType": "LMT", "lmtPrice": 60.0, "transmit": False},
        {"orderType": "LMT", "lmtPrice": 99.0, "parentId": first + 10, "transmit": False},
        {"orderType": "STP", "auxPrice": 50.0, "parentId": first + 10},
    )
    made = []
    for number, fields in enumerate(given):
        made.append(order("SELL", "MKT"))
        for name, value in fields.items():
            setattr(made[-1], name, value)
        app.placeOrder(first + number, contract(), made[-1])
    for number, each in enumerate(made):
        rests = each.orderType == "LMT" and number != 11
        word = "Submitted" if rests else "PreSubmitted"
        standing(app, first + number, word)
    made[12].auxPrice = 51.0
    app.placeOrder(first + 12, contract(), made[12])
    app.wait("openOrder", lambda id_, _contract, told, _state: id_ == first + 12 and told.auxPrice == 51.0)
    for number in range(11):
        cancel(app, first + number)
    for number in (*range(11), 11, 12):
        standing(app, first + number, "Cancelled")
    return first + len(made)


def main(port):
    app = App()
    app.connect("127.0.0.1", port, 9)
    threading.Thread(target=app.run, daemon=True).start()
    (first,) = app.wait("nextValidId")
    app.reqContractDetails(1, contract())
    app.wait("contractDetailsEnd")
    app.reqMatchingSymbols(2, "ZV")
    app.wait("symbolSamples")
    app.reqMktData(3, contract(), "", False, False, [])
    app.wait("tickPrice")
    app.reqTickByTickData(4, contract(), "AllLast", 10, False)
    app.wait("historicalTicksLast", lambda _id, ticks, done: len(ticks) >= 10 and done)
    app.wait("tickByTickAllLast")
    app.reqHistoricalData(5, contract(), "", "3600 S", "5 mins", "TRADES", 0, 1, False, [])
    app.wait("historicalDataEnd")
    app.reqHistoricalData(10, contract(), "", "1 M", "1W", "TRADES", 0, 1, False, [])
    app.wait("historicalData", lambda id_, bar: id_ == 10 and bar.date == "20250702")
    app.reqHistoricalTicks(11, contract(), "", "20250702-13:20:00", 10, "MIDPOINT", 0, True, [])
    app.wait("historicalTicks")
    app.placeOrder(first, contract(), order("BUY", "MKT", ref="filled"))
    app.wait("orderStatus", lambda _id, status, *rest: status == "Filled")
    name = "commissionAndFeesReport" if hasattr(EWrapper, "commissionAndFeesReport") else "commissionReport"
    app.wait(name)
    app.placeOrder(first + 1, contract(), order("SELL", "LMT", 99.0, ref="resting"))
    app.wait("orderStatus", lambda id_, status, *rest: id_ == first + 1 and status == "Submitted")
    app.reqAllOpenOrders()
    app.wait("openOrderEnd")
    cancel(app, first + 1)
    app.wait("orderStatus", lambda _id, status, *rest: status == "Cancelled")
    every_type(app, first + 2)
    app.reqExecutions(6, ExecutionFilter())
    app.wait("execDetailsEnd")
    app.reqCompletedOrders(False)
    app.wait("completedOrdersEnd")
    app.reqPositions()
    app.wait("positionEnd")
    app.reqAccountUpdates(True, "")
    app.wait("accountDownloadEnd")
    app.reqAccountSummary(7, "All", "NetLiquidation")
    app.wait("accountSummaryEnd")
    app.reqPnL(8, "DU1000001", "")
    app.wait("pnl")
    app.reqCurrentTime()
    app.wait("currentTime")
    print(json.dumps({"server": app.serverVersion(), "kinds": app.kinds}))
    app.disconnect()


def cancel(app, order_id):
    arguments = len(inspect.signature(EClient.cancelOrder).parameters) - 2  # none before 10.x
    app.cancelOrder(order_id, *["" if OrderCancel is None else OrderCancel()][:arguments])


main(int(sys.argv[1]))
