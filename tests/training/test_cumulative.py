"""Cumulative links in the comparisons: the same losses through thresholds."""

import types

import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.study import train
from policygrad_metrics.study.comparison import compare, plan
from policygrad_metrics.study.methods import METHODS, TaskInfo
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.training import Network, Replica, train_replicas
from policygrad_metrics.training.cumulative import LEVELS, LevelLogProbabilities

K = 4
DIRECT = {
    "cumulative_link": lambda link: pgm.SurrogateLoss("cross_entropy", policy=link),
    "cumulative_link_policy_gradient": lambda link: pgm.PolicyGradientLoss("exact_bin", link),
}


def levels(N=150):
    """Levels of a hidden scale that three columns tell with noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3)).astype(np.float32)
    hidden = x @ np.array([2.0, -1.0, 0.0]) + 0.3 * rng.normal(size=N)
    return x, np.digitize(hidden, [-1.5, 0.0, 1.5])


def loss_of(name):
    y = levels()[1]
    assert METHODS[name].levels == "cumulative_link"
    return METHODS[name].loss(TaskInfo.of("ordinal", "exact_bin", y, K))


@pytest.mark.parametrize("name", DIRECT)
def test_value_and_gradient_are_those_of_the_policy(name):
    y = levels()[1][:40]
    thresholds = tf.Variable(np.random.default_rng(1).normal(size=(40, K - 1)).astype(np.float32))
    found = []
    for loss in (
        lambda: loss_of(name)(y, LevelLogProbabilities()(thresholds)),
        lambda: DIRECT[name](pgm.policies.CumulativeLink())(y, thresholds),
    ):
        with tf.GradientTape() as tape:
            value = loss()
        found.append((value, tape.gradient(value, thresholds)))
    (value, gradient), (direct, direct_gradient) = found
    np.testing.assert_allclose(value, direct, rtol=1e-5)
    # Sums of K terms of float32, each at most 1 / 40.
    np.testing.assert_allclose(gradient, direct_gradient, atol=1e-6)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", DIRECT)
def test_it_learns_ordered_levels(name):
    x, y = levels()
    parts = types.SimpleNamespace(
        x_train=x[:100], y_train=y[:100], x_valid=x[100:], y_valid=y[100:], x_test=x[100:]
    )
    loss = loss_of(name)
    (run,) = train_replicas(
        Network((8,), levels="cumulative_link"),
        lambda hyper: loss,
        "exact_bin",
        "ordinal",
        parts,
        [Replica(0, 0.03)],
        epochs=40,
        batch_size=50,
        num_classes=K,
    )
    np.testing.assert_allclose(np.exp(run.test_outputs).sum(axis=1), 1.0, atol=1e-5)
    # The most frequent level has about a third; noise of .3 beside edges 1.5 apart leaves ~ .85.
    assert np.mean(run.test_outputs.argmax(axis=1) == y[100:]) > 0.7


@pytest.mark.parametrize("name", ["cross_entropy", *DIRECT])
def test_the_comparison_gives_it_a_network_of_thresholds(name, tmp_path, monkeypatch):
    class SeenError(Exception):
        pass

    def see(network, *args, **options):
        raise SeenError(network)

    monkeypatch.setattr(train, "train_replicas", see)
    asked = StudySettings(data=("diabetes_levels",), methods=(name,), hidden=(8,))
    with pytest.raises(SeenError) as seen:
        compare(asked, plan(asked, asked.datasets()), tmp_path)
    assert seen.value.args == (Network((8,), levels="cumulative_link" if name in DIRECT else None),)


@pytest.mark.parametrize("levels", [None, *LEVELS])
def test_kernels_are_those_that_the_network_starts_with(levels):
    network = Network((8, 5), levels=levels)
    built = [v.numpy() for v in network.build(3, K, seed=4).trainable_variables]
    kernels = [value for value in built if value.ndim == 2]
    for kept, made in zip(network.kernels(3, K, seed=4), kernels, strict=True):
        np.testing.assert_array_equal(kept, made)
