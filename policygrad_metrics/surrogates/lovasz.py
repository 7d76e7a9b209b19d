"""Lovasz losses: the tight convex extension of the Jaccard loss (Berman 2018).

The Jaccard loss of a class, as a function of the set M of its mislabelled examples, is
`Delta(M) = w(M) / w(P u M)`, P the class's true examples and w(.) the sum of weights. It is
submodular, so its Lovasz extension is convex in the vector of errors e and, with the errors sorted
downwards, is the sum of `e_(i) (Delta({1..i}) - Delta({1..i-1}))`.

The increments are formed without subtracting neighbouring Deltas, which in float32 would lose
three digits at ten thousand examples. With I the true weight still right and U = w(P u M):

    a true example:   Delta rises by w / U            (U is unchanged)
    a false example:  Delta rises by w I / (U (U - w))    (U after it)
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from policygrad_metrics.surrogates._canonical import (
    canonical,
    check_average,
    select,
    spread,
    weighted_mean,
)


def lovasz_softmax(logits: Any, y_true: Any, weight: Any, *, average: str = "macro") -> tf.Tensor:
    """Lovasz-softmax: the Jaccard loss's Lovasz extension at the errors of the probabilities.

    Mean over the present classes of `sum_i e_(i) dDelta_i`, `e_i = |[y_i = k] - p_i[k]|` (Berman,
    Triki, Blaschko 2018, "The Lovasz-softmax loss"). Classes without a true example are left out;
    if none is left the loss is 0. At hard predictions it is one minus the Jaccard index. At ties
    the gradient is one of the subgradients.

    Args:
        average: "binary", class 1 of one column of two classes; or "macro", over the classes of
            one column, or over class 1 of several columns.

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 9e3]], [[0.0, 9e3]], [[9e3, 0.0]]])
    >>> loss = lovasz_softmax(logits, [[1], [0], [0]], tf.ones([3, 1]), average="binary")
    >>> print(f"{float(loss):.3f}")  # intersection 1, union 2
    0.500
    """
    case = canonical(logits, y_true, weight)
    check_average(average, case.logits)
    p = select(tf.exp(tf.nn.log_softmax(case.logits)), average)
    truth = select(case.truth, average)
    # truth is 0 or 1: |truth - p|, with a gradient at p = truth too.
    errors = truth + (1 - 2 * truth) * p
    return _extension(errors, truth, select(spread(case.weight, case.truth), average))


def lovasz_hinge(logits: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """Lovasz hinge: the Jaccard loss's Lovasz extension at the hinge losses of class 1.

    `sum_i max(0, e_(i)) dDelta_i`, `e_i = 1 - s_i z_i`, z the log-odds of class 1 and s = +-1 the
    truth; mean over the columns with a true example (Yu, Blaschko 2015, "Learning submodular
    losses with the Lovasz hinge"; Berman 2018). Its gradient does not fade for hopeless examples.
    For two classes only.

    Returns:
        Scalar loss, >= 0.

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 2.0]], [[0.0, 0.5]]])
    >>> print(float(lovasz_hinge(logits, [[1], [0]], tf.ones([2, 1]))))  # 1.5 * 1/2 + 0 * 1/2
    0.75
    """
    case = canonical(logits, y_true, weight)
    if case.logits.shape[2] != 2:
        raise ValueError(
            f"logits must have K=2 classes for lovasz_hinge, got K={case.logits.shape[2]}; "
            "use lovasz_softmax."
        )
    log_odds = case.logits[:, :, 1] - case.logits[:, :, 0]
    truth = case.truth[:, :, 1]
    return _extension(tf.nn.relu(1 + (1 - 2 * truth) * log_odds), truth, case.weight)


def _extension(errors: Any, truth: Any, weight: Any) -> tf.Tensor:
    """Mean over the present columns of the extension at `errors`; all arguments `[N, M]`."""
    rows = [tf.transpose(values) for values in (errors, truth, weight)]
    # The increments are constants: brought back to the examples' order, nothing but `errors` is
    # differentiated, and no gradient has to pass through the sorting.
    order = tf.argsort(tf.stop_gradient(rows[0]), axis=-1, direction="DESCENDING", stable=True)
    sorted_truth = tf.gather(rows[1], order, batch_dims=1)
    sorted_weight = tf.gather(rows[2], order, batch_dims=1)
    true_weight = sorted_weight * sorted_truth
    false_weight = sorted_weight - true_weight
    positives = tf.reduce_sum(true_weight, axis=-1)
    present = positives > 0
    right = tf.cumsum(true_weight, axis=-1, exclusive=True, reverse=True)
    union_before = tf.where(present, positives, 1)[:, tf.newaxis] + tf.cumsum(
        false_weight, axis=-1, exclusive=True
    )
    union = union_before + false_weight
    increments = (true_weight + false_weight * right / union_before) / union
    increments = tf.gather(increments, tf.argsort(order, axis=-1), batch_dims=1)
    extension = tf.reduce_sum(rows[0] * tf.stop_gradient(increments), axis=-1)
    return weighted_mean(extension, tf.cast(present, errors.dtype))
