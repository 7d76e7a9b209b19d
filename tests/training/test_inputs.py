"""What goes into a training: networks, orders of rows, and errors before any work."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from training_toys import fit, parts

from policygrad_metrics.training import Network, Replica
from policygrad_metrics.training.inputs import build_models
from policygrad_metrics.training.order import filled_batches


def test_an_epoch_visits_every_row_and_few_of_them_twice():
    for count, batches in ((203, 4), (257, 2), (5, 1), (1000, 7)):
        rows = -(-count // batches)
        order = filled_batches(7, 1, count, batches, rows)
        visits = np.bincount(order.ravel(), minlength=count)
        assert visits.min() == 1
        assert (visits - 1).sum() < batches
    assert not np.array_equal(filled_batches(7, 1, 50, 1, 50), filled_batches(7, 2, 50, 1, 50))


def test_networks_follow_their_seed_and_leave_global_state_alone():
    network = Network((8, 8), dropout=0.2)
    keras.utils.set_random_seed(1)
    before = np.random.get_state()[1].copy()
    one, same, other = (network.build(4, 2, seed).get_weights() for seed in (1, 1, 2))
    assert np.array_equal(before, np.random.get_state()[1])
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0][:, :4], one[2][:4, :4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "binari", "data": parts()}, "did you mean 'binary'"),
        ({"replicas": []}, "at least one Replica"),
        ({"epochs": 0}, "epochs must be"),
        ({"batch_size": 2.5}, "batch_size must be"),
        ({"warm_start": 1.0}, "warm_start must be"),
        ({"replicas": [Replica(0, hyper={"c": 1.0}), Replica(1)]}, "same names"),
        ({"replicas": [Replica(0, hyper={"c": c}) for c in "ab"]}, "must then be a number"),
        ({"build_loss": lambda hyper: lambda y, outputs: outputs}, "returns a scalar"),
        ({"data": parts("multiclass")}, "labels must lie in 0 to 1"),
        ({"data": [parts(), parts()]}, "one for each of the 3 replicas; it has 2"),
        ({"data": [parts(), parts(), parts(rows=99)]}, "x_train must have the same shape"),
        ({"data": parts("multilabel")}, "y_train must be whole numbers"),
    ],
)
def test_errors_come_before_any_work(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


@pytest.mark.parametrize("network", [Network(()), Network((5, 3), batch_norm=True)])
def test_first_weights_are_those_that_each_seed_builds(network):
    replicas = [Replica(seed) for seed in (4, 0, 4, 9)]
    model, initial = build_models(network, 6, 2, replicas)
    assert initial.keys() == {0, 4, 9}
    for seed, (row, others) in initial.items():
        built = network.build(6, 2, seed)
        own = np.concatenate([v.numpy().ravel() for v in built.trainable_variables])
        np.testing.assert_array_equal(row, own)
        for found, variable in zip(others, built.non_trainable_variables, strict=True):
            np.testing.assert_array_equal(found, variable.numpy())
    assert [v.shape for v in model.variables] == [v.shape for v in built.variables]
