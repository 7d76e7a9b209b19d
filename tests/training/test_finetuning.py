"""`finetune`: what is gained, what is left alone, and what is said about it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

import policygrad_metrics as pgm
from policygrad_metrics.training.finetune import FineTuningOptions, FineTuningSettings
from policygrad_metrics.training.finetune_validation import Validation


def rare(N, seed):
    """One feature that separates a rare class badly: cross-entropy never labels it."""
    rng = np.random.default_rng(seed)
    y = (np.arange(N) % 8 == 0).astype(int)
    x = np.stack([1.5 * y + rng.normal(size=N), rng.normal(size=N)], axis=1)
    return x.astype(np.float32), y


def trained(activation="sigmoid", frozen=False, bias=-2.0):
    """A network as cross-entropy would leave it: it knows the direction, and says "no" to all."""
    start = keras.initializers.GlorotUniform(seed=0)
    model = keras.Sequential(
        [
            keras.layers.Input((2,)),
            keras.layers.Dense(4, "tanh", kernel_initializer=start),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1, seed=0),
            keras.layers.Dense(1, activation, kernel_initializer=start),
        ]
    )
    w = np.zeros((2, 4), np.float32)
    w[0] = 0.5
    model.layers[0].set_weights([w, np.zeros(4)])
    model.layers[0].trainable = not frozen
    hidden = np.tanh(rare(512, 0)[0] @ w)
    model.layers[1].set_weights([np.ones(4), np.zeros(4), hidden.mean(0), hidden.var(0)])
    model.layers[-1].set_weights([np.full((4, 1), 0.1), np.array([bias])])
    model.compile(keras.optimizers.SGD(0.5), loss="binary_crossentropy", metrics=["accuracy"])
    return model


TRAIN, VALID = rare(512, 0), rare(400, 1)
FAST = {
    "validation_data": VALID,
    "epochs": 6,
    "learning_rate": 0.1,
    "cross_entropy": 0.0,
    "batch_size": 128,
    "jit_compile": False,
}


@pytest.fixture(scope="module")
def gained():
    model = trained(frozen=True)
    before = [w.copy() for w in model.get_weights()]
    state = model.optimizer, model.loss, model.get_compile_config(), model.layers[-1].activation
    return model, before, state, pgm.finetune(model, *TRAIN, reward="f1", **FAST)


def test_the_metric_is_gained_and_reported(gained):
    model, _, _, result = gained
    labels = model.predict(VALID[0], verbose=0)[:, 0] > 0.5
    assert result.after == pytest.approx(f1_score(VALID[1], labels), abs=1e-6)
    assert result.before == 0.0 < 0.2 < result.after == max(result.validation_rewards)
    assert result.kept
    assert result.cross_fitted_gain > 0.1
    assert len(result.validation_rewards) <= FAST["epochs"] + 1
    assert "f1 on 400 validation examples: 0.0000 as given" in str(result)
    assert "The model has the tuned weights." in str(result)


def test_how_the_model_was_compiled_is_left_alone(gained):
    model, _, (optimizer, loss, config, activation), _ = gained
    assert model.optimizer is optimizer
    assert model.loss is loss
    assert model.get_compile_config() == config
    assert model.layers[-1].activation is activation
    assert int(optimizer.iterations) == 0
    assert model.predict(VALID[0], verbose=0).min() >= 0.0  # probabilities, as before
    model.evaluate(*VALID, verbose=0)


def test_frozen_layers_stay_frozen_and_the_others_do_not(gained):
    model, before, _, _ = gained
    after = model.get_weights()
    for layer in model.layers[:1]:
        assert not layer.trainable
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])
    assert all((a != b).any() for a, b in zip(after[2:], before[2:], strict=True))


@pytest.mark.slow
def test_same_seed_same_bits(gained):
    tf.random.set_seed(77)  # which does not matter
    again = trained(frozen=True)
    pgm.finetune(again, *TRAIN, reward="f1", **FAST)
    for a, b in zip(again.get_weights(), gained[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_where_nothing_is_gained_not_a_bit_changes():
    """The labels as given are all right, and cannot become better."""
    model = trained(bias=-9.0)
    x, y = TRAIN[0], np.zeros(512, int)
    before = model.get_weights()
    result = pgm.finetune(model, x, y, reward="accuracy", epochs=2, patience=1, jit_compile=False)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert result.gain == 0.0
    assert (result.before, result.best_epoch, result.kept) == (1.0, 0, False)
    assert "no better after any of" in str(result)
    assert "Nothing was gained: the model is as it was." in str(result)


@pytest.mark.slow
def test_a_gain_that_is_noise_is_seen_through():
    """Fourteen coin-tossing epochs: the best looks good on the data that chose it."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    outputs = tf.zeros([60, 2])
    found = []
    for seed in range(8):
        data = (outputs, y)
        options = {"batch_size": 60, "seed": seed}
        validation = Validation(
            pgm.get_reward("f1"), pgm.policies.Softmax(), data, outputs, **options
        )
        tosses = [rng.integers(0, 2, (60, 1, 1)) for _ in range(15)]
        scores = [validation.score(labels) for labels in tosses]
        found.append((max(scores) - scores[0], validation.cross_fitted_gain(tosses)))
    naive, cross_fitted = np.mean(found, axis=0)
    # The scores' standard deviation is about .07; the best of 15 lies 1.7 of them above the mean.
    assert naive > 0.08
    # The first one's luck is left in both: .07 a run, .025 in the mean of eight.
    assert cross_fitted < naive / 2
    assert abs(cross_fitted) < 0.075


@pytest.mark.slow
def test_datasets_weights_and_logits():
    x, y = TRAIN
    weight = np.where(y == 1, 3.0, 1.0)
    batches = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(256)
    held = tf.data.Dataset.from_tensor_slices((*VALID, np.ones(400))).batch(100)
    model = trained(None)
    options = {**FAST, "validation_data": held, "epochs": 1}
    result = pgm.finetune(model, batches, reward="f1", **options)
    labels = model.predict(VALID[0], verbose=0)[:, 0] > 0.0
    assert result.after == pytest.approx(f1_score(VALID[1], labels), abs=1e-6)


def test_editors_know_the_settings():
    fields = FineTuningSettings.__dataclass_fields__
    assert list(FineTuningOptions.__annotations__) == list(fields)
    for name, field in fields.items():
        assert FineTuningOptions.__annotations__[name].__forward_arg__ == field.type


def test_what_is_refused():
    model = trained()
    with pytest.raises(ValueError, match="epochs must be"):
        pgm.finetune(model, *TRAIN, reward="f1", epochs=0)
    with pytest.raises(ValueError, match="validation_split must lie"):
        pgm.finetune(model, *TRAIN, reward="f1", validation_split=1.0)
    with pytest.raises(ValueError, match="did you mean 'f1'"):
        pgm.finetune(model, *TRAIN, reward="f1x")
    with pytest.raises(ValueError, match="no classes of the model"):
        pgm.finetune(model, *TRAIN, reward="f1", validation_data=(VALID[0], VALID[1] + 1), epochs=1)
    model.trainable = False
    with pytest.raises(ValueError, match="not frozen"):
        pgm.finetune(model, *TRAIN, reward="f1")

    class Odd(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return keras.ops.softmax(self.dense(x))

    odd = Odd()
    odd(VALID[0])
    with pytest.raises(ValueError, match="look like probabilities"):
        pgm.finetune(odd, *TRAIN, reward="f1")


@pytest.mark.slow
def test_optimizers_of_keras_and_their_schedules():
    """By name or as an instance, the schedule decides."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.0])
    options = {**FAST, "epochs": 2, "cautious": False}
    found = []
    for how in (
        {"optimizer": keras.optimizers.SGD(schedule), "learning_rate": None},
        {"optimizer": "sgd", "learning_rate": schedule},
    ):
        model = trained()
        result = pgm.finetune(model, *TRAIN, reward="f1", **{**options, **how})
        found.append(model.get_weights())
        assert result.kept == (result.best_epoch > 0)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        pgm.finetune(trained(), *TRAIN, reward="f1", **{**FAST, "optimizer": "adamm"})


@pytest.mark.slow
def test_a_floor_chooses_the_epoch_and_tunes_the_decision():
    floor = pgm.at_least("precision", 0.5)
    result = pgm.finetune(trained(), *TRAIN, reward="recall", subject_to=floor, **FAST)
    model = trained()
    again = pgm.finetune(model, *TRAIN, reward="recall", subject_to="precision>=0.5", **FAST)
    x, y = VALID
    labels = again.tuner.predict(model(x).numpy()[:, 0])
    assert np.sum(labels * y) / labels.sum() >= 0.5
    assert again.tuner.feasible_
    assert again.after == pytest.approx(np.sum(labels * y) / y.sum())
    assert result.validation_rewards == again.validation_rewards
    assert "tuned subject to precision >= 0.5 (off by -" in str(again)


@pytest.mark.slow
def test_a_floor_that_no_epoch_keeps_is_told():
    floors = ["precision>=0.95", "recall>=0.9"]
    with pytest.warns(UserWarning, match="no decision keeps the constraints .* after any epoch"):
        result = pgm.finetune(trained(), *TRAIN, reward="f1", subject_to=floors, **FAST)
    assert not result.tuner.feasible_


def test_costs_of_each_example_are_refused():
    x, y = TRAIN
    with pytest.raises(ValueError, match="reads the costs of each example: compile with"):
        pgm.finetune(trained(), x, np.column_stack([y, y, y]), reward="example_costs", **FAST)


@pytest.mark.slow
def test_constraints_on_groups_take_the_last_column_of_the_truth():
    """The decision that is handed over is that of a tuner on the same model, rows and groups."""
    gap = pgm.at_most("recall_gap", 0.1, groups=2)
    (x, y), (xv, yv) = TRAIN, VALID
    group, of_valid = (x[:, 1] > 0).astype(int), (xv[:, 1] > 0).astype(int)
    with pytest.raises(ValueError, match="the group of each example as its last column"):
        pgm.finetune(trained(), x, y, reward="f1", subject_to=gap, **FAST)
    model, how = trained(), {**FAST, "epochs": 2}
    how["validation_data"] = xv, np.column_stack([yv, of_valid])
    found = pgm.finetune(model, x, np.column_stack([y, group]), reward="f1", subject_to=gap, **how)
    p = model(xv).numpy()[:, 0]
    tuner = pgm.DecisionTuner("f1", subject_to=gap, margin="standard_error")
    tuner.fit(p, yv, groups=of_valid)
    assert found.tuner.excess_ == pytest.approx(tuner.excess_)
    labels = found.tuner.predict(p)
    assert np.array_equal(labels, tuner.predict(p))
    assert found.after == pytest.approx(f1_score(yv, labels))
    recalls = [labels[(yv == 1) & (of_valid == g)].mean() for g in (0, 1)]
    assert found.tuner.excess_["recall_gap <= 0.1"] == pytest.approx(abs(np.diff(recalls)[0]) - 0.1)
