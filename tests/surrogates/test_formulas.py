"""Values of the surrogates against scikit-learn, scipy, Keras, slow definitions and papers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.utils.class_weight import compute_sample_weight
from surrogate_cases import TASKS, random_batch, value_and_gradient

import policygrad_metrics as pgm
from policygrad_metrics import surrogates
from policygrad_metrics.surrogates import SURROGATES

AVERAGE = {"binary": "binary", "multi_class": "macro", "multi_label": "macro"}


# ---------------------------------------------------------------- cross-entropies


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.25, 0.25, 0.25, 0.25], 1.386),
        ([0.1, 0.1, 0.7, 0.1], 2.303),
        ([0.1, 0.7, 0.1, 0.1], 0.357),
    ],
)
def test_cross_entropy_has_the_published_figures(probabilities, expected):
    logits = np.log(np.array(probabilities, np.float32))[None, None, :]
    value = surrogates.cross_entropy(logits, [[1]], [[1.0]])
    assert float(value) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("task", TASKS)
def test_cross_entropy_is_log_loss(task):
    logits, y_true, weight = random_batch(task, 0)
    K = TASKS[task][1]
    expected = metrics.log_loss(
        y_true.ravel(),
        scipy.special.softmax(logits, axis=-1).reshape(-1, K),
        sample_weight=weight.ravel(),
        labels=range(K),
    )
    value = surrogates.cross_entropy(logits, y_true, weight)
    assert float(value) == pytest.approx(expected, rel=1e-12)


def test_weighted_cross_entropy_is_log_loss_with_balanced_weights():
    logits, y_true, _ = random_batch("multi_class", 1, N=40)
    y_true[:25] = 0
    expected = metrics.log_loss(
        y_true[:, 0],
        scipy.special.softmax(logits[:, 0], axis=-1),
        sample_weight=compute_sample_weight("balanced", y_true[:, 0]),
    )
    value = surrogates.weighted_cross_entropy(logits, y_true, np.ones([40, 1]))
    assert float(value) == pytest.approx(expected, rel=1e-12)


def test_weighted_cross_entropy_takes_given_weights_per_class_and_per_column():
    logits, y_true, weight = random_batch("multi_label", 2)
    per_column = np.array([[1.0, 3.0], [2.0, 5.0], [0.5, 0.0]])
    log_p = np.log(scipy.special.softmax(logits, axis=-1))
    total = 0.0
    for i, c in np.ndindex(*y_true.shape):
        total -= weight[i, c] * per_column[c, y_true[i, c]] * log_p[i, c, y_true[i, c]]
    value = surrogates.weighted_cross_entropy(logits, y_true, weight, class_weight=per_column)
    assert float(value) == pytest.approx(total / weight.sum(), rel=1e-12)
    shared = surrogates.weighted_cross_entropy(logits, y_true, weight, class_weight=[2.0, 7.0])
    spread = surrogates.weighted_cross_entropy(
        logits, y_true, weight, class_weight=[[2.0, 7.0]] * 3
    )
    assert float(shared) == float(spread)


def test_focal_is_the_published_formula():
    logits, y_true, weight = random_batch("multi_class", 3)
    alpha, gamma = [0.2, 0.5, 1.0, 0.0], 1.5
    p = scipy.special.softmax(logits, axis=-1)
    total = 0.0
    for i in range(len(p)):
        p_true = p[i, 0, y_true[i, 0]]
        total -= weight[i, 0] * alpha[y_true[i, 0]] * (1 - p_true) ** gamma * np.log(p_true)
    value = surrogates.focal(logits, y_true, weight, gamma=gamma, alpha=alpha)
    assert float(value) == pytest.approx(total / weight.sum(), rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_is_keras_focal_at_mild_logits(gamma):
    logits, y_true, _ = random_batch("multi_class", 4, dtype=np.float32)
    one_hot = np.eye(4, dtype=np.float32)[y_true[:, 0]]
    expected = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, from_logits=True)
    value = surrogates.focal(logits, y_true, np.ones([9, 1], np.float32), gamma=gamma)
    # Keras takes 1 - p in float32: an error of 1e-7 in a (1 - p) of .01 or more, gamma times.
    assert float(value) == pytest.approx(float(expected(one_hot, logits[:, 0])), rel=1e-4)


def test_focal_is_keras_binary_focal_with_alpha():
    logits, y_true, _ = random_batch("binary", 5, dtype=np.float32)
    expected = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True
    )(y_true, logits[:, :, 1] - logits[:, :, 0])
    value = surrogates.focal(logits, y_true, np.ones([9, 1], np.float32), gamma=2.0, alpha=0.25)
    assert float(value) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("name", ["cross_entropy", "weighted_cross_entropy", "focal"])
@pytest.mark.parametrize("scale", [30.0, 1e4])
def test_hopeless_examples_keep_their_gradient(name, scale):
    logits = np.array([[[scale, -scale]], [[-scale, scale]]], np.float32)
    y_true = np.array([[1], [0]], np.int32)
    _, gradient = value_and_gradient(SURROGATES[name], logits, y_true, np.ones([2, 1], "f4"))
    # One per example for the sum, hence one half for the mean of two.
    np.testing.assert_array_equal(gradient, [[[0.5, -0.5]], [[-0.5, 0.5]]])


# ---------------------------------------------------------------- soft counts


def _expanded(score, y_true, soft, weight):
    """scikit-learn's score of pseudo-examples: each truth with every label, weighted by `soft`.

    The confusion matrix of these is the soft one, so no formula is repeated here.
    """
    N, K = soft.shape
    return score(
        np.repeat(y_true, K),
        np.tile(np.arange(K), N),
        sample_weight=(weight[:, None] * soft).ravel(),
    )


def _one_against_rest(score, task, y_true, soft, weight):
    """Mean of `score` over the problems that `average` means; `soft` is [N, C, K]."""
    if task == "binary":
        problems = [(y_true[:, 0] == 1, soft[:, 0, 1], weight[:, 0])]
    elif task == "multi_class":
        problems = [(y_true[:, 0] == k, soft[:, 0, k], weight[:, 0]) for k in range(soft.shape[2])]
    else:
        problems = [(y_true[:, c] == 1, soft[:, c, 1], weight[:, c]) for c in range(soft.shape[1])]
    return np.mean(
        [_expanded(score, t.astype(int), np.stack([1 - s, s], axis=1), w) for t, s, w in problems]
    )


def _f1(t, a, sample_weight):
    return metrics.f1_score(t, a, sample_weight=sample_weight, zero_division=0)


def _f2(t, a, sample_weight):
    return metrics.fbeta_score(t, a, beta=2, sample_weight=sample_weight, zero_division=0)


def _jaccard(t, a, sample_weight):
    return metrics.jaccard_score(t, a, sample_weight=sample_weight, zero_division=0)


def _mean_recall(t, a, sample_weight):
    keep = sample_weight > 0
    recalls = [
        metrics.recall_score(t, a, sample_weight=sample_weight, pos_label=k, zero_division=0)
        for k in np.unique(t[keep])
    ]
    return np.mean(recalls)


def _softmax(logits):
    return scipy.special.softmax(logits, axis=-1)


def _cosine_threshold(delta):
    return lambda logits: scipy.stats.cosine.cdf((_softmax(logits) - 0.5) * np.pi / delta)


def _logistic_threshold(L):
    return lambda logits: scipy.stats.logistic.cdf(_softmax(logits), loc=0.5, scale=1 / L)


def _tuned_sigmoid(beta, eta):
    return lambda logits: scipy.stats.logistic.cdf(
        scipy.special.logit(_softmax(logits)), loc=-eta, scale=1 / beta
    )


SOFT_COUNT_TWINS = [
    ("soft_f1", {}, _softmax, _f1),
    ("soft_fbeta", {"beta": 2.0}, _softmax, _f2),
    ("soft_jaccard", {}, _softmax, _jaccard),
    ("sol", {"delta": 0.1}, _cosine_threshold(0.1), _f1),
    ("sol", {"delta": 0.5, "score": "jaccard"}, _cosine_threshold(0.5), _jaccard),
    ("anyloss", {}, _logistic_threshold(73), _f1),
    (
        "anyloss",
        {"L": 5.0, "score": "accuracy"},
        _logistic_threshold(5),
        metrics.accuracy_score,
    ),
    ("anyloss", {"score": "balanced_accuracy"}, _logistic_threshold(73), _mean_recall),
    ("sigmoid_f1", {"beta": 3.0, "eta": -0.5}, _tuned_sigmoid(3, -0.5), _f1),
]


@pytest.mark.few(9)
@pytest.mark.parametrize(("name", "hyper", "soft_label", "score"), SOFT_COUNT_TWINS)
@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 7), zeros=st.booleans())
def test_soft_counts_are_scikit_learns_of_weighted_pseudo_examples(
    task, name, hyper, soft_label, score, seed, N, zeros
):
    logits, y_true, weight = random_batch(task, seed, N)
    if zeros:
        weight[1:] *= np.random.default_rng(seed).integers(2, size=[N - 1, 1])
    expected = 1 - _one_against_rest(score, task, y_true, soft_label(logits), weight)
    value = SURROGATES[name](logits, y_true, weight, **hyper, average=AVERAGE[task])
    assert float(value) == pytest.approx(expected, abs=1e-12)


@pytest.mark.few(1)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 8), K=st.integers(2, 6))
@pytest.mark.parametrize("weights", ["quadratic", "linear", "none"])
def test_soft_kappa_is_scikit_learns_of_weighted_pseudo_examples(weights, seed, N, K):
    rng = np.random.default_rng(seed)
    logits, y_true = rng.normal(size=[N, 1, K]), rng.integers(K, size=[N, 1])
    weight = rng.uniform(0.5, 2.0, size=[N, 1])

    def kappa(t, a, sample_weight):
        return metrics.cohen_kappa_score(
            t, a, weights=None if weights == "none" else weights, sample_weight=sample_weight
        )

    expected = 1 - _expanded(kappa, y_true[:, 0], _softmax(logits)[:, 0], weight[:, 0])
    value = surrogates.soft_kappa(logits, y_true, weight, weights=weights)
    assert float(value) == pytest.approx(expected, abs=1e-10)


def test_soft_kappa_of_several_columns_is_their_mean():
    logits, y_true, weight = random_batch("multi_label", 6)
    columns = [
        float(surrogates.soft_kappa(logits[:, [c]], y_true[:, [c]], weight[:, [c]]))
        for c in range(3)
    ]
    value = surrogates.soft_kappa(logits, y_true, weight)
    assert float(value) == pytest.approx(np.mean(columns), rel=1e-12)


def test_soft_f1_is_the_dice_formula():
    logits, y_true, weight = random_batch("binary", 7)
    p = 1 / (1 + np.exp(logits[:, 0, 0] - logits[:, 0, 1]))
    y, w = y_true[:, 0], weight[:, 0]
    expected = 1 - 2 * np.sum(w * y * p) / (np.sum(w * y) + np.sum(w * p))
    value = surrogates.soft_f1(logits, y_true, weight, average="binary")
    assert float(value) == pytest.approx(expected, rel=1e-12)


def test_double_soft_f1_is_the_mean_over_both_classes_of_every_column():
    logits, y_true, weight = random_batch("multi_label", 8)
    both = [
        float(surrogates.soft_f1(z, y, weight))
        for z, y in ((logits, y_true), (logits[:, :, ::-1], 1 - y_true))
    ]
    value = surrogates.double_soft_f1(logits, y_true, weight)
    assert float(value) == pytest.approx(np.mean(both), rel=1e-12)


def test_sigmoid_f1_at_its_defaults_is_soft_f1():
    batch = random_batch("multi_class", 9)
    assert float(surrogates.sigmoid_f1(*batch)) == pytest.approx(
        float(surrogates.soft_f1(*batch)), rel=1e-12
    )


HARD_TWINS = {
    "soft_f1": lambda t, a, **how: metrics.f1_score(t, a, zero_division=0, **how),
    "double_soft_f1": lambda t, a, **how: metrics.f1_score(t, a, zero_division=0, **how),
    "sol": lambda t, a, **how: metrics.f1_score(t, a, zero_division=0, **how),
    "anyloss": lambda t, a, **how: metrics.f1_score(t, a, zero_division=0, **how),
    "sigmoid_f1": lambda t, a, **how: metrics.f1_score(t, a, zero_division=0, **how),
    "soft_fbeta": lambda t, a, **how: metrics.fbeta_score(t, a, beta=1, zero_division=0, **how),
    "soft_jaccard": lambda t, a, **how: metrics.jaccard_score(t, a, zero_division=0, **how),
}


def _hard_batch(seed, K=3, N=12):
    rng = np.random.default_rng(seed)
    t, a = rng.integers(K, size=N), rng.integers(K, size=N)
    return t, a, 1e3 * np.eye(K, dtype=np.float32)[a][:, None, :]


@pytest.mark.parametrize("name", HARD_TWINS)
@pytest.mark.parametrize("seed", range(3))
def test_hard_predictions_give_one_minus_the_metric(name, seed):
    t, a, logits = _hard_batch(seed)
    value = SURROGATES[name](logits, t[:, None], np.ones([12, 1], np.float32))
    expected = 1 - HARD_TWINS[name](t, a, labels=range(3), average="macro")
    assert float(value) == pytest.approx(expected, abs=1e-6)
    if name == "double_soft_f1":
        return
    t, a, logits = _hard_batch(seed, K=2)
    value = SURROGATES[name](logits, t[:, None], np.ones([12, 1], np.float32), average="binary")
    assert float(value) == pytest.approx(1 - HARD_TWINS[name](t, a), abs=1e-6)


# ---------------------------------------------------------------- Lovasz


def _extension_by_level_sets(errors, truth, weight):
    """`integral over t of Delta({errors >= t})`: the Lovasz extension without any sorting."""

    def delta(wrong):
        return weight[wrong].sum() / weight[wrong | truth].sum()

    levels = np.unique(np.append(errors, 0.0))
    widths = np.diff(levels)
    return sum(
        width * delta(errors >= level) for width, level in zip(widths, levels[1:], strict=True)
    )


@pytest.mark.few(1)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 10), tied=st.booleans())
@pytest.mark.parametrize("task", TASKS)
def test_lovasz_softmax_is_the_integral_over_level_sets(task, seed, N, tied):
    logits, y_true, weight = random_batch(task, seed, N)
    if tied:
        logits = np.round(logits / 2)
    p = _softmax(logits)
    C, K = TASKS[task]
    classes = [(0, k) for k in range(K)] if task == "multi_class" else [(c, 1) for c in range(C)]
    present = []
    for c, k in classes:
        truth = y_true[:, c] == k
        if truth.any():
            present.append(
                _extension_by_level_sets(np.abs(truth - p[:, c, k]), truth, weight[:, c])
            )
    expected = np.mean(present) if present else 0.0
    value = surrogates.lovasz_softmax(logits, y_true, weight, average=AVERAGE[task])
    assert float(value) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 10))
def test_lovasz_hinge_is_the_integral_over_level_sets(seed, N):
    logits, y_true, weight = random_batch("multi_label", seed, N)
    margin = logits[:, :, 1] - logits[:, :, 0]
    present = []
    for c in range(3):
        truth = y_true[:, c] == 1
        if truth.any():
            hinge = np.maximum(0, 1 - np.where(truth, 1, -1) * margin[:, c])
            present.append(_extension_by_level_sets(hinge, truth, weight[:, c]))
    value = surrogates.lovasz_hinge(logits, y_true, weight)
    assert float(value) == pytest.approx(np.mean(present) if present else 0.0, abs=1e-11)


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_softmax_of_hard_predictions_is_one_minus_jaccard(seed):
    t, a, logits = _hard_batch(seed, K=4, N=9)
    value = surrogates.lovasz_softmax(logits, t[:, None], np.ones([9, 1], np.float32))
    expected = metrics.jaccard_score(t, a, labels=np.unique(t), average="macro")
    assert float(value) == pytest.approx(1 - expected, abs=1e-6)


def test_lovasz_keeps_its_digits_in_largerandom_batches():
    rng = np.random.default_rng(0)
    N = 50_000
    logits = rng.normal(size=[N, 1, 2]).astype(np.float32)
    y_true = (rng.random([N, 1]) < 0.02).astype(np.int32)
    results = []
    for dtype in (np.float32, np.float64):
        weight = np.ones([N, 1], dtype)
        results.append(
            value_and_gradient(surrogates.lovasz_softmax, logits.astype(dtype), y_true, weight)
        )
    (value, gradient), (value_64, gradient_64) = results
    assert float(value) == pytest.approx(float(value_64), rel=1e-5)
    error = np.linalg.norm(gradient.numpy() - gradient_64) / np.linalg.norm(gradient_64)
    # Rounding of p swaps a few neighbours in the order. Differences of neighbouring Jaccard losses
    # would be off by 6e-8 / (1 / 50_000) = 3e-3.
    assert error < 1e-4


# ---------------------------------------------------------------- ordered classes


def by_hand(name, p, y, alpha):
    """The loss of one example, from its formula."""
    K = len(p)
    distance = np.abs(np.arange(K) - y)
    soft = np.exp(-alpha * distance) / np.exp(-alpha * distance).sum()
    if name == "sord":
        return -(soft * np.log(p)).sum()
    if name == "slace":
        within = [p[distance <= distance[k]].sum() for k in range(K)]
        return -(soft * np.log(within)).sum()
    if name == "ranked_probability_score":
        return sum((p[: k + 1].sum() - (y <= k)) ** 2 for k in range(K - 1))
    wrong = distance > 0
    return -(distance[wrong] ** alpha * np.log(1 - p[wrong])).sum()


@pytest.mark.parametrize("name", ["sord", "oll", "cdw", "slace", "ranked_probability_score"])
@pytest.mark.parametrize("alpha", [None, 2.5])
def test_losses_of_ordered_classes_are_their_formulas(name, alpha):
    if alpha is None or name == "ranked_probability_score":
        given = {}
        alpha = {"sord": 1.0, "oll": 1.5, "cdw": 5.0, "slace": 1.0}.get(name, 1.0)
    else:
        given = {"alpha": alpha}
    logits, y_true, weight = random_batch("multi_class", 23)
    p = scipy.special.softmax(logits[:, 0], axis=-1)
    each = [by_hand(name, *pair, alpha) for pair in zip(p, y_true[:, 0], strict=True)]
    value = SURROGATES[name](logits, y_true, weight, **given)
    assert float(value) == pytest.approx(np.average(each, weights=weight[:, 0]), rel=1e-12)


def test_corn_is_binary_cross_entropy_of_each_task_on_the_examples_it_is_for():
    outputs, y_true, weight = random_batch("multi_class", 24)
    outputs = np.float32(outputs[:, 0, :3])  # K = 4 levels, 3 tasks
    losses, weights = [], []
    for i, k in np.ndindex(outputs.shape):
        if y_true[i, 0] >= k:
            sign = 1 if y_true[i, 0] > k else -1
            losses.append(np.log1p(np.exp(-sign * float(outputs[i, k]))))
            weights.append(weight[i, 0])
    loss = pgm.SurrogateLoss("corn", policy="continuation_ratio")
    value = loss(y_true[:, 0], outputs, sample_weight=weight[:, 0])
    assert float(value) == pytest.approx(np.average(losses, weights=weights), rel=1e-6)


def test_losses_of_ordered_classes_serve_keras_users():
    outputs = np.float32(np.log([[0.2, 0.3, 0.5]]))
    value = float(pgm.SurrogateLoss("oll", alpha=2.0)([0], outputs))
    assert value == pytest.approx(-np.log(0.7) - 4 * np.log(0.5), rel=1e-5)
