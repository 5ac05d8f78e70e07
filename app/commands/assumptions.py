"""The options that say what a replay assumes: the same for `replay`, `lookahead` and `optimize`."""

from collections.abc import Callable
from typing import Any

import click

from app.commands.base import AMOUNT, Number

_OPTIONS = (
    click.option("--feed", metavar="FEED", help="Take market data from this feed (default: the finest)."),
    click.option("--cash", metavar="AMOUNT", help="Starting cash."),
    click.option("--commission", metavar="NAME", help="Commission schedule, or a rate: '0.2 %', '2 each'."),
    click.option("--latency-ms", type=AMOUNT, help="Event time between an order and its arrival."),
    click.option(
        "--partial-fills/--full-fills", default=None, help="Whether the displayed size limits a fill."
    ),
    click.option(
        "--slippage",
        metavar="AMOUNT",
        help="How much worse market orders fill: '1 tick', '2 bps', '0.5 spread'.",
    ),
    click.option(
        "--volume-share",
        type=Number(0, 1, min_open=True),
        help="Of traded volume, at most this share fills.",
    ),
    click.option(
        "--stop-trigger",
        type=click.Choice(["trades", "quotes"]),
        help="What triggers stops on ticks (default: trades).",
    ),
    click.option(
        "--bar-fill",
        type=click.Choice(["close", "next_open"]),
        help="Where market orders fill in bars: at the close, or at the next open.",
    ),
    click.option(
        "--margin",
        type=click.Choice(["none", "cash", "reg_t"]),
        help="Refuse entries beyond the initial margin of a cash or margin account.",
    ),
    click.option(
        "--action-orders",
        type=click.Choice(["cancel", "adjust"]),
        help="What splits and dividends do to resting orders at raw prices.",
    ),
    click.option(
        "--extended-hours/--regular-hours",
        default=None,
        help="Whether bars outside regular hours are replayed.",
    ),
    click.option(
        "--prices",
        type=click.Choice(["auto", "adjusted", "raw"]),
        help="Adjust prices for splits and dividends, or apply them to positions (auto: adjust bars).",
    ),
    click.option(
        "--fill-forward/--no-fill-forward",
        default=None,
        help="Whether strategies that ask for it are told of missing seconds and minutes.",
    ),
)


def assumptions(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a verb, under the names that `app.replay.running.ReplayRequest` has for them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
