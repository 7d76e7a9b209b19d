"""Any Keras optimizer trains the stack as Keras itself would."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from training_toys import SMALL, fit, parts

from policygrad_metrics.training import Replica


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=6, decay_rate=0.5)


OPTIMIZERS = {
    "adamw": lambda: "adamw",
    "sgd": lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
    "schedule": lambda: keras.optimizers.Adam(decay()),
    "norms of layers": lambda: keras.optimizers.AdamW(weight_decay=0.1, clipnorm=0.01),
    "matrices": lambda: keras.optimizers.Adafactor(),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.slow
def test_every_optimizer_takes_keras_steps_in_the_stack(name):
    """Against Keras's own fit on full batches: six steps, rounding of sums of 203 rows."""
    rates = (None, None) if name == "schedule" else (0.02, 0.005)
    replicas = [Replica(5, rates[0]), Replica(6, rates[1])]
    runs = fit(replicas=replicas, optimizer=OPTIMIZERS[name](), epochs=6, batch_size=1000,
               lengths=[6, 6])  # fmt: skip
    data = parts()
    for replica, run in zip(replicas, runs, strict=True):
        assert run.stacked
        model = SMALL.build(5, 1, seed=replica.seed)
        optimizer = keras.optimizers.get(OPTIMIZERS[name]())
        if replica.learning_rate is not None:
            optimizer.learning_rate = replica.learning_rate
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(optimizer, loss, run_eagerly=True)  # six steps cost less than a graph
        model.fit(data.x_train, data.y_train, batch_size=203, epochs=6, verbose=0)
        for ours, theirs in zip(run.weights, model.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert np.abs(runs[0].weights[0] - SMALL.build(5, 1, seed=5).get_weights()[0]).max() > 1e-3


@pytest.mark.slow
def test_constraints_of_weights_are_kept():
    class Bounded:
        def build(self, features, outputs, seed):
            start, bound = keras.initializers.GlorotUniform(seed), keras.constraints.UnitNorm()
            inputs = keras.Input((features,))
            dense = keras.layers.Dense(outputs, kernel_initializer=start, kernel_constraint=bound)
            return keras.Model(inputs, dense(inputs))

    for run in fit(network=Bounded(), replicas=[Replica(0, 0.1), Replica(1, 0.1)]):
        assert np.linalg.norm(run.weights[0]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamv"}, "did you mean 'adam'"),
        ({"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=2)}, "batch_size larger"),
        ({"optimizer": keras.optimizers.Adam(use_ema=True)}, "ema_overwrite_frequency"),
        ({"optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())}, "scales"),
        ({"optimizer": keras.optimizers.Adam(decay())}, "cannot replace the optimizer's schedule"),
    ],
)
def test_optimizers_that_cannot_be_used_say_why(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)
