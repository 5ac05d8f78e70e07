"""The official client's whole round, as a script: any release of ibapi that is on the path.

`python official.py PORT` connects with its own EClient, streams, asks for history, trades, cancels, reads
back, and prints what it heard as JSON. It runs in a process of its own, because each release of ibapi needs
one. The official reader may lose what ends on a 4096-byte boundary, so nothing here asks for bursts.
"""

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

TIMEOUT_S = 20.0


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
    app.reqTickByTickData(4, contract(), "AllLast", 0, False)
    app.wait("tickByTickAllLast")
    app.reqHistoricalData(5, contract(), "", "3600 S", "5 mins", "TRADES", 0, 1, False, [])
    app.wait("historicalDataEnd")
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
    app.cancelOrder(order_id, "" if OrderCancel is None else OrderCancel())


main(int(sys.argv[1]))
