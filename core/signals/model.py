"""The port of models: whatever can say where a price goes from the closes before.

A model runs outside the core, once for each close; what it says is recorded as signals. A replay never calls
it: same log, same signals, whatever became of the model.
"""

from collections.abc import Sequence
from typing import Protocol


class Model(Protocol):
    """A forecast from closes. It is made without arguments, and should say the same of the same window."""

    window: int
    """How many closes it wants to see."""

    def predict(self, window: Sequence[float]) -> Sequence[float] | float:
        """Return the prices of d+1 … d+n (or of d+1 alone) after `window`, closes with the oldest first."""
