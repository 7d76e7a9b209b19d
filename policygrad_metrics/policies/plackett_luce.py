"""A ranking instead of labels."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import tensorflow as tf

from policygrad_metrics.policies import tfp
from policygrad_metrics.policies.base import Layout, Policy, Truth, as_float32, numeric


@final
@dataclasses.dataclass(frozen=True)
class PlackettLuce(Policy):
    """pi(order) = prod_r exp(s of place r) / sum of exp(s) over that place and all later ones.

    It draws the first item with chances softmax(s), the next of the others alike, and so on. The
    same is to sort scores that have Gumbel noise added, the highest first.

    Outputs: scores. `[B]` or `[B, 1]`: the batch is one list. `[B, L]`: B lists of L items.
    Truth: of the shape of the outputs, or `[B]` of `[B, 1]`: 0 or 1, or grades of 0 or more.
    A weight or mask of 0 takes an item out of its list (padding).

    Args:
        graded: whether the truth may be grades; the loss takes it from its reward.

    >>> policy = PlackettLuce()
    >>> policy.predict([[0.3, 2.0, -1.0]]).numpy().tolist()
    [[1, 0, 2]]
    >>> round(float(policy.log_prob([[0.0, 0.0, 0.0]], [[2, 0, 1]])[0]), 4)  # one of 3!
    -1.7918
    """

    name: ClassVar[str] = "plackett_luce"

    graded: bool = True

    def layout(self, outputs: Any) -> Layout:
        shape = numeric("outputs", outputs).shape
        if shape.rank not in (1, 2):
            way_out = ""
            if shape.rank == 3 and shape[-1] == 1:
                way_out = (
                    f" End the network with keras.layers.Reshape([{shape[1] or 'L'}]), and give "
                    "padded items sample_weight 0: no mask passes it."
                )
            raise ValueError(
                f"outputs of policy 'plackett_luce' must be scores, [B] or [B, 1] of one list or "
                f"[B, L] of B lists, got shape {shape}.{way_out}"
            )
        return Layout(shape, 1)

    def lists(self, outputs: Any) -> tf.Tensor:
        """Return the scores as lists, float32 `[lists, L]`."""
        one = self.layout(outputs).sites[1:] in ([], [1])
        scores = as_float32(outputs)
        return tf.reshape(scores, [1, -1]) if one else scores

    def logits(self, outputs: Any) -> tf.Tensor:
        """Return the scores `[lists, L, 1]`: one number for each item."""
        return tf.expand_dims(self.lists(outputs), -1)

    def truth(self, y_true: Any, outputs: Any) -> Truth:
        """Read the truth, as float32 `[lists, L]`.

        Raises:
            ValueError: its shape is not that of the outputs.
        """
        outputs = numeric("outputs", outputs)
        y_true, sites = numeric("y_true", y_true), self.layout(outputs).sites
        alike = y_true.shape.is_compatible_with(sites)
        columns = [1] if sites.rank == 1 else []
        if not alike and not (
            sites[1:] in ([], [1]) and y_true.shape.is_compatible_with([sites[0], *columns])
        ):
            raise ValueError(
                f"y_true of shape {y_true.shape} does not fit scores of shape {outputs.shape}: a "
                "ranking has one score for each item. For one list, the batch, end the network "
                "with Dense(1) and give y_true [B]; for lists give outputs and y_true of shape "
                "[B, L], and padded items sample_weight 0."
            )
        values = self.lists(y_true)
        fine = tf.math.is_finite(values) & (values >= 0.0)
        if not self.graded:
            fine &= (values == 0.0) | (values == 1.0)
        return Truth(tf.where(fine, values, 0.0), ~fine)

    def truth_in_words(self, num_classes: int) -> str:
        del num_classes
        if self.graded:
            return "grades, finite numbers of 0 or more. Padded items need sample_weight 0"
        return (
            "0 and 1, since the reward knows no grades: binarize them, for example y_true > 0, or "
            'use "ndcg@10". Padded items need sample_weight 0'
        )

    def predict(self, outputs: Any) -> tf.Tensor:
        """Return the likeliest order, the items' numbers from the best down, int32 `[lists, L]`."""
        return tf.argsort(self.lists(outputs), direction="DESCENDING", stable=True)

    def log_prob(self, outputs: Any, order: Any) -> tf.Tensor:
        """Return log pi of orders `[lists, L]`, items' numbers from the best down: `[lists]`."""
        scores = tf.gather(self.lists(outputs), tf.cast(order, tf.int32), axis=-1, batch_dims=1)
        rest = tf.math.cumulative_logsumexp(scores, axis=-1, reverse=True)
        return tf.reduce_sum(scores - rest, axis=-1)

    def distribution(self, outputs: Any) -> Any:
        """Return TFP's distribution of orders, one for each list."""
        scores = self.lists(outputs)
        best = tf.reduce_max(scores, axis=-1, keepdims=True)
        return tfp.distributions().PlackettLuce(scores=tf.exp(scores - best))
