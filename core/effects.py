"""What the step wants done outside: sends, each with the decision that it follows from."""

import msgspec

from core.events import CancelIntended, ModifyIntended, OrderIntended


class Effect(msgspec.Struct, frozen=True, gc=False):
    """A send that may be carried out once its decision (`seq`) is recorded, and in live durable."""

    seq: int
    request: OrderIntended | ModifyIntended | CancelIntended
