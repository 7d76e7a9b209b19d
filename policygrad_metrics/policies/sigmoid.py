"""Yes or no, for one column or for several label columns."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import tensorflow as tf

from policygrad_metrics.policies.base import (
    Layout,
    Policy,
    Truth,
    as_float32,
    columns,
    whole_labels,
)


@final
@dataclasses.dataclass(frozen=True)
class Sigmoid(Policy):
    """pi(1) = 1 / (1 + exp(-o)) for each site, as the two-class logits (0, o).

    Outputs: `[*sites, 1]` for a binary problem (the column is squeezed), or `[B, L]` with L > 1 for
    L labels of which any number may hold (multi-label: every cell is a site).
    Truth: 0 or 1, `[*sites]` or `[*sites, 1]`; `[B, L]` in the multi-label case. Cross-entropy and
    its kin also take soft targets, numbers from 0 to 1; rewards refuse them.

    >>> policy = Sigmoid()
    >>> policy.predict(tf.constant([[0.3], [-2.0]])).numpy()
    array([1, 0], dtype=int32)
    >>> policy.logits(tf.zeros([8, 4])).shape, policy.layout(tf.zeros([8, 4])).multilabel
    (TensorShape([8, 4, 2]), True)
    """

    name: ClassVar[str] = "sigmoid"
    _truth_way_out: ClassVar[str] = (
        "give one 0 or 1 per site: shape [B] or [B, 1] for a single output column, [B, L] for L "
        'columns; for exclusive classes use policy="softmax".'
    )

    def layout(self, outputs: Any) -> Layout:
        sites, L = columns(outputs)
        return Layout(sites, 2) if L == 1 else Layout(sites.concatenate(L), 2, multilabel=True)

    def truth(self, y_true: Any, outputs: Any) -> Truth:
        """Read 0 and 1, or shares of 1.

        >>> truth = Sigmoid().truth([1.0, 0.25], tf.zeros([2, 1]))
        >>> truth.invalid.numpy().tolist(), truth.rows.numpy().tolist()
        ([False, True], [[0.0, 1.0], [0.75, 0.25]])
        """
        values, _ = self._site_values(y_true, outputs)
        hard = Truth(*whole_labels(values, 2))
        if not values.dtype.is_floating:
            return hard
        share = tf.cast(values, tf.float32)
        rows = tf.stack([1.0 - share, share], axis=-1)
        inside: Any = (share >= 0.0) & (share <= 1.0)
        return hard._replace(rows=rows, invalid_rows=~inside)

    def logits(self, outputs: Any) -> tf.Tensor:
        positive = as_float32(outputs)
        if not self.layout(outputs).multilabel:
            positive = tf.squeeze(positive, axis=-1)
        return tf.stack([tf.zeros_like(positive), positive], axis=-1)
