"""Ordered classes, by the chances of going on from each level to the next."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import tensorflow as tf

from policygrad_metrics.policies.base import Layout, Policy, as_float32, columns


@final
@dataclasses.dataclass(frozen=True)
class ContinuationRatio(Policy):
    """P(y > k | y >= k) = sigmoid(o_k): the conditional tasks of CORN (Shi, Cao, Raschka 2021).

        log P(y = k) = sum_{j < k} log sigmoid(o_j) + log sigmoid(-o_k),   o_{K-1} = -inf

    Outputs: `[*sites, K-1]` log-odds without an activation, K >= 2.
    Truth: levels 0 .. K-1, `[*sites]` or `[*sites, 1]`.

    >>> policy = ContinuationRatio()
    >>> tf.exp(policy.logits(tf.constant([[0.0, 0.0]]))).numpy()
    array([[0.5 , 0.25, 0.25]], dtype=float32)
    """

    name: ClassVar[str] = "continuation_ratio"
    _truth_way_out: ClassVar[str] = (
        "give one level number per site; K levels need K-1 output columns, Dense(K - 1)."
    )

    def layout(self, outputs: Any) -> Layout:
        sites, tasks = columns(outputs)
        return Layout(sites, tasks + 1)

    def logits(self, outputs: Any) -> tf.Tensor:
        self.layout(outputs)
        outputs = as_float32(outputs)
        end = tf.zeros_like(outputs[..., :1])
        reached = tf.cumsum(tf.math.log_sigmoid(outputs), axis=-1)
        stopped = tf.math.log_sigmoid(-outputs)
        return tf.concat([end, reached], axis=-1) + tf.concat([stopped, end], axis=-1)
