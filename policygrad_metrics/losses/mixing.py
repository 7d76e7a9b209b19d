"""What is mixed into the expected reward: cross-entropy, weighed by class, and entropy.

Values and gradients are returned together, as those of the expected reward are: they share its
probabilities.
"""

from __future__ import annotations

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor, log_softmax, softmax
from policygrad_metrics.core.global_batch import over_replicas, replicas
from policygrad_metrics.estimators import Estimate

#: Worths are cut at this many times the mean site and at its inverse, then brought to mean one.
MOST = 20.0


def cross_entropy(batch: Batch, site_weights: Tensor, answered: bool) -> Estimate:
    """The mean over sites of `-w log p(y)`, and its gradient `share w (p - [y])`.

    Args:
        batch: labels, logits and weights.
        site_weights: w, `[N, C]`, or 1.0 if all weigh alike.
        answered: whether the last label means "no answer", which the truth never is.
    """
    logits = batch.logits[..., :-1] if answered else batch.logits
    truth = tf.one_hot(batch.y_true, logits.shape[-1])
    lost = -tf.reduce_sum(truth * log_softmax(logits), axis=-1)
    return _mean(batch, site_weights, lost, softmax(logits) - truth)


def minus_entropy(batch: Batch, answered: bool) -> Estimate:
    """The mean over sites of `sum_k p_k log p_k`, and its gradient.

        share p_k (log p_k - sum_j p_j log p_j)

    Arguments as for `cross_entropy`.
    """
    logits = batch.logits[..., :-1] if answered else batch.logits
    p, log_p = softmax(logits), log_softmax(logits)
    mean = tf.reduce_sum(p * log_p, axis=-1)
    return _mean(batch, 1.0, mean, p * (log_p - tf.expand_dims(mean, -1)))


def _mean(batch, site_weights, values, slopes):
    """The mean of the sites' values `[N, C]`, and its gradient from theirs, `[N, C, K]`."""
    if batch.weighted or replicas() > 1:
        total = over_replicas(tf.reduce_sum(batch.weight))
        share = site_weights * tf.math.divide_no_nan(batch.weight, total)
    else:
        share = site_weights / tf.cast(tf.size(values), tf.float32) * tf.ones([1, 1])
    slope = tf.expand_dims(share, -1) * slopes
    if slope.shape[-1] < batch.num_classes:  # the logit of "no answer" has no part in it
        slope = tf.pad(slope, [[0, 0], [0, 0], [0, 1]])
    return Estimate(over_replicas(tf.reduce_sum(share * values)), slope)


def reward_weights(batch: Batch, gradient: Tensor) -> Tensor:
    """Weights of the sites, those of a class alike and 1 in the mean of the batch, `[N, C]`.

        w_k = sum_{i: y_i = k} dE[R] / dlogit_i[k]  /  sum_{i: y_i = k} dE[accuracy] / dlogit_i[k]

    Over labels drawn from the policy, w_k [a = k] is the least-squares fit to what a label a does
    to the reward at the sites of class k: w is the weighted accuracy that comes nearest to the
    reward at the present policy. Of two classes it is the reward, up to 1 / batch: cross-entropy
    with these weights has its best decision where the reward has it (for F1 at a probability of
    F1 / 2), not at one half, as long as no weight is cut at `MOST`. Of more classes it leaves out
    which wrong label is given, for which a reward has prices too (Parambath, Usunier, Grandvalet
    2014). A class whose right labels are worth nothing to the reward (the negatives of recall)
    gets the least weight; without any gradient all weigh alike.

    Args:
        batch: labels, logits and weights.
        gradient: of the expected reward with respect to the logits, `[N, C, K]`.
    """
    C, K = batch.columns, batch.num_classes
    probs = softmax(batch.logits)

    def at_truth(x):
        return tf.gather(x, batch.y_true, batch_dims=2)

    # Of a site that is all but decided 1 - p would be rounding: the others are added up.
    others = tf.reduce_sum((1.0 - tf.one_hot(batch.y_true, K)) * probs, axis=-1)
    of_accuracy = at_truth(probs) * others * batch.weight
    per_site = tf.stack([at_truth(gradient), of_accuracy, batch.weight], axis=-1)
    # Each label column of several is a problem of its own.
    kind = batch.y_true + K * tf.range(C)
    sums = over_replicas(tf.math.unsorted_segment_sum(per_site, kind, C * K))
    gained, accuracy, count = tf.unstack(sums, axis=-1)
    worth = tf.math.divide_no_nan(tf.maximum(gained, 0.0), accuracy)
    weighed, total = tf.reduce_sum(worth * count), tf.reduce_sum(count)
    worth = tf.clip_by_value(tf.math.divide_no_nan(worth * total, weighed), 1.0 / MOST, MOST)
    mean = tf.math.divide_no_nan(tf.reduce_sum(worth * count), total)
    return tf.stop_gradient(tf.gather(tf.math.divide_no_nan(worth, mean), kind))
