"""What the right label of a class is worth to a reward, as weights of a cross-entropy (floor 2)."""

from __future__ import annotations

import tensorflow as tf

from policygrad_metrics.estimators.base import policy_gradient
from policygrad_metrics.global_batch import over_replicas
from policygrad_metrics.site_batch import SiteBatch
from policygrad_metrics.sites import Tensor

#: No class is worth more than this many times the mean site, or less than its inverse.
MOST = 20.0


def class_worth(batch: SiteBatch, gradient: Tensor) -> Tensor:
    """Weights of the sites, those of a class alike and 1 in the mean of the batch, `[*sites]`.

        w_k = sum_{i: y_i = k} dE[R] / dlogit_i[k]  /  sum_{i: y_i = k} dE[accuracy] / dlogit_i[k]

    Near the present policy a reward that is a function of each class's hits and predictions is
    a weighted accuracy, of these weights, plus a price for each predicted class (Parambath,
    Usunier, Grandvalet 2014). Of two classes nothing else is left: cross-entropy with these
    weights has its best decision where the reward has it (for F1 at a probability of F1 / 2),
    not at one half. A class whose right labels are worth nothing to the reward (the negatives of
    recall) gets the least weight that is allowed; without any gradient all weigh alike.

    Args:
        batch: labels, logits and weights.
        gradient: of the expected reward with respect to the logits, `[*sites, K]`.
    """
    K = batch.num_classes
    truth = tf.one_hot(batch.labels, K)
    shares = tf.ones_like(batch.labels, tf.float32) if batch.weight is None else batch.weight
    of_accuracy = policy_gradient(tf.nn.softmax(batch.logits), truth) * shares[..., None]
    # Each label column of several is a problem of its own.
    axes = list(range(batch.labels.shape.rank - batch.multilabel))
    gained, accuracy, count = over_replicas(
        [tf.reduce_sum(truth * x, axes) for x in (gradient, of_accuracy, shares[..., None])]
    )

    def of_mean_one(weights):
        mean = tf.math.divide_no_nan(tf.reduce_sum(weights * count), tf.reduce_sum(count))
        return tf.math.divide_no_nan(weights, mean)

    worth = of_mean_one(tf.math.divide_no_nan(tf.maximum(gained, 0.0), accuracy))
    worth = of_mean_one(tf.clip_by_value(worth, 1.0 / MOST, MOST))
    return tf.stop_gradient(tf.reduce_sum(truth * worth, axis=-1))
