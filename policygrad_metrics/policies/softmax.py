"""One choice out of K classes."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import tensorflow as tf

from policygrad_metrics.policies.base import Policy, as_float32, columns
from policygrad_metrics.policies.truth import numeric


@final
@dataclasses.dataclass(frozen=True)
class Softmax(Policy):
    """pi(k) = exp(o_k) / sum_j exp(o_j), the policy of multi-class networks.

    Outputs: `[*sites, K]` with K >= 2, log-odds without an activation.
    Truth: class numbers `[*sites]` or `[*sites, 1]`, or one row of scores per site (one-hot,
    probabilities, votes) in the shape of the outputs, read by its largest entry.

    >>> policy = Softmax()
    >>> policy.predict(tf.constant([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])).numpy()
    array([1, 0], dtype=int32)
    >>> policy.logits(tf.zeros([8, 1]))
    Traceback (most recent call last):
    ValueError: outputs of policy 'softmax' must have at least 2 columns, got shape (8, 1); for two
    classes end the network with Dense(2), or keep one column and use policy="sigmoid".
    """

    name: ClassVar[str] = "softmax"
    _truth_way_out: ClassVar[str] = (
        "give one class number per site, or one-hot rows of the shape of the outputs; for label "
        'columns that exclude one another not, use policy="sigmoid".'
    )

    def sites(self, outputs: Any) -> tf.TensorShape:
        sites, K = columns(outputs)
        if K < 2:
            raise ValueError(
                f"outputs of policy 'softmax' must have at least 2 columns, got shape "
                f"{sites.concatenate(K)}; for two classes end the network with Dense(2), or keep "
                'one column and use policy="sigmoid".'
            )
        return sites

    def num_classes(self, outputs: Any) -> int:
        self.sites(outputs)
        return columns(outputs)[1]

    def logits(self, outputs: Any) -> tf.Tensor:
        self.sites(outputs)
        return as_float32(outputs)

    def labels(self, y_true: Any, outputs: Any) -> tf.Tensor:
        """Return the truth as int32 `[*sites]`, from class numbers or from rows of scores.

        >>> Softmax().labels([[0, 1, 0], [1, 0, 0]], tf.zeros([2, 3])).numpy()
        array([1, 0], dtype=int32)
        """
        y_true = numeric("y_true", y_true)
        if not self._are_rows(y_true, outputs):
            return super().labels(y_true, outputs)
        return tf.argmax(y_true, axis=-1, output_type=tf.int32)

    def invalid_labels(self, y_true: Any, outputs: Any) -> tf.Tensor:
        """Return True where a class number is not in [0, K), or a row of scores names no class.

        A row must be finite, without negative entries, and not all zero.
        """
        y_true = numeric("y_true", y_true)
        if not self._are_rows(y_true, outputs):
            return super().invalid_labels(y_true, outputs)
        scores = tf.cast(y_true, tf.float32)
        usable = tf.math.is_finite(scores) & (scores >= 0.0)
        return ~(tf.reduce_all(usable, axis=-1) & tf.reduce_any(scores > 0.0, axis=-1))

    def _are_rows(self, y_true: tf.Tensor, outputs: Any) -> bool:
        sites, K = self.sites(outputs), self.num_classes(outputs)
        return y_true.shape[-1:] == [K] and y_true.shape[:-1].is_compatible_with(sites)
