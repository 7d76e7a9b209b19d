"""The smoothed steps of `surrogates.steps` as Keras losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.policies.base import numeric, one_per_site
from policygrad_metrics.surrogates.steps import SMOOTH_LEVELS

_WAY_OUT = "end the network with Dense(1) and give one target value per example."


class StepLoss(keras.losses.Loss):
    """What the losses of this file share; a member says which smooth level it compares.

        loss = sum_i w_i |S(y_i) - S(x_i)| / sum_i w_i

    The network ends with `Dense(1)`, the value itself; truths are values, `[B]` or `[B, 1]`, in
    the same units as the edges. Weight 0 is the row removed and weight 2 the row twice (Keras's
    reduction "mean_with_sample_weight").

    Args:
        edges: increasing numbers, in the target's units, for example `aqi.thresholds("taiwan")`.
        sharpness: how steep the steps are, > 0.
        reduction, name, dtype: as in Keras.

    Raises:
        ValueError: bad edges or sharpness; truths and outputs that do not fit.
    """

    surrogate: ClassVar[str]

    def __init__(
        self,
        edges: Sequence[float] | np.ndarray,
        sharpness: float,
        reduction: str,
        name: str,
        dtype: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.edges = np.asarray(edges, np.float64).tolist()
        self.sharpness = sharpness
        self._level(tf.zeros([1]))  # raises on bad arguments

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each example, `[B]`, in levels."""
        y_pred = numeric("y_pred", y_pred)
        truth, predicted = (
            one_per_site(values, y_pred.shape[:1], y_pred, _WAY_OUT)
            for values in (numeric("y_true", y_true), y_pred)
        )
        return tf.abs(self._level(tf.cast(truth, y_pred.dtype)) - self._level(predicted))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "edges": self.edges, "sharpness": self.sharpness}

    def _level(self, values):
        level = SMOOTH_LEVELS[self.surrogate]
        return level(values, edges=self.edges, sharpness=self.sharpness)


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class TanhStepsLoss(StepLoss):
    """`S(x) = sum_j (tanh(sharpness (x - edge_j)) + 1) / 2`; see `StepLoss` for the arguments.

    >>> loss = TanhStepsLoss([15.45, 35.45])
    >>> print(f"{float(loss([10.0, 40.0], [[10.0], [25.0]])):.3f}")  # one of two a level too low
    0.500
    """

    surrogate = "tanh_steps"

    def __init__(
        self,
        edges: Sequence[float] | np.ndarray,
        sharpness: float = 1.0,
        reduction: str = "mean_with_sample_weight",
        name: str = "tanh_steps_loss",
        dtype: Any = None,
    ):
        super().__init__(edges, sharpness, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class StaircaseStepsLoss(StepLoss):
    """`S(x) = sum_j sigmoid(sharpness (x - edge_j) / h_j)`, h_j the width of the levels beside j.

    See `StepLoss` for the arguments and `surrogates.steps.staircase_level` for h_j.

    >>> loss = StaircaseStepsLoss([15.45, 35.45, 54.45])
    >>> print(f"{float(loss([25.45], [[45.0]])):.2f}")  # one level too high
    1.00
    """

    surrogate = "staircase_steps"

    def __init__(
        self,
        edges: Sequence[float] | np.ndarray,
        sharpness: float = 10.0,
        reduction: str = "mean_with_sample_weight",
        name: str = "staircase_steps_loss",
        dtype: Any = None,
    ):
        super().__init__(edges, sharpness, reduction, name, dtype)
