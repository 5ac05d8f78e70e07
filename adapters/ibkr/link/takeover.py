"""Which client id the next connection has: ours, or the one that looks on while ours is in use. Pure.

Order ids and the right to cancel belong to our id, so it is what is wanted, and it is tried again after each
connection under the other one. That one never orders and never cancels a single order: it sees what happens.
"""


class Takeover:
    """The choice between two ids; `other` is `None` if there is nothing to choose."""

    def __init__(self, own: int, other: int | None, after: int) -> None:
        self._own = own
        self._other = other
        self._after = after
        self._in_use = 0
        self.looks_on = False

    @property
    def client_id(self) -> int:
        """The id to connect with."""
        return self._other if self.looks_on and self._other is not None else self._own

    def failed(self, *, in_use: bool) -> None:
        """Note that a connection or an attempt has ended; `in_use`: because its id was taken."""
        own = not self.looks_on
        self._in_use += own and in_use
        self.looks_on = own and in_use and self._other is not None and self._in_use >= self._after

    def succeeded(self) -> None:
        """Note that a connection with our own id is usable."""
        self._in_use = 0
