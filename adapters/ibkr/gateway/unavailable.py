"""Requests that are not simulated: the error that each is answered with, and the id it belongs to. Pure.

Where a real gateway says that an account lacks the subscription, so does this one; the rest is 322 and names
the request. Nothing is left without an answer but what IB leaves without one too.
"""

from adapters.ibkr.gateway.wire import whole

NO_ANSWER = frozenset({12, 13, 14, 53, 56, 57, 70, 71, 89, 101, 103})
"""News bulletins (there are none), the log level, a second start, and ends of what never began."""
_NO_ID = frozenset(
    {5, 6, 8, *range(12, 20), 24, 49, 58, 59, 61, 64, 65, 66, 71, 72, 73, 80, 82, 85, 91, 99, 105}
)
_WITHOUT_VERSION = frozenset(
    {78, 79, 81, 83, 84, 86, 87, 88, 89, 90, 92, 93, 94, 95, 96, 97, 98, 100, 101, 102, 103, 104}
)
_WITHOUT_VERSION_SINCE = {3: 145, 4: 192, 20: 124, 22: 143}
_NEWS = (10276, "News feed is not allowed.")
_ADVISORS = (321, "Error validating request.-'bM' : cause - FA data operations ignored for non FA customers.")
_ERRORS = {
    18: _ADVISORS,
    19: _ADVISORS,
    52: (
        430,
        "We are sorry, but fundamentals data for the security specified is not available.",
    ),
    84: (10172, "Failed to request news article:News feed is not allowed."),
    86: _NEWS,
    100: _NEWS,
    102: _NEWS,
}


def unavailable(kind: int) -> tuple[int, str]:
    """Return the code and the text that a request is answered with that has no handler."""
    other = (322, f"Error processing request.-'bX' : cause - request {kind} is not simulated")
    return _ERRORS.get(kind, other)


def request_id(fields: list[str], kind: int, version: int) -> int:
    """Return the id that an error about a request belongs to; -1 if it has none."""
    since = _WITHOUT_VERSION_SINCE.get(kind)
    bare = kind in _WITHOUT_VERSION if since is None else version >= since
    at = 1 if bare else 2
    if kind in _NO_ID or at >= len(fields):
        return -1
    found = whole(fields[at])
    return -1 if found is None else found
