"""The reward and the constrained rates of every threshold, with their spread, as a picture."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.decision.floors import Floored
from policygrad_metrics.rewards import Reward

#: Most thresholds of a curve, at quantiles of the probabilities.
MOST_THRESHOLDS = 200


@dataclasses.dataclass(frozen=True)
class ThresholdCurve:
    """The confusion counts of each threshold on the fitting data.

    Args:
        thresholds: increasing, `[T]`.
        counts: the weight of each truth (below those of other groups) between two thresholds,
            from below the first to above the last, `[T + 1, G 2]`.
    """

    thresholds: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, p: np.ndarray, row: np.ndarray, weight: np.ndarray, rows: int) -> ThresholdCurve:
        """Count examples of probabilities `[N]`, table rows `[N]` and weights `[N]`."""
        quantiles = np.linspace(0.0, 1.0, MOST_THRESHOLDS)
        thresholds = np.unique(np.quantile(p, quantiles, method="inverted_cdf"))
        place = np.searchsorted(thresholds, p, side="left") * rows + row
        counts = np.bincount(place, weight, (len(thresholds) + 1) * rows)
        return cls(thresholds, counts.reshape(-1, rows))

    def tables(self, counts: np.ndarray) -> np.ndarray:
        """Confusion tables `[..., T, 1, G 2, 2]` of counts `[..., T + 1, G 2]`."""
        negative = np.cumsum(counts, axis=-2)[..., :-1, :]
        positive = np.cumsum(counts[..., ::-1, :], axis=-2)[..., -2::-1, :]
        return np.stack([negative, positive], axis=-1)[..., None, :, :]

    def resampled(self, times: int, seed: int) -> np.ndarray:
        """Counts of as many bootstrap samples, `[times, T + 1, G 2]`.

        Examples are drawn with replacement, which of counts is a multinomial draw (Efron 1979).
        """
        flat = self.counts.ravel()
        drawn = np.random.default_rng(seed).multinomial(
            round(flat.sum()), flat / flat.sum(), size=times
        )
        return drawn.reshape(times, *self.counts.shape).astype(np.float64)

    def plot(self, reward: Reward, chosen: float, ax: Any, times: int, seed: int) -> Any:
        """Draw the curves into `ax`, or a new figure; return the axes.

        Args:
            reward: a reward of confusion counts, or a `Floored` one.
            chosen: the threshold that was chosen.
            ax: of matplotlib, or None.
            times: bootstrap samples of the bands, from the 5th to the 95th percentile.
            seed: of these.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
        tables = self.tables(np.concatenate([self.counts[None], self.resampled(times, seed)]))
        for name, values, bound in _curves(reward, tf.constant(tables, tf.float64)):
            (line,) = ax.plot(self.thresholds, values[0], label=name)
            low, high = np.quantile(values[1:], [0.05, 0.95], axis=0)
            ax.fill_between(self.thresholds, low, high, alpha=0.15, color=line.get_color())
            if bound is not None:
                ax.axhline(bound, linestyle="--", linewidth=1.0, color=line.get_color())
        ax.axvline(chosen, color="black", linewidth=1.0, label=f"chosen: p > {chosen:.3g}")
        ax.set(xlabel="threshold", ylabel="rate (band: 5 % to 95 % of bootstrap samples)")
        ax.legend(loc="best", fontsize="small")
        return ax


def _curves(reward, tables):
    """A name, values `[1 + times, T]` and perhaps a bound, for each line."""
    if not isinstance(reward, Floored):
        yield reward.name, reward.score_columns(tables).numpy(), None
        return
    split = reward.by_group(tables)
    whole = tf.reduce_sum(split, axis=-4)
    yield reward.reward.name, reward.reward.score_columns(whole).numpy(), None
    for constraint, excess in reward.constraints.worst_of_each(split):
        sign = 1.0 if constraint.sense == "<=" else -1.0
        yield str(constraint), constraint.bound + sign * excess.numpy(), constraint.bound
