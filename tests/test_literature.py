"""The literature's estimators: unbiased by enumeration, or with their bias measured."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from test_estimators import TOLERANCE, all_label_sets, blackbox, chances, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.estimators.literature import LITERATURE
from policygrad_metrics.estimators.literature.antithetic import antithetic_labels

REWARDS = [
    pytest.param(pgm.get_reward("f1_macro"), 3, id="f1_macro"),
    pytest.param(pgm.get_reward("matthews_corrcoef"), 2, id="matthews"),
    pytest.param(pgm.get_reward("worst_class_recall"), 3, id="worst_class_recall"),
    pytest.param(pgm.get_reward("cohen_kappa_quadratic"), 3, id="quadratic_kappa"),
    pytest.param(pgm.BlackBox(blackbox), 2, id="black-box"),
]


def weighted_sum(weights, estimates):
    """Sum over `(weight, Estimate)`, in float64."""
    value = sum(w * float(e.value) for w, e in zip(weights, estimates, strict=True))
    gradient = sum(
        w * e.gradient.numpy().astype(np.float64) for w, e in zip(weights, estimates, strict=True)
    )
    return value, gradient


def assert_is_the_truth(found, reward, logits, y_true):
    value, gradient = slow_truth(reward, logits, y_true)
    scale = max(1.0, float(np.abs(gradient).max()))
    np.testing.assert_allclose(found[0], value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-5, atol=TOLERANCE * scale)


def is_black_box(reward):
    return isinstance(reward, pgm.BlackBox)


@pytest.mark.parametrize(("reward", "K"), REWARDS)
@pytest.mark.parametrize(
    ("name", "samples"), [("coma", 1), ("difference_rewards", 1), ("muprop", 1), ("muprop", 2)]
)
def test_independent_samples_are_unbiased(name, samples, reward, K):
    if is_black_box(reward):
        pytest.skip("its errors are tested below")
    logits, y_true = problem((2,), K)
    labels = all_label_sets((2,), K)
    chance = chances(logits, labels)
    estimator = pgm.get_estimator(name, samples=samples)
    tuples = list(itertools.product(range(len(labels)), repeat=samples))
    found = weighted_sum(
        [np.prod(chance[list(t)]) for t in tuples],
        [estimator.from_labels(logits, reward, y_true, labels[list(t)]) for t in tuples],
    )
    assert_is_the_truth(found, reward, logits, y_true)


def antithetic_cells(p):
    """Where the pair (label of u, label of 1 - u) is constant: lengths and midpoints."""
    edges = np.unique(np.concatenate([[0.0, 1.0], np.cumsum(p)[:-1], 1.0 - np.cumsum(p)[:-1]]))
    return np.diff(edges), (edges[1:] + edges[:-1]) / 2


@pytest.mark.parametrize(("reward", "K"), REWARDS)
@pytest.mark.parametrize("name", ["antithetic", "disarm"])
def test_antithetic_pairs_are_unbiased(name, reward, K):
    if name == "disarm":
        K = 2
    logits, y_true = problem((2,), K)
    probs = tf.nn.softmax(tf.cast(logits, tf.float64)).numpy()
    lengths, middles = zip(*(antithetic_cells(p) for p in probs), strict=True)
    uniform = np.array(list(itertools.product(*middles)), np.float32)[:, None, :, None]
    weights = [np.prod(w) for w in itertools.product(*lengths)]
    policy = tf.nn.softmax(logits)[:, None, :]
    pairs = [antithetic_labels(policy, tf.constant(u)).numpy()[..., 0] for u in uniform]
    estimator = pgm.get_estimator(name, samples=2)
    found = weighted_sum(
        weights, [estimator.from_labels(logits, reward, y_true, pair) for pair in pairs]
    )
    assert_is_the_truth(found, reward, logits, y_true)
    # Two pairs: the baseline is the other pair's.
    if K == 2:
        both = list(itertools.product(range(len(pairs)), repeat=2))
        estimator = pgm.get_estimator(name, samples=4)
        sets = [np.stack([pairs[i][0], pairs[j][0], pairs[i][1], pairs[j][1]]) for i, j in both]
        found = weighted_sum(
            [weights[i] * weights[j] for i, j in both],
            [estimator.from_labels(logits, reward, y_true, four) for four in sets],
        )
        assert_is_the_truth(found, reward, logits, y_true)


def relative_bias(name, reward, logits, y_true):
    """|E[gradient] - truth| / |truth|, by enumeration."""
    labels = all_label_sets(y_true.shape, logits.shape[-1])
    estimator = pgm.get_estimator(name, samples=1)
    found = weighted_sum(
        chances(logits, labels),
        [estimator.from_labels(logits, reward, y_true, one[None]) for one in labels],
    )
    _, gradient = slow_truth(reward, logits, y_true)
    return np.linalg.norm(found[1] - gradient) / np.linalg.norm(gradient)


def test_straight_through_is_biased_and_less_so_in_larger_batches():
    f1, accuracy = pgm.get_reward("f1_macro"), pgm.get_reward("accuracy")
    small, large = (relative_bias("straight_through", f1, *problem((n,), 2)) for n in (2, 8))
    assert 0.1 < small < 0.5
    assert 0.02 < large < 0.1  # a flip and an infinitesimal change differ by O(1/B)
    # Where the reward is linear in the labels a slope is a flip.
    assert relative_bias("straight_through", accuracy, *problem((4,), 2)) < TOLERANCE


@pytest.mark.parametrize("name", sorted(LITERATURE))
def test_same_seed_same_gradient_and_docstrings_tell_the_cost(name):
    estimator, reward = pgm.get_estimator(name), pgm.get_reward("f1")
    logits, y_true = problem((6,), 2)
    first, second, other = (estimator(logits, reward, y_true, seed=s).gradient for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other, atol=1e-5)
    text = " ".join(estimator.__doc__.split())
    assert "Cost: " in text
    assert ("Biased: " in text) != estimator.unbiased


def test_errors_name_the_way_out():
    logits, y_true = problem((3,), 3)
    f1, box = pgm.get_reward("f1_macro"), pgm.BlackBox(blackbox)
    with pytest.raises(TypeError, match=r"two classes; there are K=3.*antithetic"):
        pgm.get_estimator("disarm")(logits, f1, y_true, seed=0)
    for name in ("coma", "difference_rewards"):
        with pytest.raises(TypeError, match=r"black box 'blackbox'.*reinforce"):
            pgm.get_estimator(name)(logits, box, y_true, seed=0)
    for name in ("muprop", "straight_through"):
        with pytest.raises(TypeError, match=r"soft labels.*'blackbox'.*relax"):
            pgm.get_estimator(name)(logits, box, y_true, seed=0)
    with pytest.raises(ValueError, match="multiple of 2; it is 3"):
        pgm.get_estimator("antithetic", samples=3)
    with pytest.raises(ValueError, match="did you mean 'antithetic'"):
        pgm.get_estimator("antithetics")
