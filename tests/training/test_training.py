"""Stacked replicas: each equals itself alone, Keras's own training, and its own random choices."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import cohen_kappa_score, f1_score
from training_toys import (
    LOSSES,
    REPLICAS,
    SMALL,
    assert_same,
    blackbox_f1,
    fit,
    parts,
    policy_gradient,
    stack,
)

import policygrad_metrics as pgm
from policygrad_metrics.training import Network, Replica


@pytest.mark.parametrize(
    "name",
    [
        # Draws and a state are in the last; test_stacks.py has the gradients of all.
        *(pytest.param(n, marks=pytest.mark.slow) for n in LOSSES if n != "moving_average"),
        "moving_average",
    ],
)
def test_a_replica_in_the_stack_equals_the_same_alone(name):
    together, alone = stack(name), fit(LOSSES[name], REPLICAS[1:2])
    assert together[1].stacked
    assert not alone[0].stacked
    assert_same(together[1], alone[0])


@pytest.mark.slow
def test_a_replica_with_data_of_its_own_equals_the_same_alone():
    own = [parts(seed=seed) for seed in (5, 6, 5)]
    own[2] = own[0]  # kept once
    weights = [np.array(pair) for pair in ([0.4, 1.6], [1.0, 1.0], [0.7, 1.3])]

    def weighted(hyper):
        return lambda y, outputs: tf.reduce_mean(
            tf.gather(tf.cast(hyper["w"], tf.float32), y)
            * tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y, tf.float32), outputs[:, 0])
        )

    replicas = [
        Replica(seed, 0.01, {"w": weight}) for seed, weight in zip((0, 1, 2), weights, strict=True)
    ]
    together = fit(weighted, replicas, data=own)
    for place in (1, 2):
        alone = fit(weighted, [replicas[place]], data=own[place])[0]
        assert_same(together[place], alone)
        for part in ("valid_outputs", "test_outputs"):
            np.testing.assert_allclose(
                getattr(together[place], part), getattr(alone, part), atol=1e-4
            )
        assert together[place].history["val_reward"] == pytest.approx(
            alone.history["val_reward"], abs=1e-6
        )


@pytest.mark.slow
def test_one_after_the_other_equals_stacked_with_dropout_and_batch_normalisation():
    network = Network((8,), dropout=0.3, batch_norm=True)
    together, singly = (fit(network=network, stacked=stacked) for stacked in (True, False))
    for one, other in zip(together, singly, strict=True):
        assert_same(one, other)
    rebuilt = network.build(5, 1, seed=99)
    rebuilt.set_weights(together[0].weights)
    x_test = parts().x_test
    np.testing.assert_allclose(rebuilt(x_test), together[0].test_outputs, atol=1e-5)


@pytest.mark.slow
def test_dropout_and_data_order_follow_the_seed():
    # Without hidden layers, learning rate 1e-12: losses of an epoch differ by dropout alone.
    class Dropped:
        def build(self, features, outputs, seed):
            inputs = keras.Input((features,))
            dropped = keras.layers.Dropout(0.5, seed=seed)(inputs)
            return keras.Model(inputs, keras.layers.Dense(outputs, "linear", True, "ones")(dropped))

    still = [Replica(seed, 1e-12) for seed in (1, 2, 1)]
    runs = fit(replicas=still, network=Dropped(), batch_size=1000, epochs=2)
    losses = [run.history["loss"] for run in runs]
    assert losses[0] == losses[2]
    assert len({*losses[0], *losses[1]}) == 4


@pytest.mark.slow
def test_full_batches_of_a_keras_loss_equal_keras_fit():
    def build_loss(hyper):
        return keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=1.5)

    data = parts()
    rates = [Replica(5, 0.01), Replica(6, 0.01)]
    run = fit(build_loss, rates, epochs=6, batch_size=1000)[0]
    model = SMALL.build(5, 1, seed=5)
    model.compile(keras.optimizers.Adam(0.01), build_loss({}), run_eagerly=True)
    history = model.fit(data.x_train, data.y_train, batch_size=203, epochs=6, verbose=0).history
    np.testing.assert_allclose(run.history["loss"], history["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["moving_average", pytest.param("local_expectation", marks=pytest.mark.slow)]
)
def test_same_seed_same_result_to_the_bit(name):
    one, two = stack(name), fit(LOSSES[name])
    for a, b in zip(one, two, strict=True):
        assert a.history == b.history
        np.testing.assert_array_equal(a.test_outputs, b.test_outputs)
    assert one[0].history != one[1].history


def test_each_replica_stops_on_its_own_reward_and_keeps_its_best_weights():
    data = parts()
    rates = [Replica(0, 0.1), Replica(1, 1e-9), Replica(2, 0.03)]
    seen = []
    runs = fit(
        replicas=rates,
        epochs=12,
        patience=3,
        data=data,
        on_epoch=lambda epoch, rewards: seen.append((epoch, sorted(rewards))),
    )
    for run in runs:
        rewards = run.history["val_reward"]
        # Three epochs without a rise end it; of equal ones the last is kept.
        assert len(rewards) == min(12, int(np.argmax(rewards)) + 4)
        assert run.best_epoch == int(np.flatnonzero(rewards == np.max(rewards))[-1])
        scored = f1_score(data.y_valid, run.valid_outputs[:, 0] > 0.0)
        assert scored == pytest.approx(rewards[run.best_epoch], abs=1e-6)
        assert run.steps == 4 * len(rewards)
        assert run.reward_evaluations == len(rewards)
    # At a rate of 1e-9 nothing changes: ended three epochs after the first, and all are equal.
    assert len(set(runs[1].history["val_reward"])) == 1
    assert runs[1].best_epoch == 3
    assert [epoch for epoch, places in seen if 1 in places] == [0, 1, 2, 3]
    assert sum(run.seconds for run in runs) > 0.0


def test_divergence_is_recorded_and_harms_no_neighbour():
    replicas = [Replica(0, 1e-2), Replica(1, 1e30), Replica(2, 1e-2)]
    runs = fit(replicas=replicas, network=Network((16, 16)))
    assert [run.diverged for run in runs] == [False, True, False]
    assert runs[1].best_epoch == -1
    assert runs[1].history == {"loss": [], "val_reward": []}
    assert np.isfinite(runs[1].valid_outputs).all()
    alone = fit(replicas=replicas[2:], network=Network((16, 16)))[0]
    assert_same(runs[2], alone)


SCORES = {
    "multiclass": ("f1_macro", lambda y, o: f1_score(y, o.argmax(axis=1), average="macro")),
    "ordinal": (
        "cohen_kappa_quadratic",
        lambda y, o: cohen_kappa_score(y, o.argmax(axis=1), weights="quadratic"),
    ),
    "multilabel": (
        "f1_samples",
        lambda y, o: f1_score(y, o > 0.0, average="samples", zero_division=0.0),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("task", SCORES)
def test_every_task_trains_on_its_reward(task):
    reward, score = SCORES[task]
    policy = "sigmoid" if task == "multilabel" else "softmax"
    data = parts(task)
    runs = fit(
        lambda hyper: pgm.PolicyGradientLoss(reward, policy=policy),
        [Replica(seed, 0.01) for seed in (0, 1)],
        task=task,
        reward=reward,
        epochs=5,
        data=data,
    )
    for run in runs:
        assert run.test_outputs.shape == (203, 3)
        assert run.history["loss"][-1] < run.history["loss"][0] - 0.05
        best = run.history["val_reward"][run.best_epoch]
        assert score(data.y_valid, run.valid_outputs) == pytest.approx(best, abs=1e-5)


@pytest.mark.slow
def test_a_single_label_column_is_a_binary_problem():
    column = parts()
    column.y_train, column.y_valid = column.y_train[:, None], column.y_valid[:, None]
    for one, other in zip(fit(task="multilabel", data=column), stack("cross_entropy"), strict=True):
        assert_same(one, other)
        assert one.history["val_reward"] == other.history["val_reward"]


@pytest.mark.slow
def test_warm_start_is_cross_entropy_first():
    warm = fit(LOSSES["exact"], warm_start=0.5, patience=1)
    for one, other in zip(warm, stack("cross_entropy"), strict=True):
        np.testing.assert_allclose(one.history["loss"][:2], other.history["loss"][:2], rtol=1e-6)
        assert abs(one.history["loss"][2] - other.history["loss"][2]) > 0.1


@pytest.mark.slow
def test_a_python_reward_is_stacked_without_xla():
    loss = policy_gradient(pgm.estimators.Reinforce(samples=4))
    native = fit(loss, epochs=2)
    box = fit(
        lambda hyper: pgm.PolicyGradientLoss(
            blackbox_f1,
            gradient_estimator=pgm.estimators.Reinforce(samples=4),
            cross_entropy=hyper["c"],
        ),
        reward=blackbox_f1,
        epochs=2,
    )
    for one, other in zip(native, box, strict=True):
        np.testing.assert_allclose(one.history["loss"], other.history["loss"], rtol=1e-4)
        np.testing.assert_allclose(
            one.history["val_reward"], other.history["val_reward"], rtol=1e-4
        )
        assert other.stacked
        assert other.reward_evaluations == 2 + 2 * 4 * 4


class InPython(keras.layers.Layer):
    """A layer that XLA cannot compile."""

    def call(self, inputs):
        return tf.ensure_shape(tf.numpy_function(np.copy, [inputs], tf.float32), inputs.shape)


class Lonely(keras.layers.Layer):
    """A layer that cannot be stacked: it will not be traced in the body of a stacking loop."""

    def call(self, inputs):
        if "loop_body" in getattr(inputs, "name", ""):
            raise TypeError("this layer wants to be alone")
        return inputs


@dataclasses.dataclass
class Behind:
    """The small network behind a layer that changes nothing."""

    layer: type[keras.layers.Layer]

    def build(self, features, outputs, seed):
        inputs = keras.Input((features,))
        return keras.Model(inputs, SMALL.build(features, outputs, seed)(self.layer()(inputs)))


@pytest.mark.parametrize(
    ("layer", "message", "stacked"),
    [
        (InPython, "it is trained without XLA", True),
        (Lonely, "it is trained one replica at a time, .*this layer wants to be alone", False),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_stacked_or_compiled_says_so_and_is_trained(layer, message, stacked):
    with pytest.warns(UserWarning, match=message):
        runs = fit(network=Behind(layer))
    for one, other in zip(runs, stack("cross_entropy"), strict=True):
        assert one.stacked == stacked
        assert_same(one, other)


def test_stateless_call_equals_the_loss_and_carries_the_moving_average():
    y, outputs = [0, 1, 1], tf.constant([[0.3], [-0.2], [1.0]])
    estimator = pgm.estimators.Reinforce(samples=4, baseline="moving_average", decay=0.5)
    loss = pgm.PolicyGradientLoss("f1", gradient_estimator=estimator)
    value, state = loss.stateless_call(y, outputs, loss.initial_state())
    assert float(value) == pytest.approx(float(loss(y, outputs)))
    assert float(state[1]) == pytest.approx(0.5)
    again = loss.stateless_call(y, outputs, state)[1]
    assert float(again[1]) == pytest.approx(0.75)
    # The same draws give the same reward: the average stays where it is.
    assert float(again[0] / again[1]) == pytest.approx(float(state[0] / state[1]))
