"""One choice out of K classes."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import tensorflow as tf

from policygrad_metrics.policies.base import Layout, Policy, Truth, as_float32, columns, numeric

#: Rows whose largest entry is less than their sum by no more than this share are one-hot.
_ROUNDING = 1e-3


@final
@dataclasses.dataclass(frozen=True)
class Softmax(Policy):
    """pi(k) = exp(o_k) / sum_j exp(o_j), the policy of multi-class networks.

    Outputs: `[*sites, K]` with K >= 2, log-odds without an activation.
    Truth: class numbers `[*sites]` or `[*sites, 1]`, or one-hot rows in the shape of the outputs.
    Cross-entropy and its kin also take soft rows (probabilities, votes); rewards refuse them.

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

    def layout(self, outputs: Any) -> Layout:
        sites, K = columns(outputs)
        if K < 2:
            raise ValueError(
                f"outputs of policy 'softmax' must have at least 2 columns, got shape "
                f"{sites.concatenate(K)}; for two classes end the network with Dense(2), or keep "
                'one column and use policy="sigmoid".'
            )
        return Layout(sites, K)

    def logits(self, outputs: Any) -> tf.Tensor:
        self.layout(outputs)
        return as_float32(outputs)

    def truth(self, y_true: Any, outputs: Any) -> Truth:
        """Read class numbers, or rows of shares.

        Rows must be finite, without negative entries and not all zero; labels are only read from
        rows that are one-hot (up to a factor).

        >>> Softmax().truth([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]], tf.zeros([2, 3])).invalid.numpy()
        array([False,  True])
        """
        y_true = numeric("y_true", y_true)
        sites, K, _ = self.layout(outputs)
        if y_true.shape[-1:] != [K] or not y_true.shape[:-1].is_compatible_with(sites):
            return super().truth(y_true, outputs)
        shares = tf.cast(y_true, tf.float32)
        labels = tf.argmax(shares, axis=-1, output_type=tf.int32)
        usable = tf.reduce_all(tf.math.is_finite(shares) & (shares >= 0.0), axis=-1)
        total = tf.reduce_sum(shares, axis=-1)
        unusable = ~(usable & (total > 0.0))
        soft = tf.reduce_max(shares, axis=-1) < (1.0 - _ROUNDING) * total
        shares = tf.where(tf.expand_dims(usable, -1), shares, 0.0)
        rows = tf.math.divide_no_nan(shares, tf.expand_dims(total, -1))
        return Truth(labels, unusable | soft, rows, unusable)
