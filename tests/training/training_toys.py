"""Small data and losses for tests of the trainer."""

from __future__ import annotations

import functools
import types

import numpy as np
from sklearn.metrics import f1_score

import policygrad_metrics as pgm
from policygrad_metrics.training import Network, Replica, train_replicas

SMALL = Network((16,))


def parts(task="binary", rows=203, seed=0):
    """Rows of no round number, so that batches need filling up."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * rows, 5)).astype(np.float32)
    score = x @ rng.normal(size=(5, 3)) + rng.normal(size=(3 * rows, 3))
    y = {
        "binary": (score[:, 0] > 1.5).astype(int),
        "multiclass": score.argmax(axis=1),
        "ordinal": np.digitize(score[:, 0], [-1.0, 1.5]),
        "multilabel": (score > 1.0).astype(int),
    }[task]
    xs, ys = np.split(x, 3), np.split(y, 3)
    return types.SimpleNamespace(
        x_train=xs[0], y_train=ys[0], x_valid=xs[1], y_valid=ys[1], x_test=xs[2], y_test=ys[2]
    )


def cross_entropy(hyper):
    return pgm.SurrogateLoss("cross_entropy")


def blackbox_f1(y_true, y_pred):
    return f1_score(y_true, y_pred, zero_division=0.0)


def policy_gradient(estimator):
    return lambda hyper: pgm.PolicyGradientLoss(
        "f1", gradient_estimator=estimator, cross_entropy=hyper["c"]
    )


LOSSES = {
    "cross_entropy": cross_entropy,
    "soft_f1": lambda hyper: pgm.SurrogateLoss("soft_f1", average="binary"),
    "exact": policy_gradient("exact"),
    "local_expectation": policy_gradient("local_expectation"),
    "moving_average": policy_gradient(pgm.estimators.Reinforce(baseline="moving_average")),
}
REPLICAS = [
    Replica(seed=3, learning_rate=1e-2, hyper={"c": 0.3}),
    Replica(seed=4, learning_rate=3e-3, hyper={"c": 0.1}),
    Replica(seed=3, learning_rate=1e-3, hyper={"c": 1.0}),
]


def fit(build_loss=cross_entropy, replicas=REPLICAS, network=SMALL, **options):
    options = {"epochs": 4, "batch_size": 64, "task": "binary", "reward": "f1", **options}
    data = options.pop("data", None) or parts(options["task"])
    return train_replicas(
        network=network, build_loss=build_loss, data=data, replicas=replicas, **options
    )


@functools.cache
def stack(name):
    return fit(LOSSES[name])


def assert_same(one, other):
    """Equal up to the order of sums: 16 steps of Adam of at most the learning rate each."""
    assert len(one.history["loss"]) == len(other.history["loss"])
    np.testing.assert_allclose(one.history["loss"], other.history["loss"], rtol=2e-5)
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
