"""Training anew on training and validation part, as long as validation chose."""

import dataclasses
import types

import numpy as np
import pytest

import policygrad_metrics as pgm
from policygrad_metrics.training import Network, Replica, refit_replicas, train_replicas


def made_up():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    y = (x[:, 0] + 0.5 * rng.normal(size=90) > 0.0).astype(int)
    return types.SimpleNamespace(
        x_train=x[:40], y_train=y[:40], x_valid=x[40:60], y_valid=y[40:60], x_test=x[60:]
    )


def how(**options):
    return {
        "network": Network((4,)),
        "build_loss": lambda hyper: pgm.SurrogateLoss("cross_entropy"),
        "reward": "accuracy",
        "task": "binary",
        "replicas": [Replica(0, 0.05), Replica(1, 0.05)],
        "epochs": 3,
        "batch_size": 20,
        **options,
    }


@pytest.fixture(scope="module")
def data():
    return made_up()


@pytest.fixture(scope="module")
def chosen(data):
    return train_replicas(data=data, **how())


@pytest.mark.slow
def test_it_is_the_training_on_both_parts_for_so_many_epochs(data, chosen):
    both = types.SimpleNamespace(
        x_train=np.concatenate([data.x_train, data.x_valid]),
        y_train=np.concatenate([data.y_train, data.y_valid]),
        x_valid=data.x_valid,
        y_valid=data.y_valid,
        x_test=data.x_test,
    )
    # After a single epoch there is nothing to choose from.
    alone = train_replicas(data=both, **how(epochs=1))
    one_epoch = [dataclasses.replace(run, best_epoch=0) for run in chosen]
    again = refit_replicas(data, one_epoch, **how())
    for refitted, run, first in zip(again, alone, chosen, strict=True):
        for a, b in zip(refitted.weights, run.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        np.testing.assert_allclose(refitted.test_outputs, run.test_outputs, atol=1e-5)
        assert refitted.valid_outputs is first.valid_outputs
        assert refitted.history is first.history
        assert refitted.steps == first.steps + 3  # 60 rows in batches of 20


@pytest.mark.slow
def test_each_replica_ends_on_its_own_and_keeps_its_last_weights(data):
    # A validation part that training only makes worse: the best epoch is not the last.
    wrong = types.SimpleNamespace(**{**vars(data), "y_valid": 1 - data.y_valid})
    runs = train_replicas(data=wrong, **how(lengths=[1, 3]))
    assert [run.steps for run in runs] == [2, 6]
    short = train_replicas(data=wrong, **how(epochs=1))[0]
    for a, b in zip(runs[0].weights, short.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    x, y = data.x_valid, wrong.y_valid
    model = Network((4,)).build(3, 1, 0)
    model.set_weights(runs[1].weights)
    scored = np.mean((model(x).numpy()[:, 0] > 0.0) == y)
    assert scored == pytest.approx(runs[1].history["val_reward"][-1], abs=1e-6)


@pytest.mark.slow
def test_what_diverged_stays_as_it_was(data, chosen):
    lost = dataclasses.replace(chosen[0], diverged=True)
    found = refit_replicas(data, [lost, chosen[1]], **how())
    assert found[0] is lost
    assert found[1].steps > chosen[1].steps
    assert refit_replicas(data, [lost, lost], **how()) == [lost, lost]


@pytest.mark.parametrize("lengths", [[1], [0, 2], [1, 4]])
def test_lengths_are_checked(data, lengths):
    with pytest.raises(ValueError, match="lengths must be a number of epochs from 1 to 3"):
        train_replicas(data=data, **how(lengths=lengths))
