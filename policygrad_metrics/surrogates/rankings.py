"""Differentiable losses of rankings: pure functions of lists of scores.

One signature: `surrogate(scores, y_true, weight, **hyperparameters) -> scalar loss to minimise`.

| argument | shape | meaning |
| --- | --- | --- |
| `scores` | float `[N, L]` | N lists of L items; a batch that is one list is `[1, B]` |
| `y_true` | `[N, L]` | how relevant each item is, >= 0; 0 and 1 for average precision |
| `weight` | float `[N, L]` | all ones if there are none; 0 leaves an item out, 2 counts it twice |

The loss is the mean over the lists in which something can be ranked; without any it is 0, with a
zero gradient. Memory is N L^2 for those that compare pairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from policygrad_metrics.surrogates._canonical import as_dtype, check_positive, floating, ratio


class _Lists(NamedTuple):
    scores: Any
    relevance: Any
    weight: Any


def pairwise_logistic(scores: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """Mean logistic loss of all pairs of which one item is more relevant (RankNet).

        sum_{y_i > y_j} w_i w_j log(1 + exp(s_j - s_i)) / sum_{y_i > y_j} w_i w_j

    (Burges et al. 2005, "Learning to rank using gradient descent".)

    Returns:
        Scalar loss, in nats.

    >>> loss = pairwise_logistic([[0.0, 0.0, 0.0]], [[1, 0, 0]], [[1.0, 1.0, 1.0]])
    >>> print(f"{float(loss):.3f}")
    0.693
    """
    lists = _read(scores, y_true, weight)
    better = tf.cast(_pairs(lists.relevance) > 0, lists.scores.dtype)
    pairs = better * lists.weight[:, :, tf.newaxis] * lists.weight[:, tf.newaxis, :]
    losses = tf.nn.softplus(-_pairs(lists.scores))
    total = tf.reduce_sum(pairs, axis=(1, 2))
    return _mean(tf.reduce_sum(pairs * losses, axis=(1, 2)), total, total > 0)


def listnet(scores: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """Cross-entropy between the shares of relevance and the chances of being ranked first.

        -sum_i (w_i y_i / sum_j w_j y_j) log(exp(s_i) / sum_j w_j exp(s_j))

    (Cao, Qin, Liu, Tsai, Li 2007, "Learning to rank: from pairwise approach to listwise approach",
    with the relevance itself in place of its exponential: among thousands of irrelevant items the
    exponential would leave the relevant ones nothing.)

    Returns:
        Scalar loss, in nats.

    >>> loss = listnet([[0.0, 0.0, 0.0, 0.0]], [[1, 0, 0, 0]], [[1.0, 1.0, 1.0, 1.0]])
    >>> print(f"{float(loss):.3f}")  # log 4
    1.386
    """
    lists = _read(scores, y_true, weight)
    share = lists.weight * lists.relevance
    total = tf.reduce_sum(share, axis=1)
    log_first = lists.scores - tf.reduce_logsumexp(_weighted(lists), axis=1, keepdims=True)
    return _mean(-tf.reduce_sum(share * log_first, axis=1), total, total > 0)


def listmle(scores: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """Negative log-likelihood of the true order under Plackett-Luce, per item.

        sum_r w_(r) (log sum_{q >= r} w_(q) exp(s_(q)) - s_(r)) / sum_r w_(r)

    with (1), (2), ... from the most relevant item to the least; items of one relevance stay in
    the order of the batch (Xia, Liu, Wang, Zhang, Li 2008, "Listwise approach to learning to
    rank"). Relevance 0 is not ordered: the last sum is over relevant items only.

    Returns:
        Scalar loss, in nats.

    >>> loss = listmle([[0.0, 0.0, 0.0]], [[2, 1, 0]], [[1.0, 1.0, 1.0]])
    >>> print(f"{float(loss):.3f}")  # (log 3 + log 2) / 2
    0.896
    """
    lists = _read(scores, y_true, weight)
    order = tf.argsort(lists.relevance, axis=1, direction="ASCENDING", stable=True)
    after = tf.math.cumulative_logsumexp(tf.gather(_weighted(lists), order, batch_dims=1), axis=1)
    relevant = tf.where(lists.relevance > 0, lists.weight, 0.0)
    counted, score = (tf.gather(v, order, batch_dims=1) for v in (relevant, lists.scores))
    total = tf.reduce_sum(counted, axis=1)
    # An item of weight 0 may stand before all others: its sum is empty, its logarithm -inf.
    surprise = tf.where(counted > 0, after - score, 0.0)
    return _mean(tf.reduce_sum(counted * surprise, axis=1), total, total > 0)


def approx_ndcg(scores: Any, y_true: Any, weight: Any, *, temperature: Any = 1.0) -> tf.Tensor:
    """One minus NDCG at ranks made of sigmoids.

        rank_i = 1/2 + sum_j w_j sigmoid((s_j - s_i) / temperature)   (j = i gives the other half)
        1 - sum_i w_i (2^y_i - 1) / log2(1 + rank_i) / ideal

    (Qin, Liu, Li 2010, "A general approximation framework for direct optimization of information
    retrieval measures".) `ideal` is the same sum at the ranks by relevance.

    Args:
        temperature: width of the sigmoids, > 0, in units of the scores.

    Returns:
        Scalar loss in [0, 1].

    >>> loss = approx_ndcg([[9.0, 0.0, -9.0]], [[2, 1, 0]], [[1.0, 1.0, 1.0]])
    >>> print(f"{float(loss):.3f}")
    0.000
    """
    check_positive("temperature", temperature)
    lists = _read(scores, y_true, weight)
    gain = lists.weight * (2.0**lists.relevance - 1.0)
    order = tf.argsort(lists.relevance, axis=1, direction="DESCENDING", stable=True)
    sorted_weight = tf.gather(lists.weight, order, batch_dims=1)
    rank = tf.cumsum(sorted_weight, axis=1) - (sorted_weight - 1.0) / 2.0
    ideal = tf.reduce_sum(tf.gather(gain, order, batch_dims=1) / _log2(1.0 + rank), axis=1)
    before = _before(lists, temperature)
    found = tf.reduce_sum(gain / _log2(1.5 + tf.reduce_sum(before, axis=2)), axis=1)
    return _mean(ideal - found, ideal, ideal > 0)


def smooth_ap(scores: Any, y_true: Any, weight: Any, *, temperature: Any = 1.0) -> tf.Tensor:
    """One minus average precision, with ranks made of sigmoids.

        rank_i(S) = 1/2 + sum_{j in S} w_j sigmoid((s_j - s_i) / temperature)
        1 - sum_{y_i = 1} w_i rank_i(relevant) / rank_i(all) / sum_{y_i = 1} w_i

    (Brown, Xie, Kalogeiton, Zisserman 2020, "Smooth-AP"; for j = i the sigmoid is the other
    half of the item's own place.) Relevance above 0 counts as 1.

    Args:
        temperature: width of the sigmoids, > 0, in units of the scores.

    Returns:
        Scalar loss in [0, 1].

    >>> loss = smooth_ap([[0.0, 0.0]], [[1, 0]], [[1.0, 1.0]])
    >>> print(f"{float(loss):.3f}")  # 1 - 1 / 1.5
    0.333
    """
    check_positive("temperature", temperature)
    lists = _read(scores, y_true, weight)
    relevant = tf.cast(lists.relevance > 0, lists.scores.dtype)
    before = _before(lists, temperature)
    hits = 0.5 + tf.reduce_sum(before * relevant[:, tf.newaxis, :], axis=2)
    precision = hits / (0.5 + tf.reduce_sum(before, axis=2))
    counted = lists.weight * relevant
    total = tf.reduce_sum(counted, axis=1)
    return _mean(tf.reduce_sum(counted * (1.0 - precision), axis=1), total, total > 0)


def auc_margin(scores: Any, y_true: Any, weight: Any, *, margin: Any = 1.0) -> tf.Tensor:
    """The squared margin loss of ROC-AUC, on sigmoids p of the scores.

        Var(p | relevant) + Var(p | others) + max(0, margin + E[p | others] - E[p | relevant])^2

    (Yuan, Yan, Sonka, Yang 2021, "Large-scale robust deep AUC maximization"; the loss of LibAUC.
    There the two means and the multiplier of the margin are learnt beside the network; here each
    list has its own best ones.) Relevance above 0 counts as 1. Memory is N L.

    Args:
        margin: how far the means are to lie apart, > 0; sigmoids are at most 1 apart.

    Returns:
        Scalar loss.

    >>> loss = auc_margin([[0.0, 0.0]], [[1, 0]], [[1.0, 1.0]])
    >>> print(f"{float(loss):.3f}")
    1.000
    """
    check_positive("margin", margin)
    lists = _read(scores, y_true, weight)
    chance = tf.sigmoid(lists.scores)
    relevant = tf.cast(lists.relevance > 0, chance.dtype)
    high, high_spread, some_high = _moments(chance, lists.weight * relevant)
    low, low_spread, some_low = _moments(chance, lists.weight * (1.0 - relevant))
    short = tf.nn.relu(as_dtype(margin, chance.dtype) + low - high)
    losses = high_spread + low_spread + tf.square(short)
    return _mean(losses, tf.ones_like(losses), some_high & some_low)


def _read(scores: Any, y_true: Any, weight: Any) -> _Lists:
    scores = floating("scores", scores)
    lists = _Lists(scores, as_dtype(y_true, scores.dtype), as_dtype(weight, scores.dtype))
    for argument, value in zip(("scores", "y_true", "weight"), lists, strict=True):
        if value.shape.rank != 2 or not value.shape.is_compatible_with(scores.shape):
            raise ValueError(
                f"{argument} must be lists [N, L] like the scores, got {value.shape}; "
                "reshape a batch [B] that is one list to [1, B]."
            )
    return lists


def _moments(values: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Mean and variance of each list, and whether it has any, `[N]` each."""
    total = tf.reduce_sum(weight, axis=1)
    mean = ratio(tf.reduce_sum(weight * values, axis=1), total, total > 0)
    squares = weight * tf.square(values - mean[:, tf.newaxis])
    return mean, ratio(tf.reduce_sum(squares, axis=1), total, total > 0), total > 0


def _pairs(values: Any) -> Any:
    """`values_i - values_j`, `[N, L, L]`."""
    return values[:, :, tf.newaxis] - values[:, tf.newaxis, :]


def _before(lists: _Lists, temperature: Any) -> Any:
    """How far item j stands before item i, times its weight: `[N, L (i), L (j)]`."""
    width = as_dtype(temperature, lists.scores.dtype)
    return lists.weight[:, tf.newaxis, :] * tf.sigmoid(-_pairs(lists.scores) / width)


def _weighted(lists: _Lists) -> Any:
    """`s + log w`, where an item of weight 0 is so low that it adds nothing to a sum."""
    positive = lists.weight > 0
    log_weight = tf.math.log(tf.where(positive, lists.weight, 1.0))
    return tf.where(positive, lists.scores + log_weight, lists.scores.dtype.min / 2)


def _log2(values: Any) -> Any:
    return tf.math.log(values) / tf.math.log(as_dtype(2.0, values.dtype))


def _mean(losses: Any, totals: Any, defined: Any) -> Any:
    """The mean of `losses / totals` over the lists for which it is defined, 0 without any."""
    each = ratio(losses, totals, defined)
    number = tf.reduce_sum(tf.cast(defined, each.dtype))
    return ratio(tf.reduce_sum(each), number, number > 0)


#: The ranking losses by name.
RANKING_SURROGATES = {
    "pairwise_logistic": pairwise_logistic,
    "listnet": listnet,
    "listmle": listmle,
    "approx_ndcg": approx_ndcg,
    "smooth_ap": smooth_ap,
    "auc_margin": auc_margin,
}
