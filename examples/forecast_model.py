"""A forecast of closes with numpy alone: random features, trained by ridge regression on the window itself.

    tape import examples/forecast_model.py:RandomFeatures --as signals --source lstm --volatility 0.02

It is asked once a session and instrument; what it says goes into the log as signals, and a replay never calls
it. Same window, same forecast: the features come from a fixed seed. It is an example, not a way to get rich.
"""

from collections.abc import Sequence

import numpy as np


class RandomFeatures:
    """Predicts the next log return from the last `LAGS`, and walks on from its own predictions."""

    window = 40
    LAGS, FEATURES, DAYS, RIDGE, SEED = 5, 16, 5, 1e-2, 7

    def __init__(self) -> None:
        chance = np.random.default_rng(self.SEED)
        self._weights = chance.normal(size=(self.LAGS, self.FEATURES))
        self._shift = chance.uniform(-1, 1, self.FEATURES)

    def predict(self, window: Sequence[float]) -> list[float]:
        """Train on the window's returns, then return the prices of d+1 … d+5."""
        closes = np.asarray(window, dtype=float)
        moves = np.diff(np.log(closes))
        scale = moves.std() or 1.0
        scaled = moves / scale
        seen = np.lib.stride_tricks.sliding_window_view(scaled, self.LAGS)[:-1]
        features = self._features(seen)
        square = features.T @ features + self.RIDGE * len(seen) * np.eye(self.FEATURES)
        readout = np.linalg.solve(square, features.T @ scaled[self.LAGS :])
        lags, path, price = scaled[-self.LAGS :], [], float(closes[-1])
        for _ in range(self.DAYS):
            move = float(np.clip(self._features(lags[None, :]) @ readout, -2, 2)[0])
            price *= float(np.exp(move * scale))
            path.append(price)
            lags = np.append(lags[1:], move)
        return path

    def _features(self, lags: np.ndarray) -> np.ndarray:
        return np.tanh(lags @ self._weights + self._shift)
